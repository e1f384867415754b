# shellcheck shell=bash
# What every script here needs: speaking, failing with advice, ports, processes. Sourced, never run.
#
# A process that is started here is ended by the pid that was noted when it started, never by its name:
# other people's servers of the same kind may run on the same machine.

# shellcheck disable=SC2034 # read by the scripts that source this file
YAKS_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# shellcheck disable=SC2034 # read by the scripts that source this file
YAKS_TOOLS="${YAKS_TOOLS_DIR:-$HOME/.cache/yaks-tools}"

if [[ -t 2 ]]; then
  bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' red='' plain=''
fi

# Progress goes to standard error: standard output is for what a caller may want to read.
say() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }

# die WHAT [ADVICE...]: one sentence that says what is wrong, then one per line that says what to do.
die() {
  printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
  shift
  local advice
  for advice in "$@"; do printf '       %s\n' "$advice" >&2; done
  exit 1
}

# usage: prints the comment block at the head of the calling script, which is its help.
usage() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$0"; }

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: runs it as root, through sudo where we are not root.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif have sudo; then
    sudo -- "$@"
  else
    die "this needs root: $*" "Run the script as root, or install sudo."
  fi
}

# seconds_since START: START is a value of $EPOCHREALTIME; prints seconds with one decimal.
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# --- ports ---------------------------------------------------------------------------------------

# The kernel's own table instead of ss or lsof, which a bare system lacks, and instead of connecting, which a
# server would see and count.
port_inode() {
  local hex
  hex=$(printf '%04X' "$1")
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v p=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == p { print $10; exit }'
}

port_taken() { [[ -n "$(port_inode "$1")" ]]; }

# port_holder PORT: prints "NAME (pid N)" of who listens there, or "another user's program" where we may not look.
port_holder() {
  local inode found
  inode=$(port_inode "$1")
  # One process that looks at all files: machines have hundreds of thousands.
  found=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "socket:\\[$inode\\]" -print -quit 2>/dev/null || true)
  found=${found#/proc/}
  found=${found%%/*}
  if [[ -n "$found" && -r "/proc/$found/comm" ]]; then
    printf '%s (pid %s)\n' "$(cat "/proc/$found/comm")" "$found"
  else
    printf "another user's program\n"
  fi
}

# need_port PORT FLAG: ends the script with advice where somebody listens there.
need_port() {
  port_taken "$1" || return 0
  die "port $1 is taken by $(port_holder "$1")." \
    "Stop it, or choose another port: scripts/${0##*/} $2 $(($1 < 65535 ? $1 + 1 : $1 - 1))"
}

# check_port_number PORT FLAG
check_port_number() {
  if ! [[ "$1" =~ ^[0-9]{1,5}$ ]] || ((10#$1 < 1 || 10#$1 > 65535)); then
    die "$2 $1 is not a port." "Choose one from 1 to 65535."
  fi
}

# check_disk FOLDER MIB: that holds it, or will.
check_disk() {
  local folder=$1 needed_mib=$2 free_kib
  until [[ -d "$folder" ]]; do folder=$(dirname "$folder"); done
  free_kib=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
  ((free_kib >= needed_mib * 1024)) ||
    die "$((free_kib / 1024)) MiB are free on the disk of $folder, and scripts/${0##*/} needs $needed_mib MiB there." \
      "Make room there, or use a clone or a --data-dir on another disk."
}

# free_port VARIABLE: sets it to a port on which nobody listens, and on whose +10000 nobody listens either (SeaweedFS
# takes that one too). Below the kernel's ephemeral range, so that an outgoing connection does not take it meanwhile.
# Sets a variable instead of printing, so that one process never draws the same port twice.
declare -A drawn_ports=()
free_port() {
  local candidate
  while :; do
    candidate=$((12000 + RANDOM % 10000))
    [[ -n "${drawn_ports[$candidate]:-}" ]] && continue
    if ! port_taken "$candidate" && ! port_taken "$((candidate + 10000))"; then
      drawn_ports[$candidate]=1
      printf -v "$1" '%s' "$candidate"
      return
    fi
  done
}

# --- processes -----------------------------------------------------------------------------------

alive() { kill -0 "$1" 2>/dev/null && [[ "$(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null)" != Z ]]; }

# spawn PIDFILE LOGFILE COMMAND...: starts a server in a process group of its own, so that Ctrl-C reaches the script
# alone, which then stops its servers in order. The server must not keep the script's output open (7: a copy of it).
spawn() {
  local pid_file=$1 log_file=$2
  shift 2
  setsid "$@" >>"$log_file" 2>&1 </dev/null 7>&- &
  echo $! >"$pid_file"
}

# stop_pid PID [SIGNAL [SECONDS]]: asks it to end (TERM), waits (5 s), then kills it, and waits for that too.
stop_pid() {
  local pid=$1 signal=${2:-TERM} seconds=${3:-5} tries
  alive "$pid" || return 0
  kill "-$signal" "$pid" 2>/dev/null || return 0
  for ((tries = 0; tries < seconds * 20; tries++)); do
    alive "$pid" || return 0
    sleep 0.05
  done
  note "process $pid did not end within $seconds s: killing it"
  kill -KILL "$pid" 2>/dev/null || return 0
  while alive "$pid"; do sleep 0.05; done
}

# stop_pid_file FILE [SIGNAL [SECONDS]]: the same for a noted pid; removes the note.
stop_pid_file() {
  [[ -f "$1" ]] || return 0
  stop_pid "$(cat "$1")" "${@:2}"
  rm -f "$1"
}

# An agent that is asked to end first flushes what it holds and answers for it: it may take 10 s.
stop_agent() { stop_pid_file "$1" TERM 12; }

# wait_until SECONDS WHAT PIDFILE LOGFILE COMMAND...: repeats COMMAND until it succeeds; fails with the log's end when
# the time is over or the server has died.
wait_until() {
  local seconds=$1 what=$2 pid_file=$3 log_file=$4 deadline
  shift 4
  deadline=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ! alive "$(cat "$pid_file")"; then
      tail -n 20 "$log_file" >&2
      die "$what ended before it was ready (above: the end of $log_file)."
    fi
    if ((SECONDS >= deadline)); then
      tail -n 20 "$log_file" >&2
      die "$what was not ready after $seconds s (above: the end of $log_file)."
    fi
    sleep 0.05
  done
}

# run_limited SECONDS COMMAND...: runs it with a time limit, as a job that a trap of ours can interrupt (bash runs
# traps only after a foreground command has ended). 124 means that the time was over. Limits are not nested: one at a
# time in each script.
limited_pid=''
run_limited() {
  local seconds=$1 status=0
  shift
  timeout --kill-after=15 "$seconds" "$@" </dev/null &
  limited_pid=$!
  wait "$limited_pid" || status=$?
  end_left_behind "$*"
  return "$status"
}

# timeout leads a process group of its own: whoever is still in it when it has ended was left behind.
end_left_behind() {
  if kill -KILL -- "-$limited_pid" 2>/dev/null; then note "ended processes that this left behind: $1"; fi
  limited_pid=''
}

# For exit traps: ends what run_limited was waiting for. timeout hands the signal on to its whole process group, whose
# members may have servers of their own to stop.
stop_limited() {
  [[ -n "$limited_pid" ]] || return 0
  stop_pid "$limited_pid" TERM 20
  end_left_behind 'the interrupted command'
}

# shellcheck shell=bash
# Several agents on one PostgreSQL and one bucket. Needs common.sh. Each agent has a name, "agent-0" and so on; its pid and
# log are called after it, in a folder of the caller's.

# draw_agents N: names them and draws their ports.
agent_names=() agent_ports=() metrics_ports=() peer_ports=()
draw_agents() {
  local i
  agent_names=() agent_ports=() metrics_ports=() peer_ports=()
  for ((i = 0; i < $1; i++)); do
    agent_names+=("agent-$i")
    free_port "agent_ports[$i]"
    free_port "metrics_ports[$i]"
    free_port "peer_ports[$i]"
  done
}

# start_agent DIR NAME PROGRAM ADVERTISED [SETTING=VALUE...]: on 127.0.0.1, with metrics and the peers' cache. Where storage is
# comes from the environment (agent_env in servers.sh). ADVERTISED is HOST:PORT, which clients are told: the same for all
# makes them one broker, whichever of them a connection ends at.
start_agent() {
  local dir=$1 name=$2 program=$3 advertised=$4 i=${2#agent-}
  shift 4
  spawn "$dir/$name.pid" "$dir/$name.log" env YAKS_NODE_ID="$i" \
    YAKS_BROKER_HOST=127.0.0.1 YAKS_BROKER_PORT="${agent_ports[$i]}" \
    YAKS_ADVERTISED_HOST="${advertised%:*}" YAKS_ADVERTISED_PORT="${advertised##*:}" \
    YAKS_OTEL_ENABLED=true YAKS_METRICS_PORT="${metrics_ports[$i]}" \
    YAKS_GROUPCACHE_ENABLED=true YAKS_GROUPCACHE_PORT="${peer_ports[$i]}" YAKS_GROUPCACHE_ADVERTISED_HOST=127.0.0.1 \
    "$@" "$program" agent
}

agent_ready() { curl -sf "http://127.0.0.1:${metrics_ports[${1#agent-}]}/readyz"; }

# wait_for_agent DIR NAME
wait_for_agent() { wait_until 30 "$2" "$1/$2.pid" "$1/$2.log" agent_ready "$2"; }

# stop_agents DIR: all at once, since each may take a while to store what it holds.
stop_agents() {
  local name pids=()
  for name in "${agent_names[@]}"; do
    [[ ! -f "$1/$name.pid" ]] || pids+=("$(cat "$1/$name.pid")")
  done
  ((!${#pids[@]})) || kill -TERM "${pids[@]}" 2>/dev/null || true
  for name in "${agent_names[@]}"; do stop_agent "$1/$name.pid"; done
}

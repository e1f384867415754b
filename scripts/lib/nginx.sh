# shellcheck shell=bash
# shellcheck disable=SC2154 # nginx_packages is in packages.sh
# nginx as the load balancer before several agents, from deploy/nginx.conf.template. Needs common.sh and packages.sh.

nginx_stream_module=/usr/lib/nginx/modules/ngx_stream_module.so

# render_nginx WORD=VALUE...: prints the template with these filled in.
render_nginx() {
  local text word
  text=$(<"$YAKS_ROOT/deploy/nginx.conf.template")
  # The comment at the head is about the template, not about what is made of it.
  while [[ $text == '#'* ]]; do text=${text#*$'\n'}; done
  for word in "$@"; do text=${text//"\${${word%%=*}}"/"${word#*=}"}; done
  printf '%s\n' "$text"
}

# servers_of ADDRESS...: an agent that refuses a connection is left out for a second. With a single one nothing is: there is
# no other to try.
servers_of() { printf '    server %s max_fails=1 fail_timeout=1s;\n' "$@"; }

# nginx_for_compose: what compose.yaml uses, with nginx's own image, which has the stream module in the program. "agents" is
# the network alias of all of them: nginx resolves it when it starts, to one address each.
nginx_for_compose() {
  echo '# Made from deploy/nginx.conf.template by: scripts/cluster --compose-nginx >deploy/nginx.conf'
  render_nginx modules='' pid=/run/nginx.pid user=nginx files=65536 connections=32768 \
    servers="$(servers_of agents:9092)"$'\n' listen=$'    listen 9092;\n'
}

# start_nginx DIR PORT AGENT_PORT...: nginx on PORT of the loopback, in front of agents on 127.0.0.1. Its configuration, log
# and pid (DIR/nginx.pid) are in DIR. It needs no root: it is a process like any other here, and no system service.
start_nginx() {
  local dir=$1 port=$2 files listen
  shift 2
  [[ -f $nginx_stream_module ]] || die "nginx's stream module is not installed." \
    "Run: apt-get install ${nginx_packages[*]}"
  mkdir -p "$dir"
  listen="    listen 127.0.0.1:$port;"$'\n'
  # Where "localhost" is ::1 first, clients try that first.
  ! grep -q '^00000000000000000000000000000001 ' /proc/net/if_inet6 2>/dev/null || listen+="    listen [::1]:$port;"$'\n'
  files=$(ulimit -Hn)
  [[ $files =~ ^[0-9]+$ ]] && ((files < 65536)) || files=65536
  # The name of a user matters only where the master is root.
  render_nginx modules="load_module $nginx_stream_module;"$'\n' pid="\"$dir/nginx-master.pid\"" user="$(id -un) $(id -gn)" \
    files="$files" connections="$((files / 2))" servers="$(servers_of "${@/#/127.0.0.1:}")"$'\n' listen="$listen" \
    >"$dir/nginx.conf"
  spawn "$dir/nginx.pid" "$dir/nginx.log" nginx -e stderr -c "$dir/nginx.conf" -g 'daemon off;'
  wait_until 10 nginx "$dir/nginx.pid" "$dir/nginx.log" port_taken "$port"
}

# stop_nginx DIR: TERM is nginx's fast shutdown. The master ends its workers.
stop_nginx() { stop_pid_file "$1/nginx.pid"; }

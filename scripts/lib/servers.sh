# shellcheck shell=bash
# shellcheck disable=SC2154 # the ports come from the file that servers_open reads
# The servers that tests run against: a private PostgreSQL 15 and two independent S3 servers, on free ports of
# 127.0.0.1, with all their data, logs and pids in one folder. Needs common.sh and packages.sh.
#
#   DIR/ports             what was drawn at the first start; a restart uses the same
#   DIR/<server>/         data            DIR/<server>.log   output           DIR/<server>.pid   while it runs
#
# Every function works on $servers_dir.

all_servers=(postgres s3 s3-second)
postgres_bin=/usr/lib/postgresql/15/bin

servers_open() {
  servers_dir=$1
  mkdir -p "$servers_dir"
  servers_dir=$(cd "$servers_dir" && pwd)
  if [[ ! -f "$servers_dir/ports" ]]; then
    local name
    for name in postgres_port s3_port second_s3_port second_master_port second_volume_port second_filer_port \
      second_admin_port; do
      free_port "$name"
      printf '%s=%s\n' "$name" "${!name}"
    done >"$servers_dir/ports.new"
    mv "$servers_dir/ports.new" "$servers_dir/ports"
  fi
  # shellcheck disable=SC1091
  source "$servers_dir/ports"
}

server_known() { [[ " ${all_servers[*]} " == *" $1 "* ]] || die "there is no server '$1'." "Known: ${all_servers[*]}"; }

server_start() {
  server_known "$1"
  [[ ! -f "$servers_dir/$1.pid" ]] || ! alive "$(cat "$servers_dir/$1.pid")" || return 0
  case $1 in
    postgres) start_postgres ;;
    s3) start_versitygw ;;
    s3-second) start_seaweedfs ;;
  esac
}

server_stop() {
  server_known "$1"
  case $1 in
    # INT is PostgreSQL's fast shutdown: it ends connections instead of waiting for them.
    postgres) stop_pid_file "$servers_dir/postgres.pid" INT ;;
    s3-second)
      stop_pid_file "$servers_dir/s3-second.pid"
      # It makes these under fixed names and leaves them behind.
      rm -f "/tmp/seaweedfs-s3-grpc-$((second_s3_port + 10000)).sock" \
        "/tmp/seaweedfs-admin-grpc-$((second_admin_port + 10000)).sock"
      ;;
    *) stop_pid_file "$servers_dir/$1.pid" ;;
  esac
}

# server_install NAME: what it needs, besides the Debian packages.
server_install() {
  case $1 in
    postgres) ;;
    s3) install_versitygw ;;
    s3-second) install_seaweedfs ;;
  esac
}

# --- PostgreSQL ----------------------------------------------------------------------------------

# PostgreSQL refuses to run as root. setpriv and env become the command instead of waiting for it, so the pid is right.
as_postgres=(env -C /)
if ((EUID == 0)); then
  as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --reset-env -- env -C /)
fi

start_postgres() {
  local data="$servers_dir/postgres"
  [[ -x "$postgres_bin/initdb" ]] || die "PostgreSQL 15 is not installed." "Run: apt-get install postgresql-15"
  [[ -f "$data/PG_VERSION" ]] || make_cluster "$data"
  spawn "$servers_dir/postgres.pid" "$servers_dir/postgres.log" "${as_postgres[@]}" "$postgres_bin/postgres" -D "$data" \
    -p "$postgres_port"
  wait_until 60 PostgreSQL "$servers_dir/postgres.pid" "$servers_dir/postgres.log" \
    "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port"
  if [[ "$(postgres_sql "select count(*) from pg_database where datname = 'yaks'")" == 0 ]]; then
    postgres_sql "create role yaks login createdb password 'yaks'"
    postgres_sql "create database yaks owner yaks"
  fi
}

make_cluster() {
  local data=$1 password_file
  mkdir -p "$data"
  chmod 700 "$data"
  password_file=$(mktemp)
  echo yaks >"$password_file"
  if ((EUID == 0)); then
    # The folder may be a mktemp one (0700), through which user postgres must pass.
    chmod a+x "$servers_dir"
    chown postgres: "$data" "$password_file"
    "${as_postgres[@]}" test -x "$data" ||
      die "user postgres cannot reach $data." "Choose a folder outside /root, for example under /tmp."
  fi
  "${as_postgres[@]}" "$postgres_bin/initdb" -D "$data" --username=postgres --auth=scram-sha-256 \
    --pwfile="$password_file" --encoding=UTF8 --locale=C.UTF-8 >>"$servers_dir/postgres.log" 2>&1 ||
    die "initdb failed (see $servers_dir/postgres.log)."
  rm -f "$password_file"
  # fsync stays on: what tests and benchmarks see is what a user gets.
  cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $postgres_port
unix_socket_directories = ''
max_connections = 200
shared_buffers = 128MB
shared_preload_libraries = 'pg_stat_statements'
${YAKS_TEST_POSTGRES_CONF:-}
CONF
}

# postgres_sql STATEMENT: as the superuser, in database postgres; prints bare values.
postgres_sql() {
  PGPASSWORD=yaks "$postgres_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$postgres_port" -U postgres \
    -d postgres -c "$1" </dev/null
}

# --- S3 ------------------------------------------------------------------------------------------

start_versitygw() {
  mkdir -p "$servers_dir/s3"
  spawn "$servers_dir/s3.pid" "$servers_dir/s3.log" \
    env ROOT_ACCESS_KEY=test ROOT_SECRET_KEY=test "$YAKS_TOOLS/bin/versitygw" --port "127.0.0.1:$s3_port" \
    --region us-east-1 --virtual-domain localhost --keep-alive --quiet --health /health posix "$servers_dir/s3"
  wait_until 30 versitygw "$servers_dir/s3.pid" "$servers_dir/s3.log" \
    curl -sf "http://127.0.0.1:$s3_port/health"
  make_bucket "http://127.0.0.1:$s3_port/yaks-test"
}

start_seaweedfs() {
  mkdir -p "$servers_dir/s3-second"
  cat >"$servers_dir/s3-second.json" <<'JSON'
{"identities": [{"name": "test", "credentials": [{"accessKey": "test", "secretKey": "test"}],
                 "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
  # The ports that are 0 would otherwise be fixed ones, over which two test runs on one machine would fight. Its own
  # logs go to TMPDIR.
  spawn "$servers_dir/s3-second.pid" "$servers_dir/s3-second.log" \
    env -C "$servers_dir/s3-second" TMPDIR="$servers_dir/s3-second" "$YAKS_TOOLS/seaweedfs-venv/bin/weed" mini -dir="$servers_dir/s3-second" \
    -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.port="$second_master_port" -volume.port="$second_volume_port" \
    -filer.port="$second_filer_port" -admin.port="$second_admin_port" -s3.port="$second_s3_port" \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.config="$servers_dir/s3-second.json" -s3.domainName=localhost \
    -s3.localSocket="$servers_dir/s3-second.sock" -webdav=false -admin.ui=false
  wait_until 60 SeaweedFS "$servers_dir/s3-second.pid" "$servers_dir/s3-second.log" \
    make_bucket "http://127.0.0.1:$second_s3_port/yaks-test"
}

# make_bucket URL: creates it unless it is there. curl signs a plain request without a query correctly.
make_bucket() {
  local status
  status=$(curl -s -o /dev/null -w '%{http_code}' --aws-sigv4 aws:amz:us-east-1:s3 --user test:test -X PUT \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$1")
  [[ "$status" == 200 || "$status" == 409 ]]
}

# --- what the callers need to know ---------------------------------------------------------------

# servers_env: for the tests. scripts/README.md describes the variables.
servers_env() {
  cat <<ENV
export YAKS_TEST_SERVERS_DIR='$servers_dir'
export YAKS_TEST_POSTGRES='host=127.0.0.1 port=$postgres_port user=yaks password=yaks dbname=yaks'
export YAKS_TEST_POSTGRES_ADMIN='host=127.0.0.1 port=$postgres_port user=postgres password=yaks dbname=postgres'
ENV
  s3_env YAKS_TEST_S3 "$s3_port"
  s3_env YAKS_TEST_S3_SECOND "$second_s3_port"
}

s3_env() {
  cat <<ENV
export $1='endpoint=http://127.0.0.1:$2 region=us-east-1 access_key=test secret_key=test bucket=yaks-test'
export $1_ENDPOINT='http://127.0.0.1:$2'
export $1_REGION='us-east-1'
export $1_ACCESS_KEY='test'
export $1_SECRET_KEY='test'
export $1_BUCKET='yaks-test'
ENV
}

# agent_env [DATABASE [BUCKET]]: the settings of an agent that uses these servers. Kept apart from the above, since any
# YAKS_DB_* or YAKS_S3_* variable makes an agent leave its embedded default.
agent_env() {
  cat <<ENV
export YAKS_DB_HOST='127.0.0.1'
export YAKS_DB_PORT='$postgres_port'
export YAKS_DB_USER='yaks'
export YAKS_DB_PASSWORD='yaks'
export YAKS_DB_NAME='${1:-yaks}'
export YAKS_RUN_MIGRATIONS='true'
export YAKS_S3_ENDPOINT='http://127.0.0.1:$s3_port'
export YAKS_S3_REGION='us-east-1'
export YAKS_S3_ACCESS_KEY='test'
export YAKS_S3_SECRET_KEY='test'
export YAKS_S3_BUCKET='${2:-yaks-agent}'
export YAKS_S3_CREATE_BUCKET='true'
ENV
}

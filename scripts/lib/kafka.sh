# shellcheck shell=bash
# Apache Kafka 4.3.1 from its jars, for comparison: one node that is broker and controller (KRaft, combined mode).
# Needs common.sh and packages.sh.

install_kafka() { install_jars kafka-server "$YAKS_ROOT/scripts/kafka/pom.xml"; }

# start_kafka DIR PORT [ADVERTISED_PORT]: starts it on 127.0.0.1:PORT with its data, log and pid (DIR/kafka.pid) in DIR,
# and returns when it serves. Clients are told ADVERTISED_PORT, where a proxy may listen. Settings are Kafka's
# defaults, except that replication factors are 1, and what KAFKA_EXTRA_CONF (lines) says; KAFKA_HEAP sets the heap.
start_kafka() {
  local dir=$1 port=$2 advertised=${3:-$2} controller_port cluster_id classpath
  mkdir -p "$dir"
  free_port controller_port
  classpath="$YAKS_TOOLS/kafka-server-jars/*"
  cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$advertised
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
${KAFKA_EXTRA_CONF:-}
CONF
  cat >"$dir/log4j2.properties" <<'CONF'
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c - %m%n
CONF
  if [[ ! -f "$dir/data/meta.properties" ]]; then
    # A cluster id is 16 bytes in URL-safe base64; a leading dash would be read as an option.
    cluster_id=k$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-20)w
    java -Xshare:auto -cp "$classpath" -Dlog4j2.configurationFile="$dir/log4j2.properties" kafka.tools.StorageTool \
      format --cluster-id "$cluster_id" --config "$dir/server.properties" >"$dir/kafka.log" 2>&1 </dev/null || {
      tail -n 20 "$dir/kafka.log" >&2
      die "could not format Kafka's storage in $dir/data."
    }
  fi
  # shellcheck disable=SC2086 # KAFKA_HEAP may hold several options
  spawn "$dir/kafka.pid" "$dir/kafka.log" java -server ${KAFKA_HEAP:--Xms512m -Xmx1g} -XX:+UseG1GC \
    -XX:MaxGCPauseMillis=20 -Djava.awt.headless=true -cp "$classpath" \
    -Dlog4j2.configurationFile="$dir/log4j2.properties" kafka.Kafka "$dir/server.properties"
  # The port opens last, once the broker is unfenced.
  wait_until 60 'Apache Kafka' "$dir/kafka.pid" "$dir/kafka.log" port_taken "$port"
}

# stop_kafka DIR
stop_kafka() { stop_pid_file "$1/kafka.pid"; }

#include "config/definitions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace yaks::config {
namespace {
constexpr std::int64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;
constexpr std::int64_t forever = 9223372036854775807;
constexpr std::int64_t port_max = 65535, int32_max = 2147483647;
constexpr std::int64_t minute = 60'000, hour = 60 * minute, day = 24 * hour;

// clang-format off
constexpr definition table[] = {
  {.name = "DATA_DIR", .in = group::storage, .type = kind::word, .fallback = "./yaks-data",
   .help = "Folder of the embedded storage: metadata in SQLite, records in files. Nothing is written there with PostgreSQL and S3.",
   .store = [](settings& s, const value& v) { s.process.data_directory = v.text; }},
  {.name = "METASTORE", .in = group::storage, .type = kind::choice, .fallback = "", .choices = "embedded postgres",
   .help = "Where metadata lives. Not needed as a rule: any YAKS_DB_* or YAKS_S3_* selects PostgreSQL and S3, none selects embedded. "
           "For mixed forms give this and YAKS_OBJECT_STORE.",
   .store = [](settings&, const value&) {}},  // choose_storage reads it
  {.name = "OBJECT_STORE", .in = group::storage, .type = kind::choice, .fallback = "", .choices = "directory s3",
   .help = "Where records live. See YAKS_METASTORE.",
   .store = [](settings&, const value&) {}},

  {.name = "BROKER_HOST", .in = group::listener, .type = kind::word, .fallback = "0.0.0.0",
   .help = "Address to listen on for Kafka clients.",
   .store = [](settings& s, const value& v) { s.listener.host = v.text; }},
  {.name = "BROKER_PORT", .in = group::listener, .type = kind::port, .fallback = "9092", .least = 0, .most = port_max,
   .help = "Port to listen on for Kafka clients; 0 takes any free one.",
   .store = [](settings& s, const value& v) { s.listener.port = v.port(); }},
  {.name = "ADVERTISED_HOST", .in = group::listener, .type = kind::word, .fallback = "localhost",
   .help = "Host name that clients are told to connect to. Clients on other machines need one that they can resolve.",
   .store = [](settings& s, const value& v) { s.listener.advertised_host = v.text; }},
  {.name = "ADVERTISED_PORT", .in = group::listener, .type = kind::port, .fallback = "0", .least = 0, .most = port_max,
   .help = "Port that clients are told to connect to; 0 means YAKS_BROKER_PORT.",
   .store = [](settings& s, const value& v) { s.listener.advertised_port = v.port(); }},
  {.name = "REQUEST_MAX_BYTES", .in = group::listener, .type = kind::bytes, .fallback = "104857600", .least = kib, .most = int32_max,
   .help = "Largest request. A connection that announces a larger one is closed.",
   .store = [](settings& s, const value& v) { s.listener.request_bytes_max = v.size(); }},
  {.name = "MAX_CONNECTIONS", .in = group::listener, .type = kind::number, .fallback = "10000", .least = 1, .most = 1'000'000,
   .help = "Client connections at the same time. Further ones are accepted and closed at once, and counted.",
   .store = [](settings& s, const value& v) { s.listener.connections_max = v.size(); }},
  {.name = "CONNECTION_IDLE_MS", .in = group::listener, .type = kind::milliseconds, .fallback = "600000", .least = 1000, .most = 30 * day,
   .help = "A connection without a request for so long is closed.",
   .store = [](settings& s, const value& v) { s.listener.idle_timeout = v.time(); }},

  {.name = "AUTO_CREATE_TOPICS", .in = group::topics, .type = kind::truth, .fallback = "true",
   .help = "Create a topic when a client asks for it and allows its creation.",
   .store = [](settings& s, const value& v) { s.topics.auto_create = v.truth(); }},
  {.name = "DEFAULT_PARTITIONS", .in = group::topics, .type = kind::number, .fallback = "1", .least = 1, .most = 10'000,
   .help = "Partitions of a topic that is created automatically, or with -1 partitions.",
   .store = [](settings& s, const value& v) { s.topics.default_partitions = std::int32_t(v.number); }},
  {.name = "MAX_MESSAGE_BYTES", .in = group::topics, .type = kind::bytes, .fallback = "1048588", .least = 1, .most = int32_max,
   .help = "Largest record batch, where the topic's max.message.bytes does not say otherwise.",
   .store = [](settings& s, const value& v) { s.topics.message_bytes_max = v.size(); }},

  {.name = "GROUP_INITIAL_REBALANCE_DELAY_MS", .in = group::groups, .type = kind::milliseconds, .fallback = "3000", .least = 0, .most = hour,
   .help = "How long a group that was empty waits for more members before its first rebalance. 0 for tests.",
   .store = [](settings& s, const value& v) { s.groups.initial_rebalance_delay = v.time(); }},
  {.name = "GROUP_MIN_SESSION_TIMEOUT_MS", .in = group::groups, .type = kind::milliseconds, .fallback = "6000", .least = 1, .most = hour,
   .help = "Shortest session timeout that a member may ask for.",
   .store = [](settings& s, const value& v) { s.groups.session_timeout_min = v.time(); }},
  {.name = "GROUP_MAX_SESSION_TIMEOUT_MS", .in = group::groups, .type = kind::milliseconds, .fallback = "1800000", .least = 1, .most = day,
   .help = "Longest session timeout that a member may ask for.",
   .store = [](settings& s, const value& v) { s.groups.session_timeout_max = v.time(); }},
  {.name = "GROUP_MAX_SIZE", .in = group::groups, .type = kind::number, .fallback = "10000", .least = 1, .most = int32_max,
   .help = "Most members of one group. Every agent keeps their metadata and assignments in memory.",
   .store = [](settings& s, const value& v) { s.groups.members_max = v.number; }},
  {.name = "OFFSETS_RETENTION_MINUTES", .in = group::groups, .type = kind::number, .fallback = "10080", .least = 1, .most = int32_max,
   .help = "Committed offsets are kept for so long after their group has lost its last member.",
   .store = [](settings& s, const value& v) { s.groups.offsets_retention = milliseconds(v.number * minute); }},

  {.name = "FLUSH_INTERVAL_MS", .in = group::writing, .type = kind::milliseconds, .fallback = "250", .least = 1, .most = minute,
   .help = "At most one small object is written per interval, on average. A lone record does not wait for it; larger is cheaper on S3.",
   .store = [](settings& s, const value& v) { s.write.flush_interval = v.time(); }},
  {.name = "FLUSH_BYTES", .in = group::writing, .type = kind::bytes, .fallback = "5242880", .least = kib, .most = gib,
   .help = "A write buffer this full is written without waiting for the interval.",
   .store = [](settings& s, const value& v) { s.write.flush_bytes = v.size(); }},
  {.name = "BUFFER_MAX_BYTES", .in = group::writing, .type = kind::bytes, .fallback = "134217728", .least = mib, .most = 1024 * gib,
   .help = "Memory for records that are not stored yet. When it is full, producers' sockets are not read.",
   .store = [](settings& s, const value& v) { s.write.buffer_bytes_max = v.size(); }},
  {.name = "UPLOAD_DEADLINE_MS", .in = group::writing, .type = kind::milliseconds, .fallback = "600000", .least = 1000, .most = day,
   .help = "An object is given up when it is not stored and committed after so long.",
   .store = [](settings& s, const value& v) { s.write.upload_deadline = v.time(); }},

  {.name = "FETCH_MAX_BYTES", .in = group::reading, .type = kind::bytes, .fallback = "52428800", .least = 1, .most = int32_max,
   .help = "Most bytes in one fetch answer, whatever the client asks for. One batch is always sent.",
   .store = [](settings& s, const value& v) { s.read.response_bytes_max = v.size(); }},
  {.name = "FETCH_MEMORY_BYTES", .in = group::reading, .type = kind::bytes, .fallback = "268435456", .least = mib, .most = 1024 * gib,
   .help = "Memory for fetches under way. A fetch that finds none waits its turn.",
   .store = [](settings& s, const value& v) { s.read.memory_bytes = v.size(); }},
  {.name = "GROUPCACHE_CACHE_SIZE_MB", .in = group::reading, .type = kind::mebibytes, .fallback = "512", .least = 1, .most = 1024 * 1024,
   .help = "Memory for record data that was just written or read, in MiB.",
   .store = [](settings& s, const value& v) { s.read.cache_bytes = v.size() * std::size_t(mib); }},
  {.name = "LOG_STALE_MS", .in = group::reading, .type = kind::milliseconds, .fallback = "60000", .least = 1000, .most = day,
   .help = "Without news from the metadata store for so long, the agent turns unready and fails fetches with a retriable error.",
   .store = [](settings& s, const value& v) { s.read.log_stale_after = v.time(); }},
  {.name = "BACKFILL_BYTES_PER_S", .in = group::reading, .type = kind::bytes, .fallback = "0", .least = 0, .most = 1024 * gib,
   .help = "Most bytes per second that an agent reads from S3 for consumers far behind; 0 means no limit. They never take the tail's "
           "place in the cache.",
   .store = [](settings& s, const value& v) { s.read.backfill_bytes_per_s = std::uint64_t(v.number); }},
  {.name = "BACKFILL_AGE_MS", .in = group::reading, .type = kind::milliseconds, .fallback = "60000", .least = 0, .most = 30 * day,
   .help = "Objects older than this are read as a backfill: with few at a time, after the tail, and not at its cost.",
   .store = [](settings& s, const value& v) { s.read.backfill_age = v.time(); }},
  {.name = "BACKFILL_GET_BYTES", .in = group::reading, .type = kind::bytes, .fallback = "67108864", .least = 0, .most = 5 * gib,
   .help = "Most bytes of one GET for a consumer far behind, taken from its connection as the consumer goes on. 0: such GETs are never made.",
   .store = [](settings& s, const value& v) { s.read.backfill_get_bytes = std::uint64_t(v.number); }},
  {.name = "BACKFILL_WINDOW_BYTES", .in = group::reading, .type = kind::bytes, .fallback = "8388608", .least = 1024, .most = gib,
   .help = "How far such a GET may be ahead of its consumer; all together at most a sixteenth of the cache.",
   .store = [](settings& s, const value& v) { s.read.backfill_window_bytes = std::uint64_t(v.number); }},

  {.name = "DB_HOST", .in = group::postgres, .type = kind::word, .fallback = "localhost",
   .help = "Host name, address, or folder of the Unix socket.",
   .store = [](settings& s, const value& v) { s.database.host = v.text; }},
  {.name = "DB_PORT", .in = group::postgres, .type = kind::port, .fallback = "5432", .least = 1, .most = port_max,
   .help = "Port.",
   .store = [](settings& s, const value& v) { s.database.port = v.port(); }},
  {.name = "DB_USER", .in = group::postgres, .type = kind::word, .fallback = "testuser",
   .help = "User.",
   .store = [](settings& s, const value& v) { s.database.user = v.text; }},
  {.name = "DB_PASSWORD", .in = group::postgres, .type = kind::secret, .fallback = "testpassword",
   .help = "Password. Never printed.",
   .store = [](settings& s, const value& v) { s.database.password = v.text; }},
  {.name = "DB_NAME", .in = group::postgres, .type = kind::word, .fallback = "testdb",
   .help = "Database.",
   .store = [](settings& s, const value& v) { s.database.name = v.text; }},
  {.name = "DB_SSLMODE", .in = group::postgres, .type = kind::choice, .fallback = "disable",
   .choices = "disable allow prefer require verify-ca verify-full",
   .help = "As PostgreSQL's sslmode.",
   .store = [](settings& s, const value& v) { s.database.sslmode = v.text; }},
  {.name = "RUN_MIGRATIONS", .in = group::postgres, .type = kind::truth, .fallback = "false",
   .help = "Create or upgrade the schema at start. Embedded storage does so always.",
   .store = [](settings& s, const value& v) { s.database.run_migrations = v.truth(); }},

  {.name = "S3_ENDPOINT", .in = group::s3, .type = kind::url, .fallback = "http://localhost:4566",
   .help = "Address of the S3 server. Empty means AWS in YAKS_S3_REGION.",
   .store = [](settings& s, const value& v) { s.s3.endpoint = v.text; }},
  {.name = "S3_REGION", .in = group::s3, .type = kind::word, .fallback = "us-east-1",
   .help = "Region, as requests are signed for it.",
   .store = [](settings& s, const value& v) { s.s3.region = v.text; }},
  {.name = "S3_ACCESS_KEY", .in = group::s3, .type = kind::secret, .fallback = "test",
   .help = "Access key. Where neither it nor the secret key is set, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are taken.",
   .store = [](settings& s, const value& v) { s.s3.access_key = v.text; }},
  {.name = "S3_SECRET_KEY", .in = group::s3, .type = kind::secret, .fallback = "test",
   .help = "Secret key. Never printed.",
   .store = [](settings& s, const value& v) { s.s3.secret_key = v.text; }},
  {.name = "S3_PATH_STYLE", .in = group::s3, .type = kind::truth, .fallback = "true",
   .help = "Bucket in the path (host/bucket/key); false puts it into the host name (bucket.host/key).",
   .store = [](settings& s, const value& v) { s.s3.path_style = v.truth(); }},
  {.name = "S3_BUCKET", .in = group::s3, .type = kind::word, .fallback = "test-bucket",
   .help = "Bucket.",
   .store = [](settings& s, const value& v) { s.s3.bucket = v.text; }},
  {.name = "S3_PREFIX", .in = group::s3, .type = kind::text, .fallback = "",
   .help = "Put before every key, so that several installations can share a bucket.",
   .store = [](settings& s, const value& v) { s.s3.prefix = v.text; }},
  {.name = "S3_CREATE_BUCKET", .in = group::s3, .type = kind::truth, .fallback = "false",
   .help = "Create the bucket at start where it is missing.",
   .store = [](settings& s, const value& v) { s.s3.create_bucket = v.truth(); }},
  {.name = "S3_SIGN_PAYLOAD", .in = group::s3, .type = kind::truth, .fallback = "false",
   .help = "Sign a SHA-256 of each body instead of its checksum header: costs about 0.6 ms per MiB, and few servers ask for it.",
   .store = [](settings& s, const value& v) { s.s3.sign_payload = v.truth(); }},

  {.name = "OTEL_ENABLED", .in = group::metrics, .type = kind::truth, .fallback = "false",
   .help = "Serve Prometheus metrics, /healthz and /readyz on YAKS_METRICS_PORT. (The name is kept for configurations that have it; "
           "OTEL_EXPORTER_OTLP_ENDPOINT is what sends metrics to a collector.)",
   .store = [](settings& s, const value& v) { s.metrics.enabled = v.truth(); }},
  {.name = "METRICS_PORT", .in = group::metrics, .type = kind::port, .fallback = "9090", .least = 0, .most = port_max,
   .help = "Port of the metrics; 0 takes any free one.",
   .store = [](settings& s, const value& v) { s.metrics.port = v.port(); }},
  {.name = "OTEL_EXPORTER_OTLP_ENDPOINT", .in = group::metrics, .type = kind::path_url, .fallback = "",
   .help = "OpenTelemetry collector that the same metrics are sent to: OTLP over HTTP, as JSON, to /v1/metrics below this address. Empty: none.",
   .is_standard = true,
   .store = [](settings& s, const value& v) { s.otlp.endpoint = v.text; }},
  {.name = "OTEL_EXPORTER_OTLP_HEADERS", .in = group::metrics, .type = kind::secret, .fallback = "",
   .help = "Headers that go with them: name=value, separated by commas, values percent-encoded. Never printed.", .is_standard = true,
   .store = [](settings& s, const value& v) { s.otlp.headers = v.text; }},
  {.name = "OTEL_METRIC_EXPORT_INTERVAL", .in = group::metrics, .type = kind::milliseconds, .fallback = "60000", .least = 100, .most = hour,
   .help = "How often they are sent.", .is_standard = true,
   .store = [](settings& s, const value& v) { s.otlp.interval = v.time(); }},
  {.name = "OTEL_SERVICE_NAME", .in = group::metrics, .type = kind::word, .fallback = "yaks",
   .help = "What they call this service: the resource attribute service.name.", .is_standard = true,
   .store = [](settings& s, const value& v) { s.otlp.service_name = v.text; }},
  {.name = "OTEL_RESOURCE_ATTRIBUTES", .in = group::metrics, .type = kind::text, .fallback = "",
   .help = "More attributes of this agent: name=value, separated by commas, values percent-encoded.", .is_standard = true,
   .store = [](settings& s, const value& v) { s.otlp.resource_attributes = v.text; }},
  {.name = "PRICE_PUT_PER_1000", .in = group::metrics, .type = kind::dollars, .fallback = "0.005",
   .help = "Dollars for 1,000 PUT, POST and LIST requests, for yaks_estimated_cost_dollars_total and the dashboard. Defaults are list prices "
           "of S3 Standard in us-east-1.",
   .store = [](settings& s, const value& v) { s.prices.put_per_1000 = v.dollars; }},
  {.name = "PRICE_GET_PER_1000", .in = group::metrics, .type = kind::dollars, .fallback = "0.0004",
   .help = "Dollars for 1,000 GET requests.",
   .store = [](settings& s, const value& v) { s.prices.get_per_1000 = v.dollars; }},
  {.name = "PRICE_TRANSFER_PER_GB", .in = group::metrics, .type = kind::dollars, .fallback = "0",
   .help = "Dollars for 10^9 bytes between agents and the object store; nothing within a region.",
   .store = [](settings& s, const value& v) { s.prices.transfer_per_gb = v.dollars; }},
  {.name = "PRICE_STORAGE_PER_GB_MONTH", .in = group::metrics, .type = kind::dollars, .fallback = "0.023",
   .help = "Dollars for 10^9 bytes stored for a month, for the dashboard.",
   .store = [](settings& s, const value& v) { s.prices.storage_per_gb_month = v.dollars; }},

  {.name = "CONSOLE_PORT", .in = group::console, .type = kind::port, .fallback = "0", .least = 0, .most = port_max,
   .help = "Port of a web page that shows the whole cluster, served by this agent; 0 means none.",
   .store = [](settings& s, const value& v) { s.console.port = v.port(); }},
  {.name = "CONSOLE_HOST", .in = group::console, .type = kind::word, .fallback = "127.0.0.1",
   .help = "Address that the page is served on.",
   .store = [](settings& s, const value& v) { s.console.host = v.text; }},
  {.name = "CONSOLE_TOKEN", .in = group::console, .type = kind::secret, .fallback = "",
   .help = "The page asks for this before it shows anything; empty means that everybody who reaches the port may look. Never printed.",
   .store = [](settings& s, const value& v) { s.console.token = v.text; }},

  {.name = "GROUPCACHE_ENABLED", .in = group::cache_peers, .type = kind::truth, .fallback = "false",
   .help = "Share cached data with other agents: each object is read from S3 once for all of them. Agents find each other through PostgreSQL.",
   .store = [](settings& s, const value& v) { s.cache_peers.enabled = v.truth(); }},
  {.name = "GROUPCACHE_PORT", .in = group::cache_peers, .type = kind::port, .fallback = "9080", .least = 0, .most = port_max,
   .help = "Port for other agents, on YAKS_BROKER_HOST; 0 takes any free one.",
   .store = [](settings& s, const value& v) { s.cache_peers.port = v.port(); }},
  {.name = "GROUPCACHE_ADVERTISED_HOST", .in = group::cache_peers, .type = kind::text, .fallback = "",
   .help = "Host name that other agents connect to; empty means YAKS_ADVERTISED_HOST. Needed where that one is a load balancer's.",
   .store = [](settings& s, const value& v) { s.cache_peers.advertised_host = v.text; }},
  {.name = "GROUPCACHE_SECRET", .in = group::cache_peers, .type = kind::secret, .fallback = "",
   .help = "What agents show each other, the same everywhere; empty means one that is made once and kept in PostgreSQL. Never printed. "
           "It keeps strangers out and encrypts nothing.",
   .store = [](settings& s, const value& v) { s.cache_peers.secret = v.text; }},
  {.name = "GROUPCACHE_HEARTBEAT_MS", .in = group::cache_peers, .type = kind::milliseconds, .fallback = "5000", .least = 100, .most = hour,
   .help = "How often an agent renews its lease, and learns whose leases live.",
   .store = [](settings& s, const value& v) { s.cache_peers.heartbeat = v.time(); }},
  {.name = "GROUPCACHE_POLL_MS", .in = group::cache_peers, .type = kind::milliseconds, .fallback = "10000", .least = 100, .most = hour,
   .help = "An agent that cannot be reached is asked for cached data again after so long. One that comes or goes is seen at once.",
   .store = [](settings& s, const value& v) { s.cache_peers.poll = v.time(); }},
  {.name = "GROUPCACHE_LEASE_TTL_MS", .in = group::cache_peers, .type = kind::milliseconds, .fallback = "15000", .least = 1000, .most = hour,
   .help = "An agent that has not renewed its lease for so long is taken for gone: clients are no longer sent to it.",
   .store = [](settings& s, const value& v) { s.cache_peers.lease = v.time(); }},

  {.name = "MATERIALIZE_INTERVAL_MS", .in = group::materializer, .type = kind::milliseconds, .fallback = "100", .least = 1, .most = hour,
   .help = "How often the agent that holds the lease writes what is ready into the index in the metastore.",
   .store = [](settings& s, const value& v) { s.materializer.interval = v.time(); }},
  {.name = "MATERIALIZE_BATCH_SIZE", .in = group::materializer, .type = kind::number, .fallback = "1000", .least = 1, .most = 1'000'000,
   .help = "Most chunks that one transaction of the index writes.",
   .store = [](settings& s, const value& v) { s.materializer.batch_size = v.number; }},
  {.name = "MATERIALIZE_CHUNK_RANGES", .in = group::materializer, .type = kind::number, .fallback = "100", .least = 1, .most = 10'000,
   .help = "Byte ranges in one chunk of the index. As many of each partition stay in every agent's memory, so that its tail is read without a query.",
   .store = [](settings& s, const value& v) { s.materializer.chunk_ranges = v.number; }},
  {.name = "SNAPSHOT_ENTRIES", .in = group::materializer, .type = kind::number, .fallback = "10000", .least = 100, .most = 10'000'000,
   .help = "After so many entries of the metadata log, but not sooner than YAKS_LOG_STALE_MS after the last one, a snapshot is made and the log is trimmed.",
   .store = [](settings& s, const value& v) { s.materializer.snapshot_entries = v.number; }},
  {.name = "READ_MODEL_INTERVAL_MS", .in = group::materializer, .type = kind::milliseconds, .fallback = "5000", .least = 0, .most = hour,
   .help = "How often the tables for SQL (topics, partitions, committed_offsets) get what has changed, at most 10,000 rows at a time. 0: never.",
   .store = [](settings& s, const value& v) { s.materializer.read_model_interval = v.time(); }},

  {.name = "DEFAULT_RETENTION_MS", .in = group::upkeep, .type = kind::number, .fallback = "604800000", .least = -1, .most = forever,
   .help = "How long records are kept where the topic's retention.ms does not say otherwise, in milliseconds; -1: for ever.",
   .store = [](settings& s, const value& v) { s.upkeep.retention_ms = v.number; }},
  {.name = "DEFAULT_RETENTION_BYTES", .in = group::upkeep, .type = kind::number, .fallback = "-1", .least = -1, .most = forever,
   .help = "How many bytes each partition keeps where the topic's retention.bytes does not say otherwise; -1: no limit.",
   .store = [](settings& s, const value& v) { s.upkeep.retention_bytes = v.number; }},
  {.name = "RETENTION_INTERVAL_MS", .in = group::upkeep, .type = kind::milliseconds, .fallback = "10000", .least = 100, .most = day,
   .help = "How often each partition is looked at for records that are kept no longer.",
   .store = [](settings& s, const value& v) { s.upkeep.retention_interval = v.time(); }},
  {.name = "DELETE_GRACE_MS", .in = group::upkeep, .type = kind::milliseconds, .fallback = "60000", .least = 0, .most = 7 * day,
   .help = "How long an object that nobody refers to any more stays, after every live agent knows that nobody does.",
   .store = [](settings& s, const value& v) { s.upkeep.delete_grace = v.time(); }},
  {.name = "SWEEP_INTERVAL_MS", .in = group::upkeep, .type = kind::milliseconds, .fallback = "21600000", .least = 0, .most = 30 * day,
   .help = "How often the whole bucket is listed, a piece at a time, for objects that were uploaded and never committed; they are deleted. "
           "0: never.",
   .store = [](settings& s, const value& v) { s.upkeep.sweep_interval = v.time(); }},
  {.name = "MERGE_BYTES_PER_SECOND", .in = group::upkeep, .type = kind::bytes, .fallback = "33554432", .least = 0, .most = 10'000'000'000,
   .help = "How much of the history may be rewritten per second, so that short ranges in many objects become long ones in few. 0: none.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_bytes_per_second = v.number; }},
  {.name = "MERGE_INTERVAL_MS", .in = group::upkeep, .type = kind::milliseconds, .fallback = "60000", .least = 100, .most = day,
   .help = "How often each partition is looked at for ranges to merge.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_interval = v.time(); }},
  {.name = "MERGE_AGE_MS", .in = group::upkeep, .type = kind::milliseconds, .fallback = "3600000", .least = 0, .most = 30 * day,
   .help = "Ranges this old are merged also where they are fewer than fill an object.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_age = v.time(); }},
  {.name = "MERGE_OBJECT_BYTES", .in = group::upkeep, .type = kind::bytes, .fallback = "67108864", .least = 4096, .most = 1'000'000'000,
   .help = "How large a merged object becomes. The agent that merges needs as much memory. Runs of a quarter of it are long enough.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_object_bytes = v.number; }},
  {.name = "MERGE_MIN_RUNS", .in = group::upkeep, .type = kind::number, .fallback = "8", .least = 2, .most = 10'000,
   .help = "So many separate pieces of a partition at least are merged into one.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_min_runs = v.number; }},
  {.name = "MERGE_LIVE_RATIO", .in = group::upkeep, .type = kind::ratio, .fallback = "0.5", .least = 0, .most = 1,
   .help = "An object of which less than this is still kept is emptied into another one, so that it can be deleted. 0: never.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_live_ratio = v.ratio; }},
  {.name = "MERGE_WRITE_RATIO", .in = group::upkeep, .type = kind::ratio, .fallback = "1.2", .least = 1, .most = 100,
   .help = "Bytes that merging may write, of those that it merges for the first time.",
   .store = [](settings& s, const value& v) { s.upkeep.merge_write_ratio = v.ratio; }},

  {.name = "NODE_ID", .in = group::process, .type = kind::number, .fallback = "0", .least = 0, .most = int32_max,
   .help = "Broker id of this agent; each agent of an installation has its own.",
   .store = [](settings& s, const value& v) { s.process.node_id = std::int32_t(v.number); }},
  {.name = "ZONE", .in = group::process, .type = kind::text, .fallback = "",
   .help = "Availability zone of this agent, shown to clients as its rack.",
   .store = [](settings& s, const value& v) { s.process.zone = v.text; }},
  {.name = "SHUTDOWN_TIMEOUT_MS", .in = group::process, .type = kind::milliseconds, .fallback = "10000", .least = 0, .most = hour,
   .help = "SIGTERM: what is buffered is stored and answered within this time. A second signal exits at once.",
   .store = [](settings& s, const value& v) { s.process.shutdown_timeout = v.time(); }},
  {.name = "LOG_LEVEL", .in = group::process, .type = kind::choice, .fallback = "info",
   .choices = "trace debug info warn error critical off",
   .help = "How much is logged.",
   .store = [](settings& s, const value& v) { s.process.log_level = v.text; }},
};
// clang-format on

std::optional<bool> parse_truth(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  for (std::string_view yes : {"true", "t", "1", "yes", "on"})
    if (lower == yes) return true;
  for (std::string_view no : {"false", "f", "0", "no", "off"})
    if (lower == no) return false;
  return std::nullopt;
}

// http[s]://host[:port][/], where an IPv6 address is in brackets.
bool is_url(std::string_view text, bool may_have_path = false) {
  if (text.starts_with("http://"))
    text.remove_prefix(7);
  else if (text.starts_with("https://"))
    text.remove_prefix(8);
  else
    return false;
  if (may_have_path) {
    auto path = text.substr(std::min(text.find('/'), text.size()));
    if (path.find_first_of(" ?#\"\\") != path.npos) return false;
    text.remove_suffix(path.size());
  }
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.starts_with('[')) {
    auto end = text.find(']');
    if (end == text.npos || end < 3) return false;
    text.remove_prefix(end);  // "]:port": the bracket stands for the host from here on
  }
  auto colon = text.find(':');
  auto host = text.substr(0, colon);
  if (host.empty() || host.find_first_of("/ @?#") != host.npos) return false;
  if (colon == text.npos) return true;
  auto port = text.substr(colon + 1);
  unsigned number = 0;
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && number >= 1 && number <= 65535;
}
}  // namespace

std::string_view title(group of) {
  switch (of) {
    case group::storage:
      return "Storage";
    case group::listener:
      return "Kafka clients";
    case group::topics:
      return "Topics";
    case group::groups:
      return "Consumer groups";
    case group::writing:
      return "Writing";
    case group::reading:
      return "Reading";
    case group::postgres:
      return "PostgreSQL";
    case group::s3:
      return "S3";
    case group::metrics:
      return "Metrics";
    case group::console:
      return "Dashboard";
    case group::cache_peers:
      return "Cache peers";
    case group::materializer:
      return "SQL read model";
    case group::upkeep:
      return "Retention and deletion";
    case group::process:
      return "Process";
  }
  return "";
}

std::string definition::flag() const {
  std::string text = "--" + std::string(name);
  for (char& c : text) c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return text;
}

std::string definition::allowed() const {
  switch (type) {
    case kind::text:
    case kind::secret:
      return "any text";
    case kind::word:
      return "a text that is not empty";
    case kind::number:
      return fmt::format("a whole number from {} to {}", least, most);
    case kind::port:
      return fmt::format("a port from {} to {}", least, most);
    case kind::milliseconds:
      return fmt::format("a whole number of milliseconds from {} to {}", least, most);
    case kind::bytes:
      return fmt::format("a whole number of bytes from {} to {}", least, most);
    case kind::mebibytes:
      return fmt::format("a whole number of MiB from {} to {}", least, most);
    case kind::truth:
      return "true or false";
    case kind::choice: {
      std::string list;
      for (char c : choices)
        if (c == ' ')
          list += ", ";
        else
          list += c;
      return "one of " + list;
    }
    case kind::ratio:
      return fmt::format("a number like 0.5, from {} to {}", least, most);
    case kind::dollars:
      return "a number of dollars like 0.005";
    case kind::url:
      return "http://HOST:PORT or https://HOST:PORT";
    case kind::path_url:
      return "http://HOST:PORT or https://HOST:PORT, perhaps with a path";
  }
  return "";
}

std::optional<value> definition::parse(std::string_view given) const {
  value parsed{.text = std::string(given)};
  switch (type) {
    case kind::text:
    case kind::secret:
      return parsed;
    case kind::word:
      if (given.empty()) return std::nullopt;
      return parsed;
    case kind::number:
    case kind::port:
    case kind::milliseconds:
    case kind::bytes:
    case kind::mebibytes: {
      const char* last = given.data() + given.size();
      auto [end, error] = std::from_chars(given.data(), last, parsed.number);
      if (error != std::errc() || end != last || parsed.number < least || parsed.number > most) return std::nullopt;
      return parsed;
    }
    case kind::truth:
      if (auto truth = parse_truth(given)) {
        parsed.number = *truth;
        return parsed;
      }
      return std::nullopt;
    case kind::choice: {
      if (given == fallback) return parsed;
      for (std::string_view rest = choices; !rest.empty();) {
        auto end = std::min(rest.find(' '), rest.size());
        if (given == rest.substr(0, end)) return parsed;
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      return std::nullopt;
    }
    case kind::ratio: {
      const char* last = given.data() + given.size();
      auto [end, error] = std::from_chars(given.data(), last, parsed.ratio, std::chars_format::fixed);
      if (error != std::errc() || end != last || !(parsed.ratio >= double(least) && parsed.ratio <= double(most))) return std::nullopt;
      return parsed;
    }
    case kind::dollars: {
      const char* last = given.data() + given.size();
      auto [end, error] = std::from_chars(given.data(), last, parsed.dollars, std::chars_format::fixed);
      if (error != std::errc() || end != last || !(parsed.dollars >= 0 && parsed.dollars <= 1e6)) return std::nullopt;
      return parsed;
    }
    case kind::url:
    case kind::path_url:
      if (!given.empty() && !is_url(given, type == kind::path_url)) return std::nullopt;
      if (parsed.text.ends_with('/')) parsed.text.pop_back();
      return parsed;
  }
  return std::nullopt;
}

std::span<const definition> definitions() {
  return table;
}

const definition* find_definition(std::string_view name) {
  auto at = std::find_if(std::begin(table), std::end(table), [&](const definition& d) { return d.name == name; });
  return at == std::end(table) ? nullptr : at;
}

const definition* find_variable(std::string_view variable) {
  auto at = std::find_if(std::begin(table), std::end(table), [&](const definition& d) { return d.variable() == variable; });
  return at == std::end(table) ? nullptr : at;
}
}  // namespace yaks::config

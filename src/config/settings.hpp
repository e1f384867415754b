// What the agent is told at start, as plain values. Made once by load() (config/load.hpp); the composition root hands
// each part the few that it needs. No member has a default here: the one table of settings (config/definitions.hpp) has
// them.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace yaks::config {
using milliseconds = std::chrono::milliseconds;

enum class metastore_kind { embedded, postgres };  // embedded: SQLite in the data directory
enum class object_store_kind { directory, s3 };    // directory: files in the data directory

struct settings {
  struct {
    std::int32_t node_id;
    std::string zone;            // "" where none
    std::string data_directory;  // embedded storage only
    std::string log_level;       // a name that spdlog knows
    milliseconds shutdown_timeout;
    std::uint32_t log_format_max = 0;  // no setting: tests run an agent as an older version, which knows less; 0: all there is
  } process;

  struct {
    metastore_kind metastore;
    object_store_kind objects;
    std::string reason;  // why these, as a half sentence for the start-up line: "no configuration selects it"
  } storage;

  struct {
    std::string host;
    std::uint16_t port;  // 0: any free one
    std::string advertised_host;
    std::uint16_t advertised_port;  // 0 only where port is 0: then the real port is advertised
    std::size_t request_bytes_max;
    std::size_t connections_max;
    milliseconds idle_timeout;
  } listener;

  struct {
    bool auto_create;
    std::int32_t default_partitions;
    std::size_t message_bytes_max;
  } topics;

  struct {
    milliseconds initial_rebalance_delay;
    milliseconds session_timeout_min, session_timeout_max;
    std::int64_t members_max;  // of one group
    milliseconds offsets_retention;
  } groups;

  struct {
    milliseconds flush_interval;
    std::size_t flush_bytes;
    std::size_t buffer_bytes_max;
    milliseconds upload_deadline;
  } write;

  struct {
    std::size_t response_bytes_max;
    std::size_t memory_bytes;
    std::size_t cache_bytes;
    milliseconds log_stale_after;
    std::uint64_t backfill_bytes_per_s;  // 0: no limit
    milliseconds backfill_age;
    std::uint64_t backfill_get_bytes, backfill_window_bytes;
  } read;

  struct {
    std::string host;
    std::uint16_t port;
    std::string user;
    std::string password;  // never printed
    std::string name;
    std::string sslmode;  // libpq's word
    bool run_migrations;  // embedded storage migrates always
  } database;

  struct {
    std::string endpoint;  // http://host:port or https://host, without a slash at the end
    std::string region;
    std::string access_key;
    std::string secret_key;     // never printed
    std::string session_token;  // "" where none; never printed
    bool path_style;
    std::string bucket;
    std::string prefix;  // of every key: "" or ending in '/'
    bool create_bucket;
    bool sign_payload;
  } s3;

  struct {
    bool enabled;
    std::uint16_t port;
  } metrics;

  struct {
    std::string endpoint;  // "": nothing is sent; else without a slash at the end
    std::string headers;   // name=value,…; never printed
    std::string resource_attributes;  // name=value,…
    std::string service_name;
    milliseconds interval;
  } otlp;

  struct {  // dollars
    double put_per_1000;
    double get_per_1000;
    double transfer_per_gb;       // 10^9 bytes
    double storage_per_gb_month;  // of 730 hours
  } prices;

  struct {
    std::string host;
    std::uint16_t port;  // 0: no dashboard
    std::string token;   // "": nobody is asked; never printed
  } console;

  struct {
    bool enabled;
    std::uint16_t port;
    std::string advertised_host;  // "": the listener's
    std::string secret;           // "": the one that the metastore keeps; never printed
    milliseconds heartbeat;
    milliseconds poll;
    milliseconds lease;
  } cache_peers;

  struct {
    milliseconds interval;
    std::int64_t batch_size;
    std::int64_t chunk_ranges;
    std::int64_t snapshot_entries;
    milliseconds read_model_interval;
  } materializer;

  struct {
    std::int64_t retention_ms;     // of topics that do not say otherwise; -1: for ever
    std::int64_t retention_bytes;  // the same; -1: no limit
    milliseconds retention_interval;
    milliseconds delete_grace;
    milliseconds sweep_interval;  // 0: never
    std::int64_t merge_bytes_per_second;  // 0: nothing is merged
    milliseconds merge_interval, merge_age;
    std::int64_t merge_object_bytes, merge_min_runs;
    double merge_write_ratio, merge_live_ratio;
  } upkeep;
};
}  // namespace yaks::config

// librdkafka's handles with owners, and its administrative calls as functions that throw `failed`.
#pragma once
#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/options.hpp"

namespace yaks::client {
struct closer {
  void operator()(rd_kafka_t* p) const { rd_kafka_destroy(p); }
  void operator()(rd_kafka_event_t* p) const { rd_kafka_event_destroy(p); }
  void operator()(rd_kafka_message_t* p) const { rd_kafka_message_destroy(p); }
  void operator()(rd_kafka_topic_partition_list_t* p) const { rd_kafka_topic_partition_list_destroy(p); }
  void operator()(rd_kafka_headers_t* p) const { rd_kafka_headers_destroy(p); }
};
template <class T>
using owned = std::unique_ptr<T, closer>;

using settings = std::vector<std::pair<std::string, std::string>>;
// With the options' brokers and properties, which win over `own`. librdkafka's complaints go to standard error.
using delivery_callback = void (*)(rd_kafka_t*, const rd_kafka_message_t*, void* opaque);
owned<rd_kafka_t> open(rd_kafka_type_t type, const options& common, const settings& own = {},
                       delivery_callback on_delivery = nullptr, void* opaque = nullptr);

struct partition_info {
  std::int32_t id, leader;
  std::vector<std::int32_t> replicas;
};
struct topic_info {
  std::string name;
  std::vector<partition_info> partitions;  // by id
};
// All topics by name, or the one, which must exist.
std::vector<topic_info> topics(rd_kafka_t* client, const options& common, const std::optional<std::string>& only = {});

struct offsets {
  std::int64_t first, end;
};
offsets offsets_of(rd_kafka_t* client, const options& common, const std::string& topic, std::int32_t partition);

// Starts an administrative call with `start(options, queue)` and waits for its event. Throws where the call as a whole
// failed.
owned<rd_kafka_event_t> call(rd_kafka_t* client, const options& common, rd_kafka_admin_op_t what,
                             const std::function<void(rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& start);
// "NAME: what is wrong", for each that went wrong, as one failure.
void throw_failures(const std::vector<std::string>& failures);
}  // namespace yaks::client

#include "client/cluster.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace yaks::client {
namespace {
void on_log(const rd_kafka_t*, int level, const char*, const char* words) {
  constexpr int warning = 4;
  if (level <= warning) fmt::print(stderr, "yaks: {}\n", words);
}
}  // namespace

owned<rd_kafka_t> open(rd_kafka_type_t type, const options& common, const settings& own, delivery_callback on_delivery,
                       void* opaque) {
  auto* conf = rd_kafka_conf_new();
  std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> owner(conf, rd_kafka_conf_destroy);
  char words[512];
  auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), words, sizeof words) != RD_KAFKA_CONF_OK)
      throw failed(fmt::format("{}={}: {}", name, value, words));
  };
  set("bootstrap.servers", common.brokers);
  set("client.id", "yaks");
  for (const auto& [name, value] : own) set(name, value);
  for (const auto& property : common.properties) {
    auto [name, value] = split_setting(property);
    set(name, value);
  }
  rd_kafka_conf_set_log_cb(conf, on_log);
  if (on_delivery) rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  rd_kafka_conf_set_opaque(conf, opaque);
  auto* handle = rd_kafka_new(type, conf, words, sizeof words);
  if (!handle) throw failed(fmt::format("librdkafka refuses its settings: {}", words));
  owner.release();  // the handle has it
  return owned<rd_kafka_t>(handle);
}

std::vector<topic_info> topics(rd_kafka_t* client, const options& common, const std::optional<std::string>& only) {
  std::unique_ptr<rd_kafka_topic_t, decltype(&rd_kafka_topic_destroy)> topic(
      only ? rd_kafka_topic_new(client, only->c_str(), nullptr) : nullptr, rd_kafka_topic_destroy);
  const rd_kafka_metadata_t* raw = nullptr;
  auto error = rd_kafka_metadata(client, only ? 0 : 1, topic.get(), &raw, common.timeout_ms);
  if (error) throw failed(fmt::format("no answer from {}: {}", common.brokers, rd_kafka_err2str(error)));
  std::unique_ptr<const rd_kafka_metadata_t, decltype(&rd_kafka_metadata_destroy)> all(raw, rd_kafka_metadata_destroy);
  std::vector<topic_info> out;
  for (int i = 0; i < all->topic_cnt; ++i) {
    const auto& t = all->topics[i];
    if (t.err) throw failed(fmt::format("{}: {}", t.topic, rd_kafka_err2str(t.err)));
    auto& info = out.emplace_back(topic_info{t.topic, {}});
    for (int p = 0; p < t.partition_cnt; ++p)
      info.partitions.push_back({t.partitions[p].id,
                                 t.partitions[p].leader,
                                 {t.partitions[p].replicas, t.partitions[p].replicas + t.partitions[p].replica_cnt}});
    std::ranges::sort(info.partitions, {}, &partition_info::id);
  }
  std::ranges::sort(out, {}, &topic_info::name);
  return out;
}

offsets offsets_of(rd_kafka_t* client, const options& common, const std::string& topic, std::int32_t partition) {
  offsets found{};
  auto error =
      rd_kafka_query_watermark_offsets(client, topic.c_str(), partition, &found.first, &found.end, common.timeout_ms);
  if (error) throw failed(fmt::format("{}-{}: {}", topic, partition, rd_kafka_err2str(error)));
  return found;
}

owned<rd_kafka_event_t> call(rd_kafka_t* client, const options& common, rd_kafka_admin_op_t what,
                             const std::function<void(rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& start) {
  std::unique_ptr<rd_kafka_AdminOptions_t, decltype(&rd_kafka_AdminOptions_destroy)> admin(
      rd_kafka_AdminOptions_new(client, what), rd_kafka_AdminOptions_destroy);
  std::unique_ptr<rd_kafka_queue_t, decltype(&rd_kafka_queue_destroy)> queue(rd_kafka_queue_new(client),
                                                                             rd_kafka_queue_destroy);
  char words[512];
  rd_kafka_AdminOptions_set_request_timeout(admin.get(), common.timeout_ms, words, sizeof words);
  start(admin.get(), queue.get());
  owned<rd_kafka_event_t> event(rd_kafka_queue_poll(queue.get(), common.timeout_ms + 5000));
  if (!event) throw failed(fmt::format("no answer from {}", common.brokers));
  if (rd_kafka_event_error(event.get())) throw failed(rd_kafka_event_error_string(event.get()));
  return event;
}

void throw_failures(const std::vector<std::string>& failures) {
  if (!failures.empty()) throw failed(fmt::format("{}", fmt::join(failures, "\nyaks: ")));
}
}  // namespace yaks::client

#include "oracle/kafka.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace yaks::oracle {
namespace {
using steady = std::chrono::steady_clock;

int left_ms(steady::time_point deadline) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 1));
}

void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  static_cast<complaints*>(opaque)->add(
      fmt::format("{}: {}", rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code)), reason));
}
void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* words) {
  auto* to = static_cast<complaints*>(rd_kafka_opaque(handle));
  if (to && to->verbose()) fmt::print(stderr, "{} {} {}: {}\n", level, facility, rd_kafka_name(handle), words);
}

struct metadata_closer {
  void operator()(const rd_kafka_metadata_t* m) const { rd_kafka_metadata_destroy(m); }
};
using metadata = std::unique_ptr<const rd_kafka_metadata_t, metadata_closer>;

rd_kafka_resp_err_t read_metadata(rd_kafka_t* client, rd_kafka_topic_t* only, int timeout_ms, metadata& into) {
  const rd_kafka_metadata_t* got = nullptr;
  rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, only, &got, timeout_ms);
  into.reset(got);
  return error;
}

void create_topics(rd_kafka_t* client, const run_facts& facts, const settings& from) {
  std::vector<rd_kafka_NewTopic_t*> wanted;
  char words[512];
  for (std::uint32_t i = 0; i < facts.topics; ++i) {
    auto* topic =
        rd_kafka_NewTopic_new(facts.topic(i).c_str(), static_cast<int>(facts.partitions), 1, words, sizeof words);
    if (!topic) throw environment_error(fmt::format("the topic {} cannot be created: {}", facts.topic(i), words));
    wanted.push_back(topic);
  }
  auto timeout = static_cast<int>(from.connect_timeout.count());
  rd_kafka_AdminOptions_t* options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_AdminOptions_set_request_timeout(options, timeout, words, sizeof words);
  rd_kafka_AdminOptions_set_operation_timeout(options, timeout, words, sizeof words);
  kafka_queue queue(rd_kafka_queue_new(client));
  rd_kafka_CreateTopics(client, wanted.data(), wanted.size(), options, queue.get());
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy_array(wanted.data(), wanted.size());

  std::unique_ptr<rd_kafka_event_t, decltype(&rd_kafka_event_destroy)> event(
      rd_kafka_queue_poll(queue.get(), timeout + 5000), rd_kafka_event_destroy);
  if (!event) throw environment_error("the broker did not answer to the creation of topics");
  if (rd_kafka_event_error(event.get()))
    throw environment_error(fmt::format("topics cannot be created: {}", rd_kafka_event_error_string(event.get())));
  std::size_t count = 0;
  const rd_kafka_topic_result_t** results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    if (!error) continue;
    const char* name = rd_kafka_topic_result_name(results[i]);
    if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      throw environment_error(fmt::format("the topic {} exists already: give another --topic-prefix", name));
    const char* reason = rd_kafka_topic_result_error_string(results[i]);
    throw environment_error(
        fmt::format("the topic {} cannot be created: {}", name, reason ? reason : rd_kafka_err2str(error)));
  }
}
}  // namespace

void complaints::add(const std::string& words) {
  std::lock_guard lock(mutex_);
  last_ = words;
  ++count_;
}
std::string complaints::last() const {
  std::lock_guard lock(mutex_);
  return last_;
}
std::uint64_t complaints::count() const {
  std::lock_guard lock(mutex_);
  return count_;
}

kafka_conf make_conf(const settings& from, complaints& to,
                     const std::vector<std::pair<std::string, std::string>>& own) {
  kafka_conf conf(rd_kafka_conf_new());
  char words[512];
  auto set = [&](const std::string& name, const std::string& value, const char* whose) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), words, sizeof words) != RD_KAFKA_CONF_OK)
      throw environment_error(fmt::format("{}{}={}: {}", whose, name, value, words));
  };
  set("bootstrap.servers", from.brokers, "--brokers: ");
  set("client.id", "yaks-oracle", "");
  // An agent that was restarted is to be found again soon; the default lets the pause grow to 10 s.
  set("reconnect.backoff.max.ms", "1000", "");
  for (const auto& [name, value] : own) set(name, value, "");
  for (const auto& [name, value] : from.properties) set(name, value, "-X ");
  rd_kafka_conf_set_opaque(conf.get(), &to);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  return conf;
}

kafka_handle make_handle(rd_kafka_type_t type, kafka_conf conf) {
  char words[512];
  rd_kafka_t* handle = rd_kafka_new(type, conf.get(), words, sizeof words);
  if (!handle) throw environment_error(fmt::format("librdkafka refuses its settings: {}", words));
  conf.release();  // rd_kafka_new owns it when it succeeds
  return kafka_handle(handle);
}

void wait_for_broker(rd_kafka_t* client, const settings& from, const complaints& to) {
  auto deadline = steady::now() + from.connect_timeout;
  rd_kafka_resp_err_t error;
  do {
    metadata got;
    error = read_metadata(client, nullptr, left_ms(deadline), got);
    rd_kafka_poll(client, 0);  // hands over the complaints
    if (!error && got->broker_cnt > 0) return;
    if (error && error != RD_KAFKA_RESP_ERR__TRANSPORT && error != RD_KAFKA_RESP_ERR__TIMED_OUT) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  } while (steady::now() < deadline);
  std::string reason = to.last();
  throw environment_error(
      fmt::format("no broker answers at {} within {} ms ({}). Is an agent running there? "
                  "--brokers names another one.",
                  from.brokers, from.connect_timeout.count(), reason.empty() ? rd_kafka_err2str(error) : reason));
}

void prepare_topics(rd_kafka_t* client, const run_facts& facts, const settings& from) {
  if (from.create_topics) create_topics(client, facts, from);
  auto deadline = steady::now() + from.connect_timeout;
  for (std::uint32_t i = 0; i < facts.topics; ++i) {
    std::string name = facts.topic(i), state;
    kafka_topic topic(rd_kafka_topic_new(client, name.c_str(), nullptr));
    if (!topic) throw environment_error(fmt::format("{} cannot be a topic's name", name));
    while (true) {
      metadata got;
      rd_kafka_resp_err_t error = read_metadata(client, topic.get(), left_ms(deadline), got);
      if (error) {
        state = rd_kafka_err2str(error);
      } else if (got->topic_cnt != 1 || got->topics[0].err) {
        state = got->topic_cnt == 1 ? rd_kafka_err2str(got->topics[0].err) : "the broker does not mention it";
      } else {
        const rd_kafka_metadata_topic& seen = got->topics[0];
        int led = 0;
        for (int p = 0; p < seen.partition_cnt; ++p)
          if (!seen.partitions[p].err && seen.partitions[p].leader >= 0) ++led;
        if (seen.partition_cnt == static_cast<int>(facts.partitions) && led == seen.partition_cnt) break;
        state = fmt::format("{} of {} partitions have a leader", led, facts.partitions);
        if (seen.partition_cnt != static_cast<int>(facts.partitions) && seen.partition_cnt > 0)
          state = fmt::format("it has {} partitions instead of {}", seen.partition_cnt, facts.partitions);
      }
      if (steady::now() >= deadline)
        throw environment_error(fmt::format("the topic {} is not usable: {}", name, state));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    // A broker may name itself the leader a little before it is one. A first batch that fails for that reason is lost
    // with Apache Kafka: it takes the next batch of the unknown producer whatever its sequence, and calls the retry a
    // duplicate.
    for (std::uint32_t p = 0; p < facts.partitions; ++p) {
      std::int64_t low = 0, high = 0;
      rd_kafka_resp_err_t error;
      while ((error = rd_kafka_query_watermark_offsets(client, name.c_str(), static_cast<int>(p), &low, &high,
                                                       left_ms(deadline)))) {
        if (steady::now() >= deadline)
          throw environment_error(fmt::format("the end of {}/{} is not known: {}", name, p, rd_kafka_err2str(error)));
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      if (high > 0)
        throw environment_error(fmt::format("the topic {} is not empty: partition {} ends at {}", name, p, high));
    }
  }
}
}  // namespace yaks::oracle

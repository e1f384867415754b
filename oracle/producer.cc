#include "oracle/producer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "oracle/record.hpp"

namespace yaks::oracle {
namespace {
using steady = std::chrono::steady_clock;

// Records that one producer has handed over and not heard of. Bounds memory when the cluster is away.
constexpr std::uint64_t in_flight_max = 5'000;
// So that one producer does not hold up the polling of the others on its thread.
constexpr int sends_per_turn = 200;

class producer {
 public:
  producer(std::uint32_t number, const run_facts& facts, const settings& from, complaints& heard, ledger_writer& to,
           produce_progress& progress)
      : number_(number), facts_(facts), heard_(heard), to_(to), progress_(progress), rate_(from.rate) {
    kafka_conf conf = make_conf(from, heard,
                                {{"enable.idempotence", facts.idempotent ? "true" : "false"},
                                 {"message.timeout.ms", fmt::format("{}", from.produce_timeout.count())},
                                 {"queue.buffering.max.messages", fmt::format("{}", in_flight_max + 1)},
                                 {"topic.metadata.refresh.sparse", "true"}});
    rd_kafka_conf_set_dr_msg_cb(conf.get(), [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
      static_cast<topic_of*>(rd_kafka_topic_opaque(message->rkt))->owner->on_report(*message);
    });
    topics_.reserve(facts.topics);  // librdkafka keeps pointers to the elements
    handle_ = make_handle(RD_KAFKA_PRODUCER, std::move(conf));
    for (std::uint32_t i = 0; i < facts.topics; ++i) {
      topics_.push_back({this, i, nullptr});
      rd_kafka_topic_conf_t* topic_conf = rd_kafka_default_topic_conf_dup(handle_.get());
      rd_kafka_topic_conf_set_opaque(topic_conf, &topics_.back());
      topics_.back().topic.reset(rd_kafka_topic_new(handle_.get(), facts.topic(i).c_str(), topic_conf));
      if (!topics_.back().topic)
        throw environment_error(fmt::format("a producer for topic {} cannot be made: {}", facts.topic(i),
                                            rd_kafka_err2str(rd_kafka_last_error())));
    }
  }

  // Sends a little and hears what happened; true where there was something to do.
  bool turn(bool stop) {
    std::uint64_t before = next_ + heard_of_;
    if (!stop && failure_.empty())
      send_some();
    else
      ended_early_ = true;
    rd_kafka_poll(handle_.get(), 0);
    to_.add(rows_);
    return next_ + heard_of_ != before;
  }
  // librdkafka gives up for good by itself, and purges what it holds: call when done, to say so.
  void look_for_fatal_error() {
    char words[512] = "";
    rd_kafka_resp_err_t error = rd_kafka_fatal_error(handle_.get(), words, sizeof words);
    if (error && failure_.empty())
      failure_ = fmt::format("producer {} ended with {}: {}", number_, rd_kafka_err2name(error), words);
  }
  bool done() const { return (next_ == facts_.records || ended_early_) && heard_of_ == next_; }
  const std::string& failure() const { return failure_; }

 private:
  struct topic_of {
    producer* owner;
    std::uint32_t index;
    kafka_topic topic;
  };

  void send_some() {
    if (!started_) started_ = steady::now();
    double seconds = std::chrono::duration<double>(steady::now() - *started_).count();
    std::uint64_t allowed = rate_ > 0 ? static_cast<std::uint64_t>(seconds * rate_) + 1 : facts_.records;
    for (int i = 0; i < sends_per_turn; ++i) {
      if (next_ >= std::min(facts_.records, allowed) || next_ - heard_of_ >= in_flight_max) return;
      if (!send(next_)) return;
      ++next_;
      progress_.sent.fetch_add(1, std::memory_order_relaxed);
    }
  }

  bool send(std::uint64_t sequence) {
    auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    record_identity id{.run = facts_.run,
                       .producer = number_,
                       .slot = slot_of(facts_.seed, number_, sequence, facts_.slots()),
                       .sequence = sequence,
                       .timestamp_ms = now.count()};
    std::string key = make_key(id);
    make_value(id, facts_.seed, value_bytes_of(facts_.seed, number_, sequence, facts_.value_bytes), value_);
    rd_kafka_topic_t* topic = topics_[id.slot / facts_.partitions].topic.get();
    // An array instead of producev's macros, which are not standard C++.
    std::array<rd_kafka_vu_t, 7> arguments{};
    arguments[0] = {.vtype = RD_KAFKA_VTYPE_RKT, .u = {.rkt = topic}};
    arguments[1] = {.vtype = RD_KAFKA_VTYPE_PARTITION,
                    .u = {.i32 = static_cast<std::int32_t>(id.slot % facts_.partitions)}};
    arguments[2] = {.vtype = RD_KAFKA_VTYPE_KEY, .u = {.mem = {key.data(), key.size()}}};
    arguments[3] = {.vtype = RD_KAFKA_VTYPE_VALUE, .u = {.mem = {value_.data(), value_.size()}}};
    arguments[4] = {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u = {.i64 = id.timestamp_ms}};
    arguments[5] = {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}};
    arguments[6] = {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u = {.ptr = reinterpret_cast<void*>(sequence)}};
    std::unique_ptr<rd_kafka_error_t, decltype(&rd_kafka_error_destroy)> refused(
        rd_kafka_produceva(handle_.get(), arguments.data(), arguments.size()), rd_kafka_error_destroy);
    rd_kafka_resp_err_t error = refused ? rd_kafka_error_code(refused.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!error) return true;
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) return false;
    char words[512] = "";
    if (error == RD_KAFKA_RESP_ERR__FATAL) error = rd_kafka_fatal_error(handle_.get(), words, sizeof words);
    failure_ =
        fmt::format("producer {} ended at sequence {}: {} {}", number_, sequence, rd_kafka_err2name(error), words);
    // What it still holds will not be sent any more; without this it would wait for produce_timeout.
    rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    return false;
  }

  void on_report(const rd_kafka_message_t& message) {
    ++heard_of_;
    const auto* topic = static_cast<const topic_of*>(rd_kafka_topic_opaque(message.rkt));
    ledger_row row;
    row.sent.producer = number_;
    row.sent.sequence = reinterpret_cast<std::uintptr_t>(message._private);
    row.sent.slot = topic->index * facts_.partitions + static_cast<std::uint32_t>(message.partition);
    byte_view value{static_cast<const std::byte*>(message.payload), message.len};
    byte_view key{static_cast<const std::byte*>(message.key), message.key_len};
    row.sent.checksum = parse_record(key, value, -1).checksum;
    if (!message.err) {
      row.sent.what = outcome::acknowledged;
      row.sent.offset = message.offset;
      progress_.acknowledged.fetch_add(1, std::memory_order_relaxed);
      progress_.acknowledged_bytes.fetch_add(message.len + message.key_len, std::memory_order_relaxed);
    } else {
      bool surely_not = rd_kafka_message_status(&message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
      row.sent.what = surely_not ? outcome::not_stored : outcome::unknown;
      row.error = rd_kafka_err2name(message.err);
      heard_.add(fmt::format("{}: {}", row.error, rd_kafka_err2str(message.err)));
      (surely_not ? progress_.not_stored : progress_.unknown).fetch_add(1, std::memory_order_relaxed);
    }
    rows_.push_back(std::move(row));
  }

  std::uint32_t number_;
  const run_facts& facts_;
  complaints& heard_;
  ledger_writer& to_;
  produce_progress& progress_;
  double rate_;
  std::optional<steady::time_point> started_;
  kafka_handle handle_;
  std::vector<topic_of> topics_;  // after handle_: topics go first
  std::uint64_t next_ = 0;
  std::uint64_t heard_of_ = 0;
  bool ended_early_ = false;
  std::string failure_;
  std::string value_;
  std::vector<ledger_row> rows_;
};
}  // namespace

std::vector<std::string> produce_all(const run_facts& facts, const settings& from, ledger_writer& to, complaints& heard,
                                     produce_progress& progress, const std::atomic<bool>& stop) {
  std::vector<std::unique_ptr<producer>> producers;
  for (std::uint32_t i = 0; i < facts.producers; ++i)
    producers.push_back(std::make_unique<producer>(i, facts, from, heard, to, progress));

  auto start = steady::now();
  std::size_t thread_count =
      std::min<std::size_t>({facts.producers, std::max(1u, std::thread::hardware_concurrency()), 4});
  auto feed = [&](std::size_t first) {
    while (true) {
      bool busy = false, done = true;
      for (std::size_t i = first; i < producers.size(); i += thread_count) {
        producer& one = *producers[i];
        if (one.done()) continue;
        // Nothing is worth sending once its acknowledgement cannot be noted.
        busy |= one.turn(stop || to.failed());
        done &= one.done();
      }
      if (done) return;
      if (!busy) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < thread_count; ++i) threads.emplace_back(feed, i);
  threads.clear();
  progress.seconds = std::chrono::duration<double>(steady::now() - start).count();

  std::vector<std::string> failures;
  for (const auto& one : producers) one->look_for_fatal_error();
  for (const auto& one : producers)
    if (!one->failure().empty()) failures.push_back(one->failure());
  // Ending a handle takes librdkafka up to a second: all at once instead of one after another.
  std::vector<std::jthread> enders;
  for (std::size_t first = 0; first < 8; ++first)
    enders.emplace_back([&producers, first] {
      for (std::size_t i = first; i < producers.size(); i += 8) producers[i].reset();
    });
  enders.clear();
  return failures;
}
}  // namespace yaks::oracle

#include "oracle/consumer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "oracle/record.hpp"

namespace yaks::oracle {
namespace {
using steady = std::chrono::steady_clock;
constexpr std::size_t batch_records = 1'000;

class reader {
 public:
  reader(const run_facts& facts, const settings& from, complaints& heard, checker& into, consume_progress& progress)
      : facts_(facts), from_(from), heard_(heard), into_(into), progress_(progress) {
    // The simple consumer: no group, explicit partitions. Out of range means that the log lost something: say so.
    handle_ = make_handle(RD_KAFKA_CONSUMER, make_conf(from, heard,
                                                       {{"auto.offset.reset", "error"},
                                                        {"enable.auto.commit", "false"},
                                                        {"check.crcs", "true"},
                                                        {"queued.max.messages.kbytes", "4096"}}));
    queue_.reset(rd_kafka_queue_new(handle_.get()));
    ends_.resize(facts.slots(), 0);
    next_.resize(facts.slots(), 0);
    for (std::uint32_t i = 0; i < facts.topics; ++i) {
      topics_.emplace_back(rd_kafka_topic_new(handle_.get(), facts.topic(i).c_str(), nullptr));
      if (!topics_.back())
        throw environment_error(fmt::format("a consumer of topic {} cannot be made: {}", facts.topic(i),
                                            rd_kafka_err2str(rd_kafka_last_error())));
      index_of_[topics_.back().get()] = i;
    }
  }
  ~reader() {
    for (std::uint32_t slot = 0; slot < started_; ++slot)
      rd_kafka_consume_stop(topics_[slot / facts_.partitions].get(),
                            static_cast<std::int32_t>(slot % facts_.partitions));
  }

  std::vector<std::string> run() {
    wait_for_broker(handle_.get(), from_, heard_);
    ask_ends(steady::now() + from_.consume_timeout);
    auto start = steady::now();
    for (; started_ < facts_.slots(); ++started_) {
      auto partition = static_cast<std::int32_t>(started_ % facts_.partitions);
      if (rd_kafka_consume_start_queue(topics_[started_ / facts_.partitions].get(), partition,
                                       RD_KAFKA_OFFSET_BEGINNING, queue_.get()))
        throw environment_error(
            fmt::format("{} cannot be consumed: {}", facts_.place(started_), rd_kafka_err2str(rd_kafka_last_error())));
    }
    auto last_progress = steady::now();
    while (true) {
      if (read_some()) {
        last_progress = steady::now();
        progress_.seconds = std::chrono::duration<double>(last_progress - start).count();
      }
      bool late = steady::now() - last_progress > from_.consume_timeout;
      if (!late && !at_ends()) continue;
      // Either done, unless an end has moved on since, or overdue: the final word on where partitions end.
      ask_ends(steady::now() + from_.consume_timeout);
      if (late || at_ends()) break;
    }
    progress_.done = true;
    if (!at_ends()) {
      std::uint32_t missing = 0;
      for (std::uint32_t slot = 0; slot < facts_.slots(); ++slot) missing += next_[slot] < end_of(slot);
      note(fmt::format("reading ended after {} ms without a record, before the end of {} partition{}",
                       from_.consume_timeout.count(), missing, missing == 1 ? "" : "s"));
    }
    return {notes_.begin(), notes_.end()};
  }

 private:
  std::int64_t end_of(std::uint32_t slot) const { return std::max(ends_[slot], into_.acknowledged_end(slot)); }
  bool at_ends() const {
    for (std::uint32_t slot = 0; slot < facts_.slots(); ++slot)
      if (next_[slot] < end_of(slot)) return false;
    return true;
  }

  void ask_ends(steady::time_point deadline) {
    std::uint64_t expected = 0;
    for (std::uint32_t slot = 0; slot < facts_.slots(); ++slot) {
      std::string topic = facts_.topic(slot / facts_.partitions);
      while (true) {
        std::int64_t low = 0, high = 0;
        rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
            handle_.get(), topic.c_str(), static_cast<std::int32_t>(slot % facts_.partitions), &low, &high, 5'000);
        rd_kafka_poll(handle_.get(), 0);
        if (!error) {
          ends_[slot] = high;
          into_.set_range(slot, low, high);
          expected += static_cast<std::uint64_t>(std::max<std::int64_t>(high - low, 0));
          break;
        }
        if (steady::now() >= deadline)
          throw environment_error(
              fmt::format("the cluster does not say where {} ends: {}. The ledger is kept: "
                          "--verify-only checks it when the cluster is back.",
                          facts_.place(slot), rd_kafka_err2str(error)));
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
    progress_.expected = expected;
  }

  bool read_some() {
    rd_kafka_message_t* batch[batch_records];
    ssize_t count = rd_kafka_consume_batch_queue(queue_.get(), 200, batch, batch_records);
    rd_kafka_poll(handle_.get(), 0);
    bool got_record = false;
    for (ssize_t i = 0; i < count; ++i) {
      const rd_kafka_message_t& message = *batch[i];
      if (message.err) {
        note(rd_kafka_message_errstr(&message));
      } else {
        take(message);
        got_record = true;
      }
      rd_kafka_message_destroy(batch[i]);
    }
    return got_record;
  }

  void take(const rd_kafka_message_t& message) {
    std::uint32_t slot = index_of_.at(message.rkt) * facts_.partitions + static_cast<std::uint32_t>(message.partition);
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    std::int64_t timestamp_ms = rd_kafka_message_timestamp(&message, &type);
    if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME) timestamp_ms = -1;
    // A missing timestamp is damage, and 0 is not what any record of ours has.
    else if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
      timestamp_ms = 0;
    byte_view value{static_cast<const std::byte*>(message.payload), message.len};
    byte_view key{static_cast<const std::byte*>(message.key), message.key_len};
    into_.add({.slot = slot, .offset = message.offset, .record = parse_record(key, value, timestamp_ms)});
    next_[slot] = std::max(next_[slot], message.offset + 1);
    progress_.consumed.fetch_add(1, std::memory_order_relaxed);
    progress_.bytes.fetch_add(message.len + message.key_len, std::memory_order_relaxed);
  }

  void note(const std::string& words) {
    if (notes_.size() < 10 && std::ranges::find(notes_, words) == notes_.end()) notes_.push_back(words);
  }

  const run_facts& facts_;
  const settings& from_;
  complaints& heard_;
  checker& into_;
  consume_progress& progress_;
  kafka_handle handle_;
  kafka_queue queue_;
  std::vector<kafka_topic> topics_;
  std::map<const rd_kafka_topic_t*, std::uint32_t> index_of_;
  std::uint32_t started_ = 0;  // slots below are being consumed
  std::vector<std::int64_t> ends_, next_;
  std::vector<std::string> notes_;
};
}  // namespace

std::vector<std::string> consume_all(const run_facts& facts, const settings& from, complaints& heard, checker& into,
                                     consume_progress& progress) {
  return reader(facts, from, heard, into, progress).run();
}
}  // namespace yaks::oracle

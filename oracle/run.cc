#include "oracle/run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "oracle/consumer.hpp"
#include "oracle/kafka.hpp"
#include "oracle/ledger.hpp"
#include "oracle/producer.hpp"

namespace yaks::oracle {
namespace {
using steady = std::chrono::steady_clock;

double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

std::uint64_t random_number() {
  std::random_device chance;
  return std::uint64_t{chance()} << 32 | chance();
}

std::string make_temporary_folder() {
  std::error_code error;
  std::string pattern = (std::filesystem::temp_directory_path(error) / "yaks-oracle-XXXXXX").string();
  if (error || !mkdtemp(pattern.data()))
    throw environment_error(
        fmt::format("no temporary folder can be made ({}): give a --data-dir", std::strerror(errno)));
  return pattern;
}

bool one_in_flight(const settings& from) {
  for (const auto& [name, value] : from.properties)
    if ((name == "max.in.flight" || name == "max.in.flight.requests.per.connection") && value == "1") return true;
  return false;
}

run_facts facts_of(const settings& from) {
  run_facts facts{.run = random_number(),
                  .seed = from.seed.value_or(random_number() >> 1),
                  .topic_prefix = from.topic_prefix,
                  .topics = from.topics,
                  .partitions = from.partitions,
                  .producers = from.producers,
                  .records = from.records,
                  .value_bytes = from.value_bytes,
                  .idempotent = from.idempotent,
                  .ordered = from.idempotent || one_in_flight(from)};
  if (facts.topic_prefix.empty()) facts.topic_prefix = fmt::format("oracle-{:08x}", facts.run & 0xffffffff);
  return facts;
}

// Prints `line` once a second, on a thread of its own, as long as it lives; an empty one is left out.
class ticker {
 public:
  explicit ticker(std::function<std::string()> line)
      : thread_([this, line = std::move(line)] {
          std::unique_lock lock(mutex_);
          while (!changed_.wait_for(lock, std::chrono::seconds(1), [&] { return ended_; }))
            if (std::string words = line(); !words.empty()) fmt::print(stderr, "{}\n", words);
        }) {}
  ~ticker() {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

void produce(const run_facts& facts, const settings& from, ledger& into, const std::atomic<bool>& stop,
             run_figures& figures) {
  complaints heard(from.verbose);
  auto start = steady::now();
  produce_progress progress;
  std::vector<std::string> failures;
  ledger_writer writer(into);
  {
    std::uint64_t complaints_before = 0;
    ticker show([&, complaints_before]() mutable -> std::string {
      if (progress.seconds > 0) return {};  // librdkafka's handles are being closed
      std::uint64_t bad = progress.unknown + progress.not_stored;
      std::string line = fmt::format("{:5.0f} s  producing  {} sent, {} acknowledged, {} failed, {}",
                                     seconds_since(start), progress.sent.load(), progress.acknowledged.load(), bad,
                                     rate_text(progress.acknowledged_bytes, seconds_since(start)));
      if (std::uint64_t now = heard.count(); now != complaints_before) {
        complaints_before = now;
        line += fmt::format("   ({})", heard.last());
      }
      return line;
    });
    failures = produce_all(facts, from, writer, heard, progress, stop);
  }
  figures.produce_seconds = progress.seconds;
  figures.produced_bytes = progress.acknowledged_bytes;
  figures.interrupted = stop && progress.sent < facts.producers * facts.records;
  figures.troubles.insert(figures.troubles.end(), failures.begin(),
                          failures.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(failures.size(), 10)));
  if (failures.size() > 10)
    figures.troubles.push_back(fmt::format("{} more producers ended early", failures.size() - 10));
  if (heard.count() > 0)
    figures.troubles.push_back(fmt::format("producers complained {} times, last: {}", heard.count(), heard.last()));
  writer.finish();
  into.set_finished();
}
}  // namespace

run_result run_oracle(const settings& from, const std::atomic<bool>& stop) {
  run_figures figures;
  figures.require_all = from.require_all;
  figures.data_dir = from.data_dir;
  std::optional<ledger> book;
  if (from.verify_only) {
    book = ledger::open(from.data_dir);
  } else {
    run_facts facts = facts_of(from);
    if (!from.data_dir.empty()) ledger::refuse_existing(from.data_dir);
    {
      // First of all, so that an unreachable broker leaves no folder behind.
      complaints heard(from.verbose);
      kafka_handle client = make_handle(RD_KAFKA_PRODUCER, make_conf(from, heard, {}));
      wait_for_broker(client.get(), from, heard);
      prepare_topics(client.get(), facts, from);
    }
    if (figures.data_dir.empty()) figures.data_dir = make_temporary_folder();
    book = ledger::create(figures.data_dir, facts);
    fmt::print(stderr, "{} records to {} partitions of {}-* at {}, seed {}, ledger {}\n",
               facts.producers * facts.records, facts.slots(), facts.topic_prefix, from.brokers, facts.seed,
               book->path());
    produce(facts, from, *book, stop, figures);
  }

  history told = book->read();
  checker check(told);
  told.outcomes = {};  // the checker has what it needs; a large run needs the memory
  complaints heard(from.verbose);
  consume_progress progress;
  auto start = steady::now();
  std::vector<std::string> notes;
  {
    ticker show([&]() -> std::string {
      if (progress.done) return {};
      return fmt::format("{:5.0f} s  consuming  {} of {} records, {}", seconds_since(start), progress.consumed.load(),
                         progress.expected.load(), rate_text(progress.bytes, seconds_since(start)));
    });
    notes = consume_all(told.facts, from, heard, check, progress);
  }
  figures.consume_seconds = progress.seconds;
  figures.consumed_bytes = progress.bytes;
  figures.troubles.insert(figures.troubles.end(), notes.begin(), notes.end());
  return {told.facts, check.finish(), std::move(figures)};
}
}  // namespace yaks::oracle

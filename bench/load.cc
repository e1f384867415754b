// A Kafka client that produces, fetches, or waits for acknowledgements, and says in one line of JSON what came of it.
// librdkafka, so that what is measured is not our own client code.
//
//   bench_load create  --topic T --partitions P
//   bench_load produce --topic T --partitions P --connections C --mib M [--mib-per-second R]
//   bench_load consume --topic T --partitions P --connections C --mib M      what produce wrote to a fresh topic
//   bench_load window  --topic T --partitions P --seconds S                  bytes acknowledged in a window of time
//   bench_load latency --topic T --rate R --seconds S                        one record at a time, acknowledged
//   bench_load wait    --topic T --seconds S                                 a consumer on an empty partition
//
// Every record is 1 KiB of incompressible bytes unless told otherwise. A connection is a client instance of its own.
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct options {
  std::string brokers = "localhost:9092", topic = "bench";
  std::vector<std::string> properties;  // name=value, for librdkafka
  int partitions = 1, connections = 1;
  std::uint64_t mib = 64;
  std::size_t record_bytes = 1024;
  double mib_per_second = 0;  // 0: as fast as it goes
  double rate = 4, jitter = 0;
  int seconds = 10, warm_up_seconds = 2;
  int patience_seconds = 60;  // without any progress for so long: failed

  std::uint64_t records() const {
    auto n = mib * 1024 * 1024 / record_bytes;
    return n - n % std::uint64_t(partitions);  // the same number in every partition
  }
};

double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

double own_cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto of = [](timeval t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

// What several client instances of one run share. Written by their threads.
struct progress {
  std::atomic<std::uint64_t> records = 0, bytes = 0, failures = 0;
  std::atomic<int> last_error = 0;
};

struct client_closer {
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using client = std::unique_ptr<rd_kafka_t, client_closer>;

// Called by librdkafka from poll(), on the thread that polls.
struct delivery_sink {
  progress& total;
  std::vector<std::int64_t>* latencies_us = nullptr;
};

void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto& sink = *static_cast<delivery_sink*>(opaque);
  if (message->err) {
    sink.total.failures++;
    sink.total.last_error = message->err;
    return;
  }
  sink.total.records++;
  sink.total.bytes += message->len;
  if (sink.latencies_us) sink.latencies_us->push_back(rd_kafka_message_latency(message));
}

client connect(rd_kafka_type_t type, const options& o, std::vector<std::pair<std::string, std::string>> defaults,
               delivery_sink* sink = nullptr) {
  char why[512];
  auto* conf = rd_kafka_conf_new();
  defaults.insert(defaults.begin(), {"bootstrap.servers", o.brokers});
  for (auto& property : o.properties) {
    auto at = property.find('=');
    if (at == std::string::npos) throw std::runtime_error("--set needs name=value, not " + property);
    defaults.emplace_back(property.substr(0, at), property.substr(at + 1));
  }
  for (auto& [name, value] : defaults)
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK)
      throw std::runtime_error(why);
  if (sink) {
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  }
  auto* handle = rd_kafka_new(type, conf, why, sizeof why);
  if (!handle) throw std::runtime_error(why);
  return client(handle);
}

void create_topic(const options& o) {
  auto admin = connect(RD_KAFKA_PRODUCER, o, {});
  auto* queue = rd_kafka_queue_new(admin.get());
  char why[512];
  auto* topic = rd_kafka_NewTopic_new(o.topic.c_str(), o.partitions, 1, why, sizeof why);
  if (!topic) throw std::runtime_error(why);
  rd_kafka_CreateTopics(admin.get(), &topic, 1, nullptr, queue);
  auto* event = rd_kafka_queue_poll(queue, o.patience_seconds * 1000);
  std::string failed;
  if (!event)
    failed = "no answer to CreateTopics";
  else if (rd_kafka_event_error(event))
    failed = rd_kafka_event_error_string(event);
  else {
    std::size_t count = 0;
    auto** results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count && rd_kafka_topic_result_error(results[0]))
      failed = rd_kafka_err2str(rd_kafka_topic_result_error(results[0]));
  }
  if (event) rd_kafka_event_destroy(event);
  rd_kafka_NewTopic_destroy(topic);
  rd_kafka_queue_destroy(queue);
  if (!failed.empty()) throw std::runtime_error("could not create topic " + o.topic + ": " + failed);
}

// Incompressible, and long enough that neighbouring records differ.
std::string random_bytes(std::size_t size) {
  std::mt19937_64 random(1);
  std::string bytes(size, '\0');
  for (auto& b : bytes) b = char(random());
  return bytes;
}

void stop_without_progress(const options& o, std::uint64_t now, std::uint64_t& seen, steady::time_point& changed) {
  if (now != seen) {
    seen = now;
    changed = steady::now();
  } else if (seconds_since(changed) > o.patience_seconds) {
    throw std::runtime_error(fmt::format("no progress for {} s, at record {}", o.patience_seconds, now));
  }
}

// One connection's share: records first, first + connections, … The payload is not copied into librdkafka's queue.
void produce_share(const options& o, int first, const std::string& payload, progress& total, steady::time_point start) {
  delivery_sink sink{total};
  auto producer =
      connect(RD_KAFKA_PRODUCER, o,
              {{"batch.size", "1000000"}, {"linger.ms", "50"}, {"acks", "all"}, {"compression.codec", "none"}}, &sink);
  auto* topic = rd_kafka_topic_new(producer.get(), o.topic.c_str(), nullptr);
  auto records_per_second = o.mib_per_second * 1024 * 1024 / double(o.record_bytes);
  std::uint64_t seen = 0;
  auto changed = steady::now();
  for (std::uint64_t n = std::uint64_t(first); n < o.records(); n += std::uint64_t(o.connections)) {
    auto at = n * o.record_bytes % (payload.size() - o.record_bytes + 1);
    auto* bytes = const_cast<char*>(payload.data() + at);  // librdkafka only reads it: no F_FREE
    auto turn = n / std::uint64_t(o.connections) + std::uint64_t(first);
    while (rd_kafka_produce(topic, std::int32_t(turn % std::uint64_t(o.partitions)), 0, bytes, o.record_bytes, nullptr,
                            0, nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        throw std::runtime_error(rd_kafka_err2str(rd_kafka_last_error()));
      rd_kafka_poll(producer.get(), 20);
      stop_without_progress(o, total.records, seen, changed);
    }
    if (n / std::uint64_t(o.connections) % 256 == 0) {
      rd_kafka_poll(producer.get(), 0);
      if (records_per_second > 0) {
        auto due = start + std::chrono::duration_cast<steady::duration>(
                               std::chrono::duration<double>(double(n) / records_per_second));
        std::this_thread::sleep_until(due);
      }
    }
  }
  while (rd_kafka_outq_len(producer.get()) > 0) {
    rd_kafka_poll(producer.get(), 20);
    stop_without_progress(o, total.records + total.failures, seen, changed);
  }
  rd_kafka_topic_destroy(topic);
}

// One connection's partitions: those of its number, or one that it shares where there are more connections than
// partitions.
std::vector<std::int32_t> partitions_of(const options& o, int connection) {
  std::vector<std::int32_t> mine;
  for (int p = connection % o.partitions; p < o.partitions; p += o.connections) mine.push_back(p);
  return mine;
}

void consume_share(const options& o, int number, progress& total) {
  auto consumer =
      connect(RD_KAFKA_CONSUMER, o, {{"group.id", "bench"}, {"enable.auto.commit", "false"}, {"check.crcs", "false"}});
  rd_kafka_poll_set_consumer(consumer.get());
  auto mine = partitions_of(o, number);
  auto* list = rd_kafka_topic_partition_list_new(int(mine.size()));
  for (auto p : mine) rd_kafka_topic_partition_list_add(list, o.topic.c_str(), p)->offset = 0;
  rd_kafka_assign(consumer.get(), list);
  rd_kafka_topic_partition_list_destroy(list);
  auto* queue = rd_kafka_queue_get_consumer(consumer.get());
  auto wanted = o.records() / std::uint64_t(o.partitions) * mine.size();
  std::vector<rd_kafka_message_t*> messages(4096);
  auto changed = steady::now();
  for (std::uint64_t got = 0, seen = 0; got < wanted;) {
    auto n = rd_kafka_consume_batch_queue(queue, 100, messages.data(), messages.size());
    for (ssize_t i = 0; i < n; ++i) {
      auto* m = messages[std::size_t(i)];
      if (m->err) {
        total.failures++;
        total.last_error = m->err;
      } else {
        got++;
        total.records.fetch_add(1, std::memory_order_relaxed);
        total.bytes.fetch_add(m->len, std::memory_order_relaxed);
      }
      rd_kafka_message_destroy(m);
    }
    stop_without_progress(o, got, seen, changed);
  }
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(consumer.get());
}

// Runs one thread per connection; the first failure is the run's.
template <class Share>
void on_all_connections(const options& o, Share share) {
  std::vector<std::thread> threads;
  std::vector<std::string> failures(std::size_t(o.connections));
  for (int c = 0; c < o.connections; ++c)
    threads.emplace_back([&, c] {
      try {
        share(c);
      } catch (const std::exception& e) {
        failures[std::size_t(c)] = e.what();
      }
    });
  for (auto& t : threads) t.join();
  for (auto& f : failures)
    if (!f.empty()) throw std::runtime_error(f);
}

void print(const progress& total, steady::time_point start) {
  auto took = seconds_since(start);
  fmt::print(
      R"({{"records": {}, "bytes": {}, "failures": {}, "last_error": "{}", "seconds": {:.3f}, "mib_per_second": {:.2f}, "client_cpu_seconds": {:.2f}}})"
      "\n",
      total.records.load(), total.bytes.load(), total.failures.load(),
      total.last_error ? rd_kafka_err2name(rd_kafka_resp_err_t(total.last_error.load())) : "", took,
      double(total.bytes) / took / 1024 / 1024, own_cpu_seconds());
}

int produce(const options& o) {
  progress total;
  auto payload = random_bytes(4 * 1024 * 1024 + 1);
  auto start = steady::now();
  on_all_connections(o, [&](int c) { produce_share(o, c, payload, total, start); });
  print(total, start);
  return total.failures || total.records != o.records() ? 1 : 0;
}

int consume(const options& o) {
  progress total;
  auto start = steady::now();
  on_all_connections(o, [&](int c) { consume_share(o, c, total); });
  print(total, start);
  return 0;
}

// One producer that always has something to send, with librdkafka's defaults and what --set says. What was acknowledged
// in the window counts; what is still queued afterwards is thrown away.
int window(const options& o) {
  progress total;
  delivery_sink sink{total};
  auto producer = connect(RD_KAFKA_PRODUCER, o, {}, &sink);
  auto* topic = rd_kafka_topic_new(producer.get(), o.topic.c_str(), nullptr);
  auto payload = random_bytes(4 * 1024 * 1024 + 1);
  std::uint64_t n = 0;
  auto run_until = [&](steady::time_point end) {
    while (steady::now() < end) {
      for (int i = 0; i < 256; ++i, ++n) {
        auto at = n * o.record_bytes % (payload.size() - o.record_bytes + 1);
        auto partition = std::int32_t(n % std::uint64_t(o.partitions));
        if (rd_kafka_produce(topic, partition, 0, payload.data() + at, o.record_bytes, nullptr, 0, nullptr) != 0) {
          if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            throw std::runtime_error(rd_kafka_err2str(rd_kafka_last_error()));
          rd_kafka_poll(producer.get(), 5);
          break;
        }
      }
      rd_kafka_poll(producer.get(), 0);
    }
  };
  run_until(steady::now() + std::chrono::seconds(o.warm_up_seconds));
  auto start = steady::now();
  auto before = total.bytes.load(), records_before = total.records.load();
  run_until(start + std::chrono::seconds(o.seconds));
  total.bytes -= before;
  total.records -= records_before;
  print(total, start);
  auto bytes = total.bytes.load();
  auto failures = total.failures.load();
  rd_kafka_purge(producer.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(producer.get(), 1000);
  rd_kafka_topic_destroy(topic);
  return failures || bytes == 0 ? 1 : 0;
}

// Open loop: a record is due at its time whether or not the last one was acknowledged.
int latency(const options& o) {
  progress total;
  std::vector<std::int64_t> latencies_us;
  delivery_sink sink{total, &latencies_us};
  auto producer = connect(RD_KAFKA_PRODUCER, o, {{"acks", "all"}}, &sink);
  auto* topic = rd_kafka_topic_new(producer.get(), o.topic.c_str(), nullptr);
  auto payload = random_bytes(o.record_bytes);
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> stray(1 - o.jitter, 1 + o.jitter);
  // The first ones pay for connecting and for metadata.
  auto send = [&] {
    if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, payload.data(), payload.size(), nullptr, 0, nullptr) != 0)
      throw std::runtime_error(rd_kafka_err2str(rd_kafka_last_error()));
  };
  for (int i = 0; i < 3; ++i) {
    send();
    while (rd_kafka_outq_len(producer.get()) > 0) rd_kafka_poll(producer.get(), 100);
    std::this_thread::sleep_for(300ms);
  }
  if (total.failures) throw std::runtime_error(rd_kafka_err2str(rd_kafka_resp_err_t(total.last_error.load())));
  latencies_us.clear();
  auto start = steady::now(), due = start;
  std::uint64_t sent = 0;
  while (seconds_since(start) < o.seconds) {
    due += std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(stray(random) / o.rate));
    for (auto now = steady::now(); now < due; now = steady::now()) {
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(due - now).count();
      if (left > 0)
        rd_kafka_poll(producer.get(), int(left));
      else
        std::this_thread::sleep_until(due);
    }
    send();
    sent++;
    rd_kafka_poll(producer.get(), 0);
  }
  auto took = seconds_since(start);
  while (rd_kafka_outq_len(producer.get()) > 0) rd_kafka_poll(producer.get(), 100);
  rd_kafka_topic_destroy(topic);
  if (latencies_us.empty()) throw std::runtime_error("nothing was acknowledged");
  std::sort(latencies_us.begin(), latencies_us.end());
  auto at = [&](double q) {
    return double(latencies_us[std::min(latencies_us.size() - 1, std::size_t(q * double(latencies_us.size())))]) / 1000;
  };
  fmt::print(
      R"({{"records": {}, "failures": {}, "seconds": {:.3f}, "p50_ms": {:.2f}, "p90_ms": {:.2f}, "p99_ms": {:.2f}, "max_ms": {:.2f}}})"
      "\n",
      sent, total.failures.load(), took, at(0.5), at(0.9), at(0.99), at(1));
  return total.failures ? 1 : 0;
}

int wait_for_nothing(const options& o) {
  auto consumer = connect(RD_KAFKA_CONSUMER, o, {{"group.id", "bench"}, {"enable.auto.commit", "false"}});
  rd_kafka_poll_set_consumer(consumer.get());
  auto* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, o.topic.c_str(), 0)->offset = 0;
  rd_kafka_assign(consumer.get(), list);
  rd_kafka_topic_partition_list_destroy(list);
  auto start = steady::now();
  std::uint64_t got = 0;
  while (seconds_since(start) < o.seconds)
    if (auto* m = rd_kafka_consumer_poll(consumer.get(), 100)) {
      got += m->err ? 0 : 1;
      rd_kafka_message_destroy(m);
    }
  rd_kafka_consumer_close(consumer.get());
  fmt::print(R"({{"records": {}, "seconds": {:.3f}}})"
             "\n",
             got, seconds_since(start));
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  options o;
  CLI::App app("Load for benchmarks, with librdkafka.");
  app.require_subcommand(1);
  auto add = [&](const char* name, const char* help) {
    auto* sub = app.add_subcommand(name, help);
    sub->add_option("--brokers", o.brokers, "host:port")->capture_default_str();
    sub->add_option("--topic", o.topic, "topic")->capture_default_str();
    sub->add_option("--partitions", o.partitions, "its partitions")->check(CLI::PositiveNumber)->capture_default_str();
    sub->add_option("--connections", o.connections, "client instances")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub->add_option("--mib", o.mib, "record bytes in the topic, in MiB")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub->add_option("--record-bytes", o.record_bytes, "bytes in a record")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub->add_option("--mib-per-second", o.mib_per_second, "produce no faster; 0: no limit")->capture_default_str();
    sub->add_option("--rate", o.rate, "records per second (latency)")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub->add_option("--jitter", o.jitter, "fraction by which the time between two records varies (latency)")
        ->capture_default_str();
    sub->add_option("--seconds", o.seconds, "how long (window, latency, wait)")->capture_default_str();
    sub->add_option("--warm-up", o.warm_up_seconds, "seconds before the window")->capture_default_str();
    sub->add_option("--patience", o.patience_seconds, "seconds without progress after which it fails")
        ->capture_default_str();
    sub->add_option("--set", o.properties, "librdkafka property name=value");
    return sub;
  };
  auto* create = add("create", "create a topic");
  auto* produces = add("produce", "produce and wait for every acknowledgement");
  auto* consumes = add("consume", "fetch what produce wrote to a fresh topic, from assigned partitions");
  auto* windows = add("window", "bytes acknowledged in a window of time, with librdkafka's defaults");
  auto* latencies = add("latency", "time from produce to acknowledgement of single records");
  auto* waits = add("wait", "a consumer on an empty partition");
  CLI11_PARSE(app, argc, argv);
  try {
    if (*create) return create_topic(o), 0;
    if (*produces) return produce(o);
    if (*consumes) return consume(o);
    if (*windows) return window(o);
    if (*latencies) return latency(o);
    if (*waits) return wait_for_nothing(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_load: {}\n", e.what());
    return 1;
  }
  return 0;
}

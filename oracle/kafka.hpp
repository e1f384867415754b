// librdkafka's handles with owners, and the few administrative calls that a run needs.
#pragma once
#include <librdkafka/rdkafka.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "oracle/checker.hpp"
#include "oracle/settings.hpp"

namespace yaks::oracle {
// The run cannot take place or go on: no broker, no topic, a refused setting. what() is a sentence for the operator.
struct environment_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {
struct rd_closer {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
}  // namespace detail
using kafka_handle = std::unique_ptr<rd_kafka_t, detail::rd_closer>;
using kafka_conf = std::unique_ptr<rd_kafka_conf_t, detail::rd_closer>;
using kafka_topic = std::unique_ptr<rd_kafka_topic_t, detail::rd_closer>;
using kafka_queue = std::unique_ptr<rd_kafka_queue_t, detail::rd_closer>;

// What librdkafka complains about while a run goes on. An outage makes every producer complain in every second, so only
// the last words and the number of complaints are kept. Any thread.
class complaints {
 public:
  explicit complaints(bool verbose) : verbose_(verbose) {}
  void add(const std::string& words);
  std::string last() const;
  std::uint64_t count() const;
  bool verbose() const { return verbose_; }

 private:
  mutable std::mutex mutex_;
  std::string last_;
  std::uint64_t count_ = 0;
  bool verbose_;
};

// A configuration with the settings' brokers and properties; complaints go to `to`, which outlives the handle. `own`
// are this program's choices, which a property of the same name overrides. librdkafka's `opaque` is `to`.
kafka_conf make_conf(const settings& from, complaints& to, const std::vector<std::pair<std::string, std::string>>& own);
kafka_handle make_handle(rd_kafka_type_t type, kafka_conf conf);

// Waits until a broker answers; throws environment_error when connect_timeout is over.
void wait_for_broker(rd_kafka_t* client, const settings& from, const complaints& to);
// Creates the run's topics, or, without create_topics, sees that they are there; waits until each partition has a
// leader. A topic that exists already is refused: its records would be phantoms.
void prepare_topics(rd_kafka_t* client, const run_facts& facts, const settings& from);
}  // namespace yaks::oracle

#include "handlers/services.hpp"

namespace yaks::handlers {
awaitable<std::optional<producer_id>> producer_ids::next() {
  while (left_ == 0) {
    if (refilling_) {
      co_await refilled_.wait();
    } else {
      co_await refill();
      if (left_ == 0) co_return std::nullopt;
    }
  }
  --left_;
  auto id = next_;
  ++next_;
  co_return id;
}

awaitable<void> producer_ids::refill() {
  struct guard {  // also when the request that refills is cancelled
    producer_ids& ids;
    ~guard() {
      ids.refilling_ = false;
      ids.refilled_.notify_all();
    }
  } done{*this};
  refilling_ = true;
  auto got = co_await log_.submit(metadata::allocate_producer_ids{block});
  if (!got) co_return;
  next_ = got->first;
  left_ = got->count;
}

topic_metrics::topic_metrics(metrics::registry& registry)
    : registry_(registry),
      end_to_end_(registry.add_histogram("yaks_end_to_end_duration_seconds",
                                         "Age of the newest record, by its timestamp, when a fetch that reaches the end of a partition "
                                         "answers: with the clocks of producers, from produce to consumer.",
                                         metrics::latency_seconds_buckets())) {}

void topic_metrics::stored(const metadata::topic& topic, const ingest::stored_share& share) {
  auto& all = of(topic);
  all.produce_bytes.add(double(share.bytes));
  all.produce_records.add(double(share.records));
  all.put_share.add(share.put);
}

topic_metrics::series& topic_metrics::of(const metadata::topic& topic) {
  auto found = by_topic_.find(topic.id);
  if (found != by_topic_.end()) return found->second;
  metrics::labels with{{"topic", topic.name}};
  return by_topic_
      .emplace(topic.id,
               series{topic.name,
                      registry_.add_counter("yaks_produce_bytes_total", "Bytes of record batches that were stored.", with),
                      registry_.add_counter("yaks_produce_records_total", "Records that were stored.", with),
                      registry_.add_counter("yaks_fetch_bytes_total", "Bytes of record batches that were fetched.", with),
                      registry_.add_counter("yaks_fetch_records_total", "Records in the batches that were fetched.", with),
                      registry_.add_counter("yaks_topic_put_share_total",
                                            "PUTs, each divided among the topics in it by bytes: times its price, what a topic costs.", with)})
      .first->second;
}

void topic_metrics::forget(topic_id id) {
  auto found = by_topic_.find(id);
  if (found == by_topic_.end()) return;
  for (auto name : {"yaks_produce_bytes_total", "yaks_produce_records_total", "yaks_fetch_bytes_total", "yaks_fetch_records_total",
                    "yaks_topic_put_share_total"})
    registry_.remove(name, {{"topic", found->second.name}});
  by_topic_.erase(found);
}
}  // namespace yaks::handlers

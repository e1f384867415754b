#include "sim/consumer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "records/batch.hpp"
#include "records/compression.hpp"
#include "records/record.hpp"

namespace yaks::sim {
using wire::error_code;

consumer::consumer(client_world& all, std::string name, bool by_id) : client(all, std::move(name)), by_id_(by_id) {}

bool consumer::is_at_end() const {
  return std::ranges::all_of(places_, [&](const place& p) { return p.next >= all_.check.end_known(p.where); });
}

awaitable<void> consumer::run() {
  while (!co_await refresh(all_.topics)) co_await back_off();
  for (const auto& topic : all_.topics)
    for (std::int32_t p = 0; p < partitions(topic); ++p) places_.push_back({.topic = topic, .partition = p, .where = find(topic, p)->where});
  for (;;) {
    if (all_.stopping && is_at_end()) break;
    if (!all_.stopping && one_of(50)) {
      if (one_of(2)) {
        auto& p = places_[below(places_.size())];
        // Also to what is gone.
        auto least = one_of(2) ? 0 : std::min(p.next, all_.check.log_start(p.where));
        if (p.next > least) {
          all_.w.reached("a consumer that went back");
          p.next -= std::int64_t(below(std::uint64_t(p.next - least) + 1));
        }
      } else if (!co_await list_offsets(one_of(2) ? -1 : -2)) {
        co_await back_off();
      }
    }
    // A leader of some partition that is not read to its end, or any.
    std::vector<std::int32_t> leaders;
    for (const auto& p : places_)
      if (const auto* known = find(p.topic, p.partition))
        if (!all_.stopping || p.next < all_.check.end_known(p.where)) leaders.push_back(known->leader);
    bool good = !leaders.empty() && co_await fetch_from(leaders[below(leaders.size())]);
    if (!good) {
      co_await back_off();
      if (any_ && one_of(2)) any_->close();
    }
    if (std::ranges::any_of(places_, &place::is_lost)) (void)co_await list_offsets(-2);
    if (!good || one_of(40)) (void)co_await refresh(all_.topics);
    if (!all_.stopping) co_await all_.think();
  }
  close();
}

awaitable<void> consumer::read_to_end(std::string topic, topic_id id) {
  places_.clear();
  while (!co_await refresh({topic}) || find(topic, 0)->where.topic != id) {
    co_await back_off();
    if (any_ && one_of(2)) any_->close();
  }
  for (std::int32_t p = 0; p < partitions(topic); ++p) places_.push_back({.topic = topic, .partition = p, .where = {id, partition_index(p)}});
  while (!is_at_end()) {
    const auto* known = find(topic, std::int32_t(below(places_.size())));
    if (known && co_await fetch_from(known->leader)) continue;
    co_await back_off();
    if (any_ && one_of(2)) any_->close();
    if (std::ranges::any_of(places_, &place::is_lost)) (void)co_await list_offsets(-2);
    (void)co_await refresh({topic});
  }
}

awaitable<bool> consumer::fetch_from(std::int32_t leader) {
  auto over = co_await to(leader);
  if (!over) co_return false;
  wire::fetch_request request{.max_wait_ms = std::int32_t(below(4) * 100),
                              .min_bytes = one_of(4) ? 2000 : 1,
                              .max_bytes = one_of(4) ? 2000 : 1 << 20};
  std::vector<place*> asked;
  std::vector<std::int64_t> from;
  struct promise {
    std::int64_t end, start;
  };
  std::vector<promise> promised;
  // Those that lag come first now and then, so that none starves behind a small max_bytes.
  auto first = below(places_.size());
  for (std::size_t i = 0; i < places_.size(); ++i) {
    auto& p = places_[(first + i) % places_.size()];
    const auto* known = find(p.topic, p.partition);
    if (!known || known->leader != leader) continue;
    if (request.topics.empty() || request.topics.back().topic != p.topic) request.topics.push_back({.topic = p.topic, .topic_id = p.where.topic.value()});
    request.topics.back().partitions.push_back(
        {.partition = p.partition, .fetch_offset = p.next, .partition_max_bytes = one_of(4) ? 500 : 1 << 20});
    asked.push_back(&p);
    from.push_back(p.next);
    promised.push_back({all_.check.end_known(p.where), all_.check.start_known(over->host(), p.where)});
  }
  if (asked.empty()) co_return false;
  if (all_.is_behind(over->host())) all_.w.reached("a fetch from a broker that is behind");
  auto answer = co_await over->ask(by_id_ ? 13 : 11, request, std::chrono::milliseconds(request.max_wait_ms) + 5s);
  if (!answer) {
    all_.w.reached("a fetch whose answer never came");
    co_return false;
  }
  all_.did_one();
  if (answer->error_code != error_code::none)
    all_.w.violation(fmt::format("wrong answer: a fetch of {} is answered with {}", name_, wire::name(answer->error_code)));
  // Where one partition has an error, or records, others may be left out.
  bool is_empty = true, good = true;
  for (const auto& t : answer->responses)
    for (const auto& d : t.partitions) is_empty &= d.error_code == error_code::none && (!d.records || d.records->empty());
  std::size_t found = 0;
  for (const auto& t : answer->responses)
    for (const auto& d : t.partitions)
      for (std::size_t i = 0; i < asked.size(); ++i) {
        auto& p = *asked[i];
        if ((by_id_ ? p.where.topic.value() != t.topic_id : p.topic != t.topic) || p.partition != d.partition_index) continue;
        ++found;
        all_.w.note(name_, std::uint64_t(d.error_code), std::uint64_t(d.high_watermark));
        if (d.error_code == error_code::none) {
          all_.check.told_end(p.where, d.high_watermark);
          all_.check.told_start(over->host(), p.where, d.log_start_offset, promised[i].start);
          if (is_empty && d.high_watermark < promised[i].end)
            all_.w.violation(fmt::format("unseen: {} is told that {}-{} ends at {}, and before it asked the end was {}", name_, p.topic,
                                         p.partition, d.high_watermark, promised[i].end));
          if (is_empty && request.min_bytes > 0 && from[i] < promised[i].end)
            all_.w.violation(fmt::format("unseen: {} asks {}-{} for offset {}, which is there, and is given nothing", name_, p.topic, p.partition, from[i]));
          take(p, d, from[i]);
        } else if (d.error_code == error_code::offset_out_of_range) {
          if (from[i] < all_.check.log_start(p.where)) {
            all_.w.reached("a fetch of what is gone");
            p.is_lost |= p.next == from[i];
          } else if (from[i] <= promised[i].end)
            all_.w.violation(fmt::format("wrong denial: {} is told that offset {} of {}-{} is out of range", name_, from[i], p.topic, p.partition));
          good = false;
        } else if (d.error_code == error_code::unknown_topic_or_partition || d.error_code == error_code::unknown_topic_id) {
          all_.w.violation(fmt::format("unseen: {} fetches from {}, which is there, and is told that it is not", name_, p.topic));
          good = false;
        } else {
          if (d.error_code != error_code::kafka_storage_error)
            all_.w.violation(fmt::format("wrong answer: a fetch of {} is answered with {}", name_, wire::name(d.error_code)));
          all_.w.reached("a fetch answered with a storage error");
          good = false;
        }
      }
  if (found != asked.size()) all_.w.violation(fmt::format("wrong answer: {} of {} partitions that {} fetches are answered", found, asked.size(), name_));
  co_return good;
}

void consumer::take(place& p, const wire::fetch_response::topic_entry::partition_entry& data, std::int64_t asked_at) {
  if (!data.records || data.records->empty() || p.next != asked_at) return;
  std::string bytes;
  for (const auto& s : data.records->parts) bytes += as_text(s.view());
  records::batch_reader reader(as_bytes(bytes));
  bool is_first = true;
  while (auto batch = reader.next()) {
    auto body = records::plain_body::open(*batch, 64 << 20);
    if (!batch->crc_matches() || !body) {
      all_.check.read(p.where, batch->base_offset().value(), {}, false);
      return;
    }
    // Only the first may begin before what was asked for.
    if (batch->next_offset().value() <= asked_at || (!is_first && batch->base_offset().value() != p.next) || batch->base_offset().value() > p.next) {
      all_.w.violation(fmt::format("skipped or repeated: {} asks {}-{} for offset {} and is given a batch of [{}, {}) where {} comes next", name_,
                                   p.topic, p.partition, asked_at, batch->base_offset().value(), batch->next_offset().value(), p.next));
      return;
    }
    is_first = false;
    records::record_reader inside(body->bytes());
    for (records::record_view r; inside.next(r);) {
      auto at = batch->base_offset().value() + r.offset_delta;
      if (at < p.next) continue;
      if (at != p.next) {
        all_.w.violation(fmt::format("skipped: {} is given offset {} of {}-{} where {} comes next", name_, at, p.topic, p.partition, p.next));
        return;
      }
      all_.check.read(p.where, at, r.value.value_or(byte_view{}), true);
      took(p, at);
      ++p.next;
    }
  }
  if (reader.fault()) all_.w.violation(fmt::format("damaged batch: {} is given bytes at {} of {}-{} that are none", name_, p.next, p.topic, p.partition));
  if (p.next > data.high_watermark && data.high_watermark >= 0)
    all_.w.violation(fmt::format("phantom: {} is given offset {} of {}-{}, whose end is said to be {}", name_, p.next - 1, p.topic, p.partition, data.high_watermark));
}

awaitable<bool> consumer::list_offsets(std::int64_t timestamp) {
  auto over = co_await to_any();
  if (!over) co_return false;
  wire::list_offsets_request request{.replica_id = -1, .timeout_ms = 5000};
  for (const auto& p : places_) {
    if (request.topics.empty() || request.topics.back().name != p.topic) request.topics.push_back({.name = p.topic});
    request.topics.back().partitions.push_back({.partition_index = p.partition, .timestamp = timestamp});
  }
  std::vector<std::int64_t> promised, starts;
  for (const auto& p : places_) promised.push_back(all_.check.end_known(p.where)), starts.push_back(all_.check.start_known(p.where));
  auto answer = co_await over->ask(7, request, 8s);
  if (!answer) co_return false;
  all_.did_one();
  bool good = true;
  for (const auto& t : answer->topics)
    for (const auto& d : t.partitions)
      for (std::size_t i = 0; i < places_.size(); ++i) {
        auto& p = places_[i];
        if (p.topic != t.name || p.partition != d.partition_index) continue;
        if (d.error_code == error_code::kafka_storage_error) {
          good = false;
        } else if (d.error_code != error_code::none) {
          all_.w.violation(fmt::format("wrong answer: offsets of {}-{} are answered with {}", p.topic, p.partition, wire::name(d.error_code)));
        } else if (timestamp == -1) {
          all_.check.told_end(p.where, d.offset);
          if (d.offset < promised[i])
            all_.w.violation(fmt::format("unseen: {} is told that {}-{} ends at {}, and before it asked the end was {}", name_, p.topic, p.partition,
                                         d.offset, promised[i]));
        } else {
          all_.check.told_start(over->host(), p.where, d.offset, starts[i]);
          if (std::exchange(p.is_lost, false)) p.next = std::max(p.next, d.offset);
        }
      }
  co_return good;
}
}  // namespace yaks::sim

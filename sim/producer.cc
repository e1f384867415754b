#include "sim/producer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "records/builder.hpp"

namespace yaks::sim {
using wire::error_code;

producer::producer(client_world& all, std::string name, bool idempotent) : client(all, std::move(name)), idempotent_(idempotent) {
  auto& chance = all_.w.time.chance;
  resends_all_ = chance.below(2) == 0;
  in_flight_max_ = 1 + chance.below(5);
  queue_max_ = 1 + chance.below(8);
  think_most_ = (chance.below(2) == 0 ? 40ms : 8ms) + all_.w.what.think;
  const records::compression_type kinds[] = {records::compression_type::none, records::compression_type::none,
                                             records::compression_type::none, records::compression_type::lz4,
                                             records::compression_type::snappy};
  compression_ = kinds[chance.below(std::size(kinds))];
}

awaitable<bool> producer::begin_session() {
  if (idempotent_) {
    auto c = co_await to_any();
    if (!c) co_return false;
    auto answer = co_await c->ask(4, wire::init_producer_id_request{}, 8s);
    if (!answer) co_return false;
    all_.did_one();
    if (answer->error_code != error_code::none) {
      if (!wire::is_retriable(answer->error_code))
        all_.w.violation(fmt::format("wrong answer: {} is refused a producer id: {}", name_, wire::name(answer->error_code)));
      co_return false;
    }
    id_ = producer_id(answer->producer_id);
    epoch_ = answer->producer_epoch;
    all_.check.producer_id_given(id_);
  }
  session_ = all_.check.begin_session(idempotent_);
  ++incarnation_;
  co_return true;
}

void producer::begin_slots() {
  slots_.clear();
  for (const auto& topic : all_.topics)
    for (std::int32_t p = 0; p < partitions(topic); ++p)
      slots_.push_back({.topic = topic, .partition = p, .where = find(topic, p)->where, .queue = {}});
}

std::size_t producer::unsent() const {
  std::size_t n = 0;
  for (const auto& s : slots_) n += s.queue.size();
  return n;
}

void producer::make_batch(slot& s) {
  auto b = std::make_shared<batch>();
  records::batch_settings settings{.compression = compression_};
  if (idempotent_) settings.producer = id_, settings.producer_epoch = epoch_, settings.base_sequence = s.next_sequence;
  b->base_sequence = s.next_sequence;
  records::batch_builder builder(settings);
  auto count = 1 + below(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto name = all_.check.send(session_, s.where);
    b->records.push_back(name);
    auto bytes = one_of(40) ? all_.w.what.value_bytes * 40 : 1 + below(2 * all_.w.what.value_bytes);
    builder.add(all_.rt.wall_clock(), std::nullopt, value_of(name, bytes));
  }
  b->bytes = builder.build();
  s.next_sequence += std::int32_t(count);
  s.queue.push_back(std::move(b));
}

// The batch that may be sent to this broker now, or nothing.
std::shared_ptr<producer::batch> producer::next_of(slot& s, std::int32_t leader) {
  if (all_.rt.now() < s.not_before) return nullptr;
  // Another leader: what is in flight to the old one is waited for, lest a later batch come first.
  if (s.in_flight > 0 && s.at_broker != leader) return nullptr;
  bool all_before_in_flight = true;
  for (std::size_t i = 0; i < s.queue.size(); ++i) {
    auto& b = s.queue[i];
    if (b->in_flight) continue;
    if (!idempotent_) return b;
    if (b->sends > 0 && resends_all_) {
      // Nothing later may be in flight; earlier ones that were sent again may.
      for (std::size_t j = i + 1; j < s.queue.size(); ++j)
        if (s.queue[j]->in_flight) return nullptr;
      return all_before_in_flight ? b : nullptr;
    }
    if (b->sends > 0) return i == 0 ? b : nullptr;
    // A new one waits for every one that has to be sent again.
    bool retrying = std::ranges::any_of(s.queue, [&](const auto& other) { return other->sends > 1 && !resends_all_; });
    return all_before_in_flight && !retrying ? b : nullptr;
  }
  return nullptr;
}

// One request to each broker that some batch can go to. True where something was sent.
awaitable<bool> producer::send_some() {
  std::set<std::int32_t> leaders;
  for (auto& s : slots_)
    if (!s.queue.empty())
      if (const auto* p = find(s.topic, s.partition)) leaders.insert(p->leader);
  bool sent = false;
  for (auto leader : leaders) {
    if (requests_in_flight_[leader] >= in_flight_max_) continue;
    auto may_go = [&](slot& s) {
      const auto* p = find(s.topic, s.partition);
      return p && p->leader == leader ? next_of(s, leader) : nullptr;
    };
    if (std::ranges::none_of(slots_, [&](slot& s) { return may_go(s) != nullptr; })) continue;
    auto over = co_await to(leader);
    if (!over) {
      metadata_are_stale_ = true;
      continue;
    }
    request r{.over = over, .session = incarnation_};
    wire::produce_request message{.acks = -1,
                                  .timeout_ms = std::int32_t(std::chrono::milliseconds(
                                      std::chrono::duration_cast<std::chrono::milliseconds>(all_.w.what.request_timeout)).count())};
    for (auto& s : slots_) {
      auto b = may_go(s);
      if (!b) continue;
      r.batches.emplace_back(&s, b);
      if (++b->sends > 1) {
        for (auto name : b->records) all_.check.sent_again(name);
        all_.w.reached("a batch sent again");
      }
      b->in_flight = true;
      ++s.in_flight;
      s.at_broker = leader;
      if (message.topic_data.empty() || message.topic_data.back().name != s.topic) message.topic_data.push_back({.name = s.topic});
      message.topic_data.back().partition_data.push_back({s.partition, wire::blob{b->bytes}});
    }
    if (r.batches.empty()) continue;
    ++requests_in_flight_[leader];
    sent = true;
    auto waits = over->send(9, message);
    all_.tasks.spawn(exchange(std::move(r), std::move(waits)));
  }
  co_return sent;
}

awaitable<void> producer::exchange(request r, std::shared_ptr<connection::waiting> sent) {
  auto answer = co_await r.over->wait_for<wire::produce_response>(9, std::move(sent), all_.w.what.request_timeout + 2s);
  if (r.session != incarnation_) co_return;  // of a life before
  --requests_in_flight_[r.over->broker()];
  changed_.notify_all();
  for (auto& [s, b] : r.batches) b->in_flight = false, --s->in_flight;
  if (!answer) {
    all_.w.reached("a produce request whose answer never came");
    metadata_are_stale_ = true;
    for (auto& [s, b] : r.batches) b->may_be_stored = true, s->not_before = all_.rt.now() + all_.w.time.chance.between(10ms, 150ms);
    co_return;
  }
  all_.did_one();
  std::size_t found = 0;
  for (const auto& t : answer->responses)
    for (const auto& p : t.partition_responses)
      for (auto& [s, b] : r.batches)
        if (s->topic == t.name && s->partition == p.index) {
          ++found;
          take_answer(*s, b, p.error_code, p.base_offset);
        }
  if (found != r.batches.size()) all_.w.violation(fmt::format("wrong answer: {} of {} batches of {} are answered", found, r.batches.size(), name_));
}

void producer::remove(slot& s, const std::shared_ptr<batch>& b) { std::erase(s.queue, b); }

void producer::take_answer(slot& s, const std::shared_ptr<batch>& b, error_code code, std::int64_t base_offset) {
  all_.w.note(name_, std::uint64_t(code), std::uint64_t(base_offset));
  if (code == error_code::none || code == error_code::duplicate_sequence_number) {
    for (std::size_t i = 0; i < b->records.size(); ++i)
      all_.check.acknowledged(b->records[i], code == error_code::none ? base_offset + std::int64_t(i) : -1);
    for (const auto& other : s.queue) {
      if (other == b) break;
      other->is_proved |= idempotent_;
    }
    remove(s, b);
    return;
  }
  s.not_before = all_.rt.now() + all_.w.time.chance.between(10ms, 150ms);
  switch (code) {
    case error_code::request_timed_out:
      all_.w.reached("a produce answered as timed out");
      b->may_be_stored = true;
      return;
    case error_code::kafka_storage_error:
      all_.w.reached("a produce answered as not stored");
      // Some applications give up what surely was not stored.
      if (!idempotent_ && !b->may_be_stored && one_of(2)) {
        for (auto name : b->records) all_.check.refused(name);
        remove(s, b);
      }
      return;
    case error_code::out_of_order_sequence_number:
      all_.w.reached("a produce answered as out of order");
      // So old that the log knows it no more; clients conclude from the later one that it is stored.
      if (b->is_proved) {
        for (auto name : b->records) all_.check.acknowledged(name, -1);
        remove(s, b);
        return;
      }
      if (!idempotent_ || s.queue.front() == b) {
        all_.w.violation(fmt::format("wrong denial: {} of {} is the next of its producer and is said to be out of order", text_of(b->records.front()), name_));
        remove(s, b);
      }
      return;
    case error_code::unknown_topic_or_partition:
      all_.w.violation(fmt::format("unseen: {} produces to {}, which is there, and is told that it is not", name_, s.topic));
      return;
    default:
      if (!wire::is_retriable(code))
        all_.w.violation(fmt::format("wrong answer: a produce of {} is answered with {}", name_, wire::name(code)));
      metadata_are_stale_ = true;
      return;
  }
}

awaitable<void> producer::run() {
  while (!co_await refresh(all_.topics)) co_await back_off();
  while (!co_await begin_session()) co_await back_off();
  begin_slots();
  time_point next_batch = all_.rt.now(), next_refresh = all_.rt.now() + 5s;
  for (;;) {
    auto now = all_.rt.now();
    if (metadata_are_stale_ || now >= next_refresh) {
      if (any_ && metadata_are_stale_ && one_of(2)) any_->close();
      metadata_are_stale_ = !co_await refresh(all_.topics);
      next_refresh = all_.rt.now() + all_.w.time.chance.between(1s, 6s);
      if (metadata_are_stale_) co_await back_off();
    }
    if (!all_.stopping && now >= next_batch && unsent() < queue_max_) {
      if (one_of(600)) {
        all_.w.reached("a producer that began anew");
        // Its application ends: connections close, and nobody waits any more.
        close();
        ++incarnation_;
        requests_in_flight_.clear();
        while (!co_await begin_session()) co_await back_off();
        begin_slots();
      }
      make_batch(slots_[below(slots_.size())]);
      next_batch = now + (one_of(30) ? all_.w.time.chance.between(0ms, 500ms) : all_.w.time.chance.between(0ms, think_most_));
      continue;
    }
    if (co_await send_some()) continue;
    if (all_.stopping && unsent() == 0) break;
    auto due = all_.rt.now() + 100ms;
    if (!all_.stopping && unsent() < queue_max_) due = std::min(due, next_batch);
    for (const auto& s : slots_)
      if (!s.queue.empty() && s.not_before > all_.rt.now()) due = std::min(due, s.not_before);
    co_await changed_.wait_until(all_.rt, due);
  }
  close();
}
}  // namespace yaks::sim

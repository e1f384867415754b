#include "sim/stores.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <variant>

#include "base/check.hpp"
#include "metadata/entry_codec.hpp"

namespace yaks::sim {
using metadata::append_id;
using metadata::log_error;
using metadata::log_position;
using metadata::log_tail;

namespace {
// A call on its way. Shared by its caller, who may die, and the timers that bring it there and back.
template <class R>
struct flight {
  std::optional<R> answer;
  event arrived;
  void land(R r) {
    if (answer) return;
    answer = std::move(r);
    arrived.notify_all();
  }
};

// The effect belongs to the server: it happens there although the caller is gone.
template <class R>
awaitable<void> happen(servers& s, std::shared_ptr<std::function<awaitable<R>()>> effect, std::shared_ptr<flight<R>> f, journey way) {
  R answer = co_await (*effect)();
  if (f && way.answered) s.w.time.after(way.back, [f, answer = std::move(answer)]() mutable { f->land(std::move(answer)); });
}

template <class R>
awaitable<R> call(servers& s, simulated_runtime& rt, journey way, R if_lost, std::function<awaitable<R>()> what) {
  rt.check_alive();
  auto f = std::make_shared<flight<R>>();
  auto effect = std::make_shared<std::function<awaitable<R>()>>(std::move(what));  // shared by one that happens twice
  if (way.happens) s.w.time.after(way.there, [&s, effect, f, way] { s.tasks.spawn(happen<R>(s, effect, f, way)); });
  if (way.happens_again)
    s.w.time.after(way.there + *way.happens_again, [&s, effect, way] { s.tasks.spawn(happen<R>(s, effect, nullptr, way)); });
  struct alarm {
    simulated_world& time;
    simulated_world::timer which;
    ~alarm() { time.cancel(which); }
  } guard{s.w.time, s.w.time.after(way.patience, [f, if_lost]() mutable { f->land(std::move(if_lost)); })};
  while (!f->answer) co_await f->arrived.wait();
  rt.check_alive();
  co_return std::move(*f->answer);
}

template <class R>
awaitable<R> refuse(simulated_runtime& rt, servers& s, R answer) {
  co_await rt.sleep_for(s.w.time.chance.between(100us, 5ms));
  co_return answer;
}

awaitable<void> nothing() { co_return; }

// ---- bugs

// The commit as if no producer had sequences.
shared_bytes without_sequences(const shared_bytes& payload) {
  metadata::entry_writer out;
  for (auto& c : metadata::decode_entry(payload.view())) {
    if (auto* commit = std::get_if<metadata::commit_object>(&c))
      for (auto& t : commit->topics)
        for (auto& p : t.partitions)
          for (auto& b : p.batches) b.producer = no_producer, b.producer_epoch = -1, b.base_sequence = -1;
    out.add(c);
  }
  return out.take();
}

bool has_batches(byte_view payload) {
  auto commands = metadata::decode_entry(payload);
  return std::ranges::any_of(commands, [](const auto& c) { return std::holds_alternative<metadata::commit_object>(c); });
}
}  // namespace

servers::servers(world& of)
    : w(of), rt(of.time), log([this] { return w.time.wall_clock(); }), check(of, log, objects), any_session(rt, log, "the network"), tasks(rt.executor()) {
  rt.run(any_session.open());
  log.mistakes.counts_one_too_few = w.what.bug == "counts_one_too_few";
  log.mistakes.counts_no_merged = w.what.bug == "counts_no_merged";
  log.mistakes.retires_at_once = w.what.bug == "retires_at_once";
}

void servers::shut_down() {
  rt.run(run_then_close(nothing(), tasks));
}

servers::~servers() = default;

// ---- the database

// The server's side of a session's notifications. Shared: it outlives a process that dies.
struct sim_metastore::link {
  bool has_changed = false, open = true;
  log_sequence reported;  // the newest that the server has heard of the agent
  event changed;  // waited for by the agent
};

namespace {
awaitable<void> watch(servers& s, std::shared_ptr<metastores::memory_metastore> session, auto link) {
  auto& log = static_cast<metadata::metastore&>(*session).log();
  while (link->open && session->is_open()) {
    try {
      co_await log.wait_for_change();
    } catch (const boost::system::system_error&) {  // the session has ended
      co_return;
    }
    if (s.w.drawn(s.w.what.notification_lost)) {
      s.w.reached("a notification lost");
      continue;
    }
    s.w.time.after(s.w.time.chance.between(100us, 3ms), [link] {
      link->has_changed = true;
      link->changed.notify_all();
    });
  }
}
}  // namespace

sim_metastore::sim_metastore(servers& s, simulated_runtime& rt, std::string name)
    : s_(s), rt_(rt), session_(std::make_shared<metastores::memory_metastore>(s.rt, s.log, std::move(name))), link_(std::make_shared<link>()) {}

sim_metastore::~sim_metastore() = default;

awaitable<void> sim_metastore::open() {
  while (s_.log_is_away) co_await rt_.sleep_for(200ms);
  auto session = session_;
  co_await call<bool>(s_, rt_, {.there = s_.w.time.chance.between(1ms, 20ms)}, false, [session]() -> awaitable<bool> {
    co_await session->open();
    co_return true;
  });
  s_.tasks.spawn(watch(s_, session_, link_));
}

awaitable<void> sim_metastore::hold_node_id(node_id id, duration patience) {
  auto session = session_;
  auto failure_text = co_await call<std::optional<std::string>>(
      s_, rt_, {.there = 1ms, .back = 1ms, .patience = patience + 10s}, std::string("no answer"),
      [session, id, patience]() -> awaitable<std::optional<std::string>> {
        if (!session->is_open()) co_return "the session has ended";
        try {
          co_await session->hold_node_id(id, patience);
          co_return std::nullopt;
        } catch (const metadata::metastore_error& error) {
          co_return error.what();
        }
      });
  if (failure_text) throw metadata::metastore_error(*failure_text);
}

journey sim_metastore::reading() {
  journey way{.there = s_.w.time.chance.between(200us, 3ms), .back = s_.w.time.chance.between(200us, 3ms)};
  if (s_.w.drawn(s_.w.what.log_slow)) (s_.w.time.chance.below(2) == 0 ? way.there : way.back) += s_.w.some_time(s_.w.what.slow_most);
  if (s_.w.drawn(s_.w.what.read_failed)) {
    way.answered = false;
    way.patience = s_.w.some_time(1s);
  }
  if (s_.w.what.bug == "answers_stop" && s_.w.time.now() > time_point(1h + 8s)) way.answered = false, way.patience = 1h;
  return way;
}

awaitable<result<log_tail, log_error>> sim_metastore::append(log_position applied, append_id id, shared_bytes payload) {
  using answer = result<log_tail, log_error>;
  auto& w = s_.w;
  w.note("append", rt_.number(), id.number);
  if (s_.log_is_away || w.drawn(w.what.append_failed))
    co_return co_await refuse<answer>(rt_, s_, failure(log_error::unavailable));
  auto way = reading();
  if (w.drawn(w.what.append_lost)) {
    w.reached("an append lost before its commit");
    way.happens = false;
    way.patience = w.some_time(1s);
  } else if (w.drawn(w.what.append_answer_lost)) {
    w.reached("an append whose answer is lost");
    way.answered = false;
    way.patience = w.some_time(1s);
  } else if (w.drawn(w.what.append_late)) {
    way.answered = false;
    way.patience = w.some_time(500ms);
    way.there += way.patience + w.some_time(w.what.late_most);
  } else if (w.drawn(w.what.append_twice)) {
    w.reached("an append delivered twice");
    way.happens_again = w.some_time(2s);
  }
  if (w.what.bug == "sequences_dropped") payload = without_sequences(payload);
  auto session = session_;
  auto* s = &s_;
  // Such a bug hits now and then, once clients write.
  bool strikes = w.time.chance.below(20) == 0 && has_batches(payload.view());
  co_return co_await call<answer>(s_, rt_, way, failure(log_error::unknown), [=]() -> awaitable<answer> {
    if (s->log_is_away) co_return failure(log_error::unknown);
    auto known = std::ranges::find(s->log.entries(), id, &metadata::log_entry::id);
    if (known != s->log.entries().end()) s->w.reached("an append committed after its retry");
    auto before = s->log.head();
    if (strikes && s->w.what.bug == "append_forgotten") {
      auto tail = s->log.read_after(applied);
      if (!tail) co_return tail;
      tail->entries.push_back({.sequence = before.sequence + 1, .id = id, .time = tail->now, .payload = payload});
      tail->head = before.sequence + 1;
      co_return tail;
    }
    // What was on its way when its session broke may still arrive.
    auto& log = static_cast<metadata::metastore&>(session->is_open() ? *session : s->any_session).log();
    if (!session->is_open()) s->w.reached("an append that outlived its session");
    auto tail = co_await log.append(applied, id, payload);
    if (tail && strikes && s->w.what.bug == "append_doubled")
      (void)co_await log.append(applied, {id.writer, id.number + 1}, payload);
    s->check.log_changed();
    co_return tail;
  });
}

awaitable<result<log_tail, log_error>> sim_metastore::read_after(log_position applied) {
  using answer = result<log_tail, log_error>;
  if (s_.log_is_away) co_return co_await refuse<answer>(rt_, s_, failure(log_error::unavailable));
  auto session = session_;
  auto* s = &s_;
  bool first_agent = rt_.number() % 2 == 0;
  co_return co_await call<answer>(s_, rt_, reading(), failure(log_error::unavailable), [=]() -> awaitable<answer> {
    if (s->log_is_away || !session->is_open()) co_return failure(log_error::unavailable);
    auto tail = co_await static_cast<metadata::metastore&>(*session).log().read_after(applied);
    if (!tail || tail->entries.empty()) co_return tail;
    if (s->w.what.bug == "reads_stale") {
      while (!tail->entries.empty() && tail->entries.back().time > s->w.time.wall_clock() - 1000) tail->entries.pop_back();
      tail->head = applied.sequence + std::int64_t(tail->entries.size());
    }
    if (s->w.what.bug == "entries_swapped" && first_agent && tail->entries.size() >= 2) {
      auto &a = tail->entries[tail->entries.size() - 2], &b = tail->entries.back();
      if (has_batches(a.payload.view()) && has_batches(b.payload.view()) && a.id.writer != b.id.writer) {
        std::swap(a.id, b.id);
        std::swap(a.payload, b.payload);
      }
    }
    co_return tail;
  });
}

awaitable<void> sim_metastore::wait_for_change() {
  while (!link_->has_changed) co_await link_->changed.wait();
  link_->has_changed = false;
}

awaitable<result<std::vector<incarnation>, log_error>> sim_metastore::renew_lease(metadata::lease mine, duration ttl) {
  using answer = result<std::vector<incarnation>, log_error>;
  if (s_.log_is_away) co_return co_await refuse<answer>(rt_, s_, failure(log_error::unavailable));
  auto session = session_;
  auto link = link_;
  co_return co_await call<answer>(s_, rt_, reading(), failure(log_error::unknown),
                                  [=]() -> awaitable<answer> {
                                    // A connection keeps the order: what its sender gave up does not overtake what it sent later.
                                    if (!session->is_open() || mine.applied < link->reported) co_return failure(log_error::unknown);
                                    link->reported = mine.applied;
                                    co_return co_await session->renew_lease(mine, ttl);
                                  });
}

awaitable<result<std::set<node_id>, log_error>> sim_metastore::held_node_ids() {
  using answer = result<std::set<node_id>, log_error>;
  return ask<answer>([session = session_] { return session->held_node_ids(); });
}

awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, log_error>> sim_metastore::reports() {
  using answer = result<std::vector<std::pair<incarnation, log_sequence>>, log_error>;
  return ask<answer>([session = session_] { return session->reports(); });
}

awaitable<void> sim_metastore::end_lease(incarnation who) {
  auto session = session_;
  co_await call<bool>(s_, rt_, reading(), false, [=]() -> awaitable<bool> {
    co_await session->end_lease(who);
    co_return true;
  });
}

awaitable<result<std::vector<metadata::snapshot_record>, log_error>> sim_metastore::snapshots() {
  using answer = result<std::vector<metadata::snapshot_record>, log_error>;
  if (s_.log_is_away) co_return co_await refuse<answer>(rt_, s_, failure(log_error::unavailable));
  auto session = session_;
  co_return co_await call<answer>(s_, rt_, reading(), failure(log_error::unavailable),
                                  [=]() -> awaitable<answer> {
                                    if (!session->is_open()) co_return failure(log_error::unavailable);
                                    co_return co_await session->snapshots();
                                  });
}

awaitable<result<std::vector<std::string>, log_error>> sim_metastore::add_snapshot(metadata::snapshot_record made) {
  using answer = result<std::vector<std::string>, log_error>;
  if (s_.log_is_away) co_return co_await refuse<answer>(rt_, s_, failure(log_error::unavailable));
  auto session = session_;
  auto* s = &s_;
  co_return co_await call<answer>(s_, rt_, reading(), failure(log_error::unknown), [=]() -> awaitable<answer> {
    if (!session->is_open()) co_return failure(log_error::unknown);
    s->check.snapshot_made(made.at.sequence, made.digest);
    s->w.reached("a snapshot");
    co_return co_await session->add_snapshot(made);
  });
}

// ---- the index

template <class Answer>
awaitable<Answer> sim_metastore::ask(std::function<awaitable<Answer>()> what, log_error if_lost) {
  if (s_.log_is_away) co_return co_await refuse<Answer>(rt_, s_, failure(log_error::unavailable));
  auto* s = &s_;
  auto way = reading();
  if (if_lost == log_error::unknown && s_.w.drawn(s_.w.what.append_late)) {  // a write, which arrives when its writer is past it
    s_.w.reached("a write into the index that happened late");
    way.answered = false;
    way.patience = s_.w.some_time(500ms);
    way.there += way.patience + s_.w.some_time(s_.w.what.late_most);
  }
  co_return co_await call<Answer>(s_, rt_, way, failure(if_lost), [s, what, session = session_]() -> awaitable<Answer> {
    if (s->log_is_away || !session->is_open()) co_return failure(log_error::unavailable);
    co_return co_await what();
  });
}

awaitable<result<std::vector<std::pair<topic_partition, offset>>, log_error>> sim_metastore::add(std::uint64_t term,
                                                                                                 metadata::index_write what) {
  using answer = result<std::vector<std::pair<topic_partition, offset>>, log_error>;
  s_.w.reached("a chunk written into the index");
  auto written = std::make_shared<metadata::index_write>(std::move(what));  // shared by an attempt that happens late
  return ask<answer>([=, session = session_] { return session->index().add(term, *written); }, log_error::unknown);
}

awaitable<sim_metastore::ranges_found> sim_metastore::find(topic_partition where, offset at) {
  s_.w.reached("a read through the index");
  return ask<ranges_found>([=, session = session_] { return session->index().find(where, at); });
}

awaitable<result<metadata::oldest_ranges, log_error>> sim_metastore::find_oldest(std::vector<metadata::index_place> where) {
  return ask<result<metadata::oldest_ranges, log_error>>([=, session = session_] { return session->index().find_oldest(where); });
}

awaitable<sim_metastore::ranges_found> sim_metastore::find_time(topic_partition where, offset from, timestamp_ms target) {
  return ask<ranges_found>([=, session = session_] { return session->index().find_time(where, from, target); });
}

awaitable<sim_metastore::ranges_found> sim_metastore::find_largest_time(topic_partition where, offset from) {
  return ask<ranges_found>([=, session = session_] { return session->index().find_largest_time(where, from); });
}

awaitable<result<void, log_error>> sim_metastore::begin_term(std::uint64_t term) {
  return ask<result<void, log_error>>([=, session = session_] { return session->index().begin_term(term); }, log_error::unknown);
}

awaitable<result<void, log_error>> sim_metastore::trim(std::uint64_t term, std::vector<metadata::index_place> to) {
  return ask<result<void, log_error>>([=, session = session_] { return session->index().trim(term, to); }, log_error::unknown);
}

awaitable<result<bool, log_error>> sim_metastore::drop(std::uint64_t term, topic_id topic, std::size_t chunks_max) {
  return ask<result<bool, log_error>>([=, session = session_] { return session->index().drop(term, topic, chunks_max); },
                                      log_error::unknown);
}

awaitable<result<void, log_error>> sim_metastore::replace(std::uint64_t term, metadata::indexed_object into,
                                                          std::vector<metadata::moved_ranges> parts) {
  s_.w.reached("ranges moved into a merged object");
  return ask<result<void, log_error>>([=, session = session_] { return session->index().replace(term, into, parts); }, log_error::unknown);
}

awaitable<result<metadata::index_page, log_error>> sim_metastore::read(topic_partition where, offset from, std::size_t chunks_max) {
  return ask<result<metadata::index_page, log_error>>([=, session = session_] { return session->index().read(where, from, chunks_max); });
}

awaitable<result<void, log_error>> sim_metastore::release(std::uint64_t term, std::vector<metadata::indexed_object> objects) {
  return ask<result<void, log_error>>([=, session = session_] { return session->index().release(term, objects); }, log_error::unknown);
}

awaitable<result<std::uint64_t, log_error>> sim_metastore::retire(std::uint64_t term, log_sequence at, timestamp_ms time) {
  return ask<result<std::uint64_t, log_error>>([=, session = session_] { return session->index().retire(term, at, time); },
                                               log_error::unknown);
}

awaitable<result<std::vector<metadata::indexed_object>, log_error>> sim_metastore::retired(log_sequence at, timestamp_ms time,
                                                                                           std::size_t most) {
  using answer = result<std::vector<metadata::indexed_object>, log_error>;
  return ask<answer>([=, session = session_] { return session->index().retired(at, time, most); });
}

awaitable<result<void, log_error>> sim_metastore::forget(std::uint64_t term, std::vector<metadata::object_number> objects) {
  return ask<result<void, log_error>>([=, session = session_] { return session->index().forget(term, objects); }, log_error::unknown);
}

awaitable<result<std::vector<object_id>, log_error>> sim_metastore::known_objects(std::vector<object_id> which) {
  using answer = result<std::vector<object_id>, log_error>;
  return ask<answer>([=, session = session_] { return session->index().known_objects(which); });
}

awaitable<result<metadata::object_totals, log_error>> sim_metastore::totals() {
  return ask<result<metadata::object_totals, log_error>>([session = session_] { return session->index().totals(); });
}

awaitable<result<bool, log_error>> sim_metastore::write(metadata::read_model_write what) {
  auto written = std::make_shared<metadata::read_model_write>(std::move(what));  // shared by an attempt that happens late
  return ask<result<bool, log_error>>([session = session_, written] { return session->read_model().write(*written); }, log_error::unknown);
}

awaitable<result<metadata::read_model::known, log_error>> sim_metastore::read_known() {
  return ask<result<known, log_error>>([session = session_] { return session->read_model().read_known(); });
}

awaitable<void> sim_metastore::close() {
  link_->open = false;
  auto session = session_;
  co_await call<bool>(s_, rt_, {.there = 1ms}, false, [session]() -> awaitable<bool> {
    co_await session->close();
    co_return true;
  });
}

void sim_metastore::died(duration until_noticed) {
  link_->open = false;
  s_.w.time.after(until_noticed, [&s = s_, session = session_] {
    auto end = [](std::shared_ptr<metastores::memory_metastore> of) -> awaitable<void> { co_await of->close(); };
    s.tasks.spawn(end(session));
  });
}

// ---- object storage

duration sim_objects::travel() {
  auto d = s_.w.time.chance.between(2ms, 25ms);
  return d;
}

awaitable<result<void, object_error>> sim_objects::put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                                       time_point deadline) {
  using answer = result<void, object_error>;
  auto& w = s_.w;
  auto number = ++puts_;
  w.note("put", rt_.number(), number);
  journey way{.there = travel(), .back = w.time.chance.between(500us, 3ms)};
  putting_[number] = false;
  auto ended = [&](bool good) {
    auto me = putting_.find(number);
    if (good && me->second) w.reached("an upload that succeeded while an earlier one failed");
    if (!good) w.reached("a PUT that failed");
    for (auto later = putting_.erase(me); !good && later != putting_.end(); ++later) later->second = true;
  };
  auto refused = s_.objects_are_away || w.drawn(w.what.put_failed) ? std::optional(object_error::unavailable)
                 : w.drawn(w.what.put_slow_down)                   ? std::optional(object_error::slow_down)
                                                                   : std::nullopt;
  if (refused) {
    auto said = co_await refuse<answer>(rt_, s_, failure(*refused));
    ended(false);
    co_return said;
  }
  if (w.drawn(w.what.put_slow)) way.there += w.some_time(w.what.slow_most);
  auto left = std::max(deadline - w.time.now(), duration(1ms));
  way.patience = left;
  if (w.drawn(w.what.put_lost)) {
    way.happens = false;
    way.patience = std::min(left, w.some_time(1s));
  } else if (w.drawn(w.what.put_answer_lost)) {
    w.reached("a PUT done and reported failed");
    way.answered = false;
    way.patience = std::min(left, w.some_time(1s));
  } else if (w.drawn(w.what.put_late)) {
    w.reached("a PUT reported failed and done late");
    way.answered = false;
    way.patience = std::min(left, w.some_time(500ms));
    way.there += way.patience + w.some_time(w.what.late_most);
  }
  auto* s = &s_;
  bool strikes = w.time.chance.below(20) == 0;
  auto got = co_await call<answer>(s_, rt_, way, failure(object_error::unknown), [=]() -> awaitable<answer> {
    if (s->objects_are_away) co_return failure(object_error::unavailable);
    if (strikes && s->w.what.bug == "put_not_stored") co_return answer{};
    if (strikes && s->w.what.bug == "object_removed") {
      auto victim = key;
      s->w.time.after(3s, [s, victim] {
        s->check.removing(victim);
        auto gone = [](servers* of, std::string which) -> awaitable<void> { (void)co_await of->objects.remove({which}, {}); };
        s->tasks.spawn(gone(s, victim));
      });
    }
    co_return co_await s->objects.put(key, body, crc32c, {});
  });
  ended(got.has_value());
  co_return got;
}

awaitable<result<shared_bytes, object_error>> sim_objects::get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                               time_point deadline) {
  using answer = result<shared_bytes, object_error>;
  auto& w = s_.w;
  w.note("get", rt_.number(), bytes);
  if (s_.objects_are_away || w.drawn(w.what.get_failed)) co_return co_await refuse<answer>(rt_, s_, failure(object_error::unavailable));
  journey way{.there = travel(), .back = w.time.chance.between(500us, 3ms)};
  if (w.drawn(w.what.get_slow)) way.back += w.some_time(w.what.slow_most);
  way.patience = std::max(deadline - w.time.now(), duration(1ms));
  bool corrupt = w.drawn(w.what.get_corrupt), truncated = w.drawn(w.what.get_truncated);
  auto* s = &s_;
  auto dice = w.time.chance.next();
  co_return co_await call<answer>(s_, rt_, way, failure(object_error::unavailable), [=]() -> awaitable<answer> {
    if (s->objects_are_away) co_return failure(object_error::unavailable);
    auto from = position;
    if (s->w.what.bug == "get_elsewhere" && dice % 4 == 0) from = 0;
    auto got = co_await s->objects.get(key, from, bytes, {});
    if (!got || got->empty()) co_return got;
    if (truncated) {
      s->w.reached("a GET cut short");
      co_return got->slice(0, dice % got->size());
    }
    if (!corrupt) co_return got;
    s->w.reached("a GET with wrong bytes");
    auto copy = shared_bytes::copy_of(got->view());
    copy.writable()[dice % copy.size()] ^= std::byte(1u << (dice >> 32) % 8);
    co_return copy;
  });
}

awaitable<result<std::vector<object_info>, object_error>> sim_objects::list(std::string prefix, time_point) {
  using answer = result<std::vector<object_info>, object_error>;
  if (s_.objects_are_away || s_.w.drawn(s_.w.what.get_failed))
    co_return co_await refuse<answer>(rt_, s_, failure(object_error::unavailable));
  auto* s = &s_;
  co_return co_await call<answer>(s_, rt_, {.there = travel()}, failure(object_error::unavailable),
                                  [=]() -> awaitable<answer> { co_return co_await s->objects.list(prefix, {}); });
}

awaitable<result<void, object_error>> sim_objects::remove(std::vector<std::string> keys, time_point) {
  using answer = result<void, object_error>;
  auto& w = s_.w;
  if (s_.objects_are_away || w.drawn(w.what.put_failed)) co_return co_await refuse<answer>(rt_, s_, failure(object_error::unavailable));
  auto* s = &s_;
  journey way{.there = travel(), .back = w.time.chance.between(500us, 3ms)};
  if (w.drawn(w.what.put_answer_lost)) {
    w.reached("a DELETE done and reported failed");
    way.answered = false;
    way.patience = w.some_time(1s);
  } else if (w.drawn(w.what.put_late)) {
    w.reached("a DELETE reported failed and done late");
    way.answered = false;
    way.patience = w.some_time(500ms);
    way.there += way.patience + w.some_time(w.what.late_most);
  }
  co_return co_await call<answer>(s_, rt_, way, failure(object_error::unknown), [=]() -> awaitable<answer> {
    for (const auto& key : keys) s->check.removing(key);
    co_return co_await s->objects.remove(keys, {});
  });
}
}  // namespace yaks::sim

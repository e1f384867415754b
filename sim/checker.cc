#include "sim/checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "metadata/entry_codec.hpp"
#include "metadata/log_format.hpp"
#include "metadata/snapshot.hpp"
#include "objects/object_key.hpp"
#include "records/batch.hpp"
#include "records/compression.hpp"
#include "records/record.hpp"
#include "records/crc32c.hpp"
#include "upkeep/check.hpp"

namespace yaks::sim {
namespace {
std::string place(topic_partition p, std::int64_t at) {
  return fmt::format("{}-{} offset {}", p.topic.value().text().substr(0, 8), p.partition.value(), at);
}
// The rest of a value repeats this, so that a cut or mixed-up one is seen.
char filling(record_name name, std::size_t at) { return char('a' + (name.session * 7 + name.number * 13 + at) % 26); }
}  // namespace

std::string text_of(record_name name) { return fmt::format("s{}n{}", name.session, name.number); }

std::string value_of(record_name name, std::size_t bytes) {
  std::string value = fmt::format("{}:{}:{}:", name.session, name.number, bytes);
  while (value.size() < bytes) value += filling(name, value.size());
  return value;
}

std::optional<record_name> name_of(byte_view value) {
  auto text = as_text(value);
  record_name name;
  std::size_t bytes = 0;
  auto take = [&text](auto& into) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    if (error != std::errc() || end == text.data() + text.size() || *end != ':') return false;
    text.remove_prefix(std::size_t(end - text.data()) + 1);
    return true;
  };
  if (!take(name.session) || !take(name.number) || !take(bytes)) return std::nullopt;
  if (as_text(value) != value_of(name, bytes)) return std::nullopt;
  return name;
}

// ---- producers

std::uint32_t checker::begin_session(bool idempotent) {
  sessions_.push_back({.idempotent = idempotent, .records = {}});
  return std::uint32_t(sessions_.size() - 1);
}

void checker::producer_id_given(producer_id id) {
  if (!producer_ids_.insert(id).second) world_.violation(fmt::format("wrong answer: producer id {} is given twice", id.value()));
}

record_name checker::send(std::uint32_t session, topic_partition where) {
  auto& records = sessions_[session].records;
  records.push_back({.where = where});
  return {session, std::uint32_t(records.size() - 1)};
}

void checker::sent_again(record_name name) { ++of(name).sends; }

void checker::acknowledged(record_name name, std::int64_t at) {
  auto& r = of(name);
  ++acknowledgements_;
  r.what = fate::stored;
  if (at < 0) return;
  r.acknowledged_at = at;
  auto& p = partitions_[r.where];
  p.acknowledged_end = std::max(p.acknowledged_end, at + 1);
  // Consumers may have been first.
  auto seen = p.seen.find(at);
  if (seen != p.seen.end() && seen->second != name)
    world_.violation(fmt::format("inconsistent offset: {} was acknowledged at {}, where {} was read", text_of(name), place(r.where, at),
                                 text_of(seen->second)));
  if (r.read_at >= 0 && r.read_at != at && sessions_[name.session].idempotent)
    world_.violation(fmt::format("wrong offset: {} was acknowledged at {} and read at {}", text_of(name), place(r.where, at), r.read_at));
  if (at < p.looked_at && !r.is_at(at))
    world_.violation(fmt::format("lost write: {} is acknowledged at {}, and is not there", text_of(name), place(r.where, at)));
}

void checker::refused(record_name name) {
  auto& r = of(name);
  if (r.what == fate::sent) r.what = fate::failed;
  if (!r.found_at.empty())
    world_.violation(fmt::format("failed send read: {} is refused, and is at {}", text_of(name), place(r.where, r.found_at.front())));
}

// ---- what must be known

std::int64_t checker::end_known(topic_partition where) const {
  auto found = partitions_.find(where);
  return found == partitions_.end() ? 0 : std::max(found->second.acknowledged_end, found->second.told_end);
}

void checker::told_end(topic_partition where, std::int64_t end) {
  auto& p = partitions_[where];
  p.told_end = std::max(p.told_end, end);
  const auto* truth = state_.find_partition(where);
  if (truth && end > truth->high_watermark.value())
    world_.violation(fmt::format("phantom end: a client was told {}, and the log ends at {}", place(where, end), truth->high_watermark.value()));
}

std::int64_t checker::log_start(topic_partition where) const {
  auto found = partitions_.find(where);
  return found == partitions_.end() ? 0 : found->second.log_start;
}

std::int64_t checker::start_known(const std::string& broker, topic_partition where) const {
  auto found = told_starts_.find({broker, where});
  return found == told_starts_.end() ? 0 : found->second;
}

std::int64_t checker::start_known(topic_partition where) const {
  auto found = partitions_.find(where);
  return found == partitions_.end() ? 0 : found->second.told_start;
}

void checker::told_start(const std::string& broker, topic_partition where, std::int64_t start, std::int64_t promised) {
  if (start > log_start(where))
    world_.violation(fmt::format("phantom start: a client was told {}, and the log starts at {}", place(where, start), log_start(where)));
  if (start < promised)
    world_.violation(fmt::format("moved back: {} says that the log starts at {}, and had said {} before", broker, place(where, start), promised));
  auto& told = partitions_[where].told_start;
  told = std::max(told, start);
  auto& known = told_starts_[{broker, where}];
  known = std::max(known, start);
}

void checker::topic_id_given(topic_id id) {
  if (!topic_ids_.insert(id).second) world_.violation(fmt::format("wrong answer: topic id {} is given twice", id.value().text()));
}

void checker::topic_made(const std::string& name, std::int32_t partitions) {
  auto& known = topics_[name];
  known = std::max(known, partitions);
}

std::int32_t checker::partitions_known(const std::string& topic) const {
  auto found = topics_.find(topic);
  return found == topics_.end() ? 0 : found->second;
}

// ---- consumers

void checker::check_record(topic_partition where, std::int64_t at, byte_view value, record_name& name, bool& good) {
  auto named = name_of(value);
  good = false;
  if (!named || named->session >= sessions_.size() || named->number >= sessions_[named->session].records.size()) {
    world_.violation(fmt::format("foreign record: at {} are bytes that nobody sent", place(where, at)));
    return;
  }
  name = *named;
  const auto& r = of(name);
  if (r.where != where) {
    world_.violation(fmt::format("foreign record: {} is at {} and was sent to {}", text_of(name), place(where, at), place(r.where, -1)));
    return;
  }
  if (r.what == fate::failed) {
    world_.violation(fmt::format("failed send read: {} at {}", text_of(name), place(where, at)));
    return;
  }
  good = true;
}

void checker::read(topic_partition where, std::int64_t at, byte_view value, bool is_whole) {
  if (!is_whole) {
    world_.violation(fmt::format("damaged batch: a consumer was given one at {}", place(where, at)));
    return;
  }
  record_name name;
  bool good;
  check_record(where, at, value, name, good);
  if (!good) return;
  auto& p = partitions_[where];
  if (at < p.looked_at && !of(name).is_at(at))
    world_.violation(fmt::format("inconsistent offset: {} was read at {}, where the log has another one", text_of(name), place(where, at)));
  auto [seen, is_new] = p.seen.try_emplace(at, name);
  if (!is_new && seen->second != name) {
    world_.violation(fmt::format("inconsistent offset: {} and {} were read at {}", text_of(seen->second), text_of(name), place(where, at)));
    return;
  }
  if (!is_new) return;
  auto& r = of(name);
  bool once = sessions_[name.session].idempotent || r.sends == 1;
  if (once && r.read_at >= 0 && r.read_at != at)
    world_.violation(fmt::format("duplicate: {} was read at {} and at {}", text_of(name), place(where, at), r.read_at));
  if (once && r.acknowledged_at >= 0 && r.acknowledged_at != at)
    world_.violation(fmt::format("wrong offset: {} was acknowledged at {} and read at {}", text_of(name), r.acknowledged_at, place(where, at)));
  r.read_at = at;
}

// ---- stores

void checker::log_changed() {
  for (const auto& entry : log_.entries()) {
    if (entry.sequence <= state_.position().sequence) continue;
    if (world_.what.upgrade > 0s && state_.format() < metadata::merging_log_format)
      for (const auto& c : metadata::decode_entry(entry.payload.view()))
        if (std::holds_alternative<metadata::merge_object>(c))
          world_.violation(fmt::format("too new: entry {} holds what an older version that runs does not know", entry.sequence.value()));
    auto applied = state_.apply(entry);
    digests_[entry.sequence.value()] = state_.digest();
    world_.note_quietly(std::uint64_t(entry.sequence.value()), state_.digest());
    if (applied.is_void) world_.reached("a void log entry");
    follow_merges();  // first: what the same entry trims after a merge was there when it was accepted
    if (after_entry) after_entry();
    for (const auto& where : applied.changed.advanced) {
      const auto* p = state_.find_partition(where);
      if (!p) {
        blind_.insert(where.topic);
        continue;
      }
      auto& mine = partitions_[where];
      if (p->log_start.value() < mine.log_start)
        world_.violation(fmt::format("moved back: entry {} moves a log start to {}", entry.sequence.value(), place(where, p->log_start.value())));
      mine.log_start = std::max(mine.log_start, p->log_start.value());
      auto first = p->ranges.end();
      while (first != p->ranges.begin() && std::prev(first)->base_offset >= mine.named_end) --first;
      for (; first != p->ranges.end(); ++first) {
        const auto& object = state_.find_object(first->object);
        mine.ranges.push_back({*first, object.id});
        mine.named_end = first->end_offset();
        ++references_[object.id];
        numbers_[object.id] = first->object;
        auto* stored = objects_.find(object_key("", object.id));
        if (!stored || stored->size() < object.bytes)
          world_.violation(fmt::format("dangling: entry {} names an object that is not stored", entry.sequence.value()));
      }
      let_go(where, mine, p->held_from);
    }
    for (auto id : applied.changed.deleted)
      for (auto p = partitions_.lower_bound({id, partition_index(0)}); p != partitions_.end() && p->first.topic == id; ++p)
        let_go(p->first, p->second, p->second.named_end);
  }
}

void checker::drop_reference(object_id to) {
  auto count = references_.find(to);
  if (--count->second > 0) return;
  references_.erase(count);
  unreferenced_since_[to] = world_.time.now();
}

// Ranges that are merged lie where they lay until the log says that the index has followed, and in the merged object from then on,
// with the same bytes.
void checker::follow_merges() {
  for (const auto& [number, parts] : state_.merges()) {
    if (merges_.contains(number)) continue;
    merge m{state_.find_object(number).id, {}};
    numbers_[m.object] = number;
    ++references_[m.object];  // held by the log
    const auto* into = objects_.find(object_key("", m.object));
    for (const auto& part : parts) {
      topic_partition where{part.topic, part.partition};
      auto position = part.position;
      for (const auto& r : partitions_[where].ranges) {
        if (r.range.base_offset < part.from || r.range.base_offset >= part.to) continue;
        const auto* from = objects_.find(object_key("", r.object));
        if (!into || !from || position + r.range.bytes > into->size() ||
            into->substr(position, r.range.bytes) != from->substr(r.range.position, r.range.bytes))
          world_.violation(fmt::format("not the same: {} was merged into other bytes", place(where, r.range.base_offset.value())));
        m.positions[{where, r.range.base_offset}] = std::uint32_t(position);
        position += r.range.bytes;
      }
      if (position != part.position + part.bytes)
        world_.violation(fmt::format("not the same: {} ranges from {} on were merged, which are not there", part.to - part.from, place(where, part.from.value())));
    }
    merges_.emplace(number, std::move(m));
  }
  for (auto m = merges_.begin(); m != merges_.end();) {
    if (state_.merges().contains(m->first)) {
      ++m;
      continue;
    }
    world_.reached("ranges that the log says lie in a merged object");
    for (const auto& [which, position] : m->second.positions) {
      auto& ranges = partitions_[which.first].ranges;
      auto r = std::ranges::lower_bound(ranges, which.second, {}, [](const auto& range) { return range.range.base_offset; });
      if (r == ranges.end() || r->range.base_offset != which.second) continue;  // trimmed or deleted meanwhile
      drop_reference(r->object);
      moved_at_[r->object] = state_.position().sequence;
      r->object = m->second.object;
      r->range.object = m->first;
      r->range.position = position;
      ++references_[r->object];
    }
    drop_reference(m->second.object);
    m = merges_.erase(m);
  }
}

// Retention, DeleteRecords or the end of the topic: what goes is compared with what clients were told while it is still there.
void checker::let_go(topic_partition where, partition& p, offset to) {
  auto last = p.ranges.begin();
  for (; last != p.ranges.end() && last->range.end_offset() <= to; ++last) {
    if (last->range.end_offset().value() > p.looked_at) (void)look_at(where, p, *last);
    drop_reference(last->object);
  }
  p.ranges.erase(p.ranges.begin(), last);
}

void checker::removing(const std::string& key) {
  if (!objects_.find(key)) return;  // again
  auto name = uuid::parse(std::string_view(key).substr(key.rfind('/') + 1));
  if (!key.starts_with("data/") || !name) return;
  object_id id(*name);
  if (references_.contains(id)) {
    for (const auto& [where, p] : partitions_)
      for (const auto& r : p.ranges)
        if (r.object == id) {
          world_.violation(fmt::format("dangling: object {} is removed, and {} refers to it", key, place(where, r.range.base_offset.value())));
          return;
        }
  }
  auto committed = numbers_.find(id);
  if (committed == numbers_.end()) {
    world_.reached("an object deleted that was never committed");
    if (timestamp_ms(id.value().v7_unix_ms()) >= state_.upkeep().swept_before)
      world_.violation(fmt::format("too early: object {} is removed, and may still be committed", key));
    return;
  }
  world_.reached("an object deleted that nobody refers to any more");
  for (const auto& [where, chunks] : log_.index())
    for (const auto& c : chunks)
      for (const auto& r : c)
        if (r.object == committed->second)
          world_.violation(fmt::format("dangling: object {} is removed, and the index refers to it for {}", key, place(where, r.base_offset.value())));
  if (who_reads_by)
    if (auto reader = who_reads_by(committed->second); !reader.empty())
      world_.violation(fmt::format("dangling: object {} is removed, and {} may still read it", key, reader));
  if (auto moved = moved_at_.find(id); moved != moved_at_.end()) {
    world_.reached("an object deleted whose ranges were merged");
    if (who_is_before)
      if (auto reader = who_is_before(moved->second); !reader.empty())
        world_.violation(fmt::format("dangling: object {} is removed, and {} may not know that its ranges have moved", key, reader));
  }
  if (auto age = world_.time.now() - unreferenced_since_.at(id); age < world_.what.delete_grace)
    world_.violation(fmt::format("too early: object {} is removed {} ms after the last range in it", key,
                                 std::chrono::duration_cast<std::chrono::milliseconds>(age).count()));
}

namespace {
std::set<object_id> data_in(const memory_store& bucket) {
  std::set<object_id> all;
  for (const auto& [key, bytes] : bucket.objects())
    if (key.starts_with("data/"))
      if (auto id = uuid::parse(std::string_view(key).substr(key.rfind('/') + 1))) all.insert(object_id(*id));
  return all;
}
}  // namespace

void checker::check_references() {
  auto found = upkeep::check_objects(state_, {log_.index(), log_.object_counts()}, data_in(objects_));
  for (auto& v : found.violations) world_.violation("dangling: " + v);
}

std::string checker::left_behind() {
  if (!state_.merges().empty() || !state_.trims().empty() || !state_.drops().empty() || !state_.released().empty()) return "the state owes something to the index";
  for (const auto& [where, chunks] : log_.index())
    if (!state_.find_partition(where)) return fmt::format("the index has chunks of {}, which is gone", place(where, 0));
  for (const auto& [number, id, ranges] : log_.object_counts())
    if (ranges == 0 && !references_.contains(id)) return fmt::format("the index has a row of object {}, which nobody refers to", id.value().text());
  for (auto id : data_in(objects_))
    if (!references_.contains(id))
      return fmt::format("object {} is stored, and nobody refers to it{}", id.value().text(), numbers_.contains(id) ? "" : ", and nobody ever did");
  return "";
}

void checker::replica_is_at(std::string who, const metadata::state& replica) {
  auto at = replica.position().sequence.value();
  auto known = digests_.find(at);
  if (at > 0 && known == digests_.end())
    world_.violation(fmt::format("drifted: {} has applied entry {}, which the log does not have", who, at));
  else if (at > 0 && known->second != replica.digest())
    world_.violation(fmt::format("drifted: the state of {} is another one at entry {}", who, at));
}

void checker::snapshot_made(log_sequence at, std::uint64_t digest) {
  auto known = digests_.find(at.value());
  if (known == digests_.end() || known->second != digest)
    world_.violation(fmt::format("drifted: the snapshot of entry {} is of another state", at.value()));
}

// ---- the end

// One range, in the order of offsets, each one once. False where it cannot be read.
bool checker::look_at(topic_partition where, partition& told, const metadata::indexed_range& what) {
  const auto& [r, object_name] = what;
  auto at = r.base_offset.value();
  told.looked_at = r.end_offset().value();
  auto* object = objects_.find(object_key("", object_name));
  if (!object || r.position + r.bytes > object->size()) {
    world_.violation(fmt::format("lost write: the object of {} is not there", place(where, at)));
    return false;
  }
  records::batch_reader reader(as_bytes(*object).subspan(r.position, r.bytes));
  while (auto batch = reader.next()) {
    auto body = records::plain_body::open(*batch, 64 << 20);
    if (!batch->crc_matches() || !body) {
      world_.violation(fmt::format("lost write: the batch at {} is damaged", place(where, at)));
      return false;
    }
    records::record_reader inside(body->bytes());
    for (records::record_view view; inside.next(view); ++at) {
      record_name name;
      bool good;
      check_record(where, at, view.value.value_or(byte_view{}), name, good);
      if (!good) continue;
      ++records_stored_;
      if (auto seen = told.seen.find(at); seen != told.seen.end() && seen->second != name)
        world_.violation(fmt::format("inconsistent offset: {} is at {}, where {} was read", text_of(name), place(where, at), text_of(seen->second)));
      auto& mine = of(name);
      mine.found_at.push_back(at);
      const auto& session = sessions_[name.session];
      if (mine.found_at.size() > (session.idempotent ? 1u : mine.sends))
        world_.violation(
            fmt::format("duplicate: {} is at {} for the {}th time, sent {} times", text_of(name), place(where, at), mine.found_at.size(), mine.sends));
      bool once = session.idempotent || mine.sends == 1;
      if (mine.acknowledged_at >= 0 && mine.acknowledged_at != at && once)
        world_.violation(fmt::format("wrong offset: {} is at {} and was acknowledged at {}", text_of(name), place(where, at), mine.acknowledged_at));
      if (!session.idempotent) continue;
      auto [last, is_first] = told.last_of.try_emplace(name.session, -1);
      if (std::int64_t(name.number) <= last->second)
        world_.violation(fmt::format("out of order: {} is at {}, after number {}", text_of(name), place(where, at), last->second));
      for (auto n = last->second + 1; n < std::int64_t(name.number); ++n)
        if (session.records[std::size_t(n)].where == where)
          world_.violation(fmt::format("out of order: {} is at {}, and number {} is not before it", text_of(name), place(where, at), n));
      last->second = name.number;
    }
  }
  if (reader.fault() || at != r.end_offset().value()) {
    world_.violation(fmt::format("lost write: a range of {} does not hold what it says", place(where, at)));
    return false;
  }
  return true;
}

void checker::check_partition(topic_partition where, const metadata::partition& p) {
  auto& told = partitions_[where];
  if (told.told_end > p.high_watermark.value() || told.acknowledged_end > p.high_watermark.value())
    world_.violation(fmt::format("reused offset: {} ends at {}, before what was told", place(where, told.told_end), p.high_watermark.value()));
  for (const auto& r : told.ranges)
    if (r.range.end_offset().value() > told.looked_at && !look_at(where, told, r)) return;
  for (const auto& [offset, name] : told.seen)
    if (offset >= told.looked_at) world_.violation(fmt::format("lost write: {} was read at {}, and is gone", text_of(name), place(where, offset)));
}

// What the index says, and then the state, is what the log has said.
awaitable<void> checker::check_index(topic_partition where, const metadata::partition& p, metadata::range_index& index) {
  const auto& truth = partitions_[where].ranges;
  std::size_t i = 0;
  auto meet = [&](const metadata::range& r, object_id object) {
    if (i < truth.size() && truth[i].range == r && truth[i].object == object) {
      ++i;
      return true;
    }
    world_.violation(fmt::format("forgotten: the range at {} is not what the log has said", place(where, r.base_offset.value())));
    return false;
  };
  while (i < truth.size() && truth[i].range.base_offset < p.state_begin()) {
    auto found = co_await index.find(where, truth[i].range.base_offset);
    if (!found || found->empty()) {
      world_.violation(fmt::format("forgotten: neither the index nor the state has {}", place(where, truth[i].range.base_offset.value())));
      co_return;
    }
    for (const auto& r : *found)
      // A chunk may begin below what is held.
      if (r.range.end_offset() > p.held_from && r.range.base_offset < p.state_begin() && !meet(r.range, r.object)) co_return;
  }
  for (const auto& r : p.ranges)
    if (!meet(r, state_.find_object(r.object).id)) co_return;
  if (i < truth.size()) world_.violation(fmt::format("forgotten: the state ends before {}", place(where, truth[i].range.base_offset.value())));
}

// Each snapshot and the entries after it give what all entries give.
awaitable<void> checker::check_snapshots(metadata::metastore& store) {
  auto all = co_await store.snapshots();
  if (!all) co_return;
  for (const auto& s : *all) {
    auto* bytes = objects_.find(s.key);
    if (!bytes) {
      world_.violation(fmt::format("dangling: the snapshot of entry {} is not stored", s.at.sequence.value()));
      continue;
    }
    auto restored = metadata::snapshot_codec::decode(as_bytes(*bytes));
    for (const auto& entry : log_.entries())
      if (entry.sequence > restored.position().sequence) restored.apply(entry);
    if (restored.position().sequence != state_.position().sequence || restored.digest() != state_.digest())
      world_.violation(fmt::format("drifted: the snapshot of entry {} and the entries after it give another state", s.at.sequence.value()));
    world_.reached("a snapshot and its tail compared with the whole log");
  }
}

awaitable<void> checker::finish(metadata::metastore& store) {
  log_changed();
  co_await check_snapshots(store);
  if (state_.recompute_digest() != state_.digest()) world_.violation("drifted: the digest is not that of the state");
  for (const auto& [name, topic] : state_.topics_by_name())
    for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
      topic_partition where{topic->id, partition_index(std::int32_t(i))};
      check_partition(where, topic->partitions[i]);
      co_await check_index(where, topic->partitions[i], store.index());
    }
  for (std::uint32_t s = 0; s < sessions_.size(); ++s)
    for (std::uint32_t n = 0; n < sessions_[s].records.size(); ++n) {
      const auto& r = sessions_[s].records[n];
      if (r.what != fate::stored || blind_.contains(r.where.topic)) continue;
      if (r.found_at.empty())
        world_.violation(fmt::format("lost write: {} was acknowledged at {} and is not there", text_of({s, n}), place(r.where, r.acknowledged_at)));
      // Without idempotence one of several copies has the offset that was told.
      else if (r.acknowledged_at >= 0 && !r.is_at(r.acknowledged_at))
        world_.violation(fmt::format("lost write: {} is not at {}, where it was acknowledged", text_of({s, n}), place(r.where, r.acknowledged_at)));
    }
}
}  // namespace yaks::sim

#include "oracle/checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "base/check.hpp"

namespace yaks::oracle {
std::string run_facts::topic(std::uint32_t index) const {
  return fmt::format("{}-{}", topic_prefix, index);
}
std::string run_facts::place(std::uint32_t slot) const {
  return fmt::format("{}/{}", topic(slot / partitions), slot % partitions);
}

std::string_view name_of(invariant which) {
  switch (which) {
    case invariant::completeness:
      return "completeness";
    case invariant::no_phantoms:
      return "no phantoms";
    case invariant::no_duplicates:
      return "no duplicate offsets";
    case invariant::contiguous:
      return "contiguous offsets";
    case invariant::order:
      return "per-producer order";
    case invariant::integrity:
      return "data integrity";
  }
  std::unreachable();
}

bool findings::ok() const {
  return std::ranges::all_of(verdicts, [](const verdict& v) { return v.violations == 0; });
}

namespace {
std::string name_record(std::uint32_t producer, std::uint64_t sequence) {
  return fmt::format("producer {} sequence {}", producer, sequence);
}
}  // namespace

// A run that loses everything must not spend its time writing sentences that nobody sees.
template <class Words>
void checker::violation(invariant which, Words&& in_words) {
  verdict& to = findings_.verdicts[static_cast<std::size_t>(which)];
  ++to.violations;
  if (to.first.size() < shown_max_) to.first.push_back(in_words());
}

checker::checker(const history& told, std::size_t shown_max)
    : facts_(told.facts),
      finished_run_(told.finished),
      shown_max_(shown_max),
      records_(facts_.producers * facts_.records),
      slots_(facts_.slots()),
      last_sequence_(std::size_t{facts_.producers} * facts_.slots(), -1) {
  struct taken_place {
    std::uint32_t slot;
    std::int64_t offset;
    std::uint32_t producer;
    std::uint64_t sequence;
  };
  std::vector<taken_place> places;
  places.reserve(told.outcomes.size());
  for (const sent_record& sent : told.outcomes) {
    if (sent.producer >= facts_.producers || sent.sequence >= facts_.records || sent.slot >= facts_.slots())
      throw std::runtime_error(fmt::format("the ledger has {} in partition {}, which this run does not have",
                                           name_record(sent.producer, sent.sequence), sent.slot));
    record_state& state = state_of(sent.producer, sent.sequence);
    if (state.what != outcome::none)
      throw std::runtime_error(
          fmt::format("the ledger has two outcomes for {}", name_record(sent.producer, sent.sequence)));
    state.what = sent.what;
    state.slot = sent.slot;
    state.checksum = sent.checksum;
    switch (sent.what) {
      case outcome::none:
        throw std::runtime_error("the ledger has a record without an outcome");
      case outcome::unknown:
        ++findings_.unknown;
        break;
      case outcome::not_stored:
        ++findings_.not_stored;
        break;
      case outcome::acknowledged:
        ++findings_.acknowledged;
        state.acknowledged_at = sent.offset;
        if (sent.offset < 0) {
          ++findings_.without_offset;
          break;
        }
        slots_[sent.slot].acknowledged_end = std::max(slots_[sent.slot].acknowledged_end, sent.offset + 1);
        places.push_back({sent.slot, sent.offset, sent.producer, sent.sequence});
        break;
    }
  }
  std::ranges::sort(places, [](const taken_place& a, const taken_place& b) {
    return std::tie(a.slot, a.offset, a.producer, a.sequence) < std::tie(b.slot, b.offset, b.producer, b.sequence);
  });
  for (std::size_t i = 1; i < places.size(); ++i) {
    const auto &a = places[i - 1], &b = places[i];
    if (a.slot == b.slot && a.offset == b.offset)
      violation(invariant::no_duplicates, [&] {
        return fmt::format("{} offset {} was acknowledged to {} and to {}", facts_.place(a.slot), a.offset,
                           name_record(a.producer, a.sequence), name_record(b.producer, b.sequence));
      });
  }
  if (!facts_.ordered)
    findings_.verdicts[static_cast<std::size_t>(invariant::order)].not_checked =
        "without idempotence and with several requests in flight a retry may overtake";
}

void checker::set_range(std::uint32_t slot, std::int64_t low, std::int64_t high) {
  YAKS_CHECK(slot < slots_.size(), "a slot of this run");
  slots_[slot].low = low;
  slots_[slot].high = high;
}

void checker::check_offset(const consumed_record& record) {
  slot_state& slot = slots_[record.slot];
  std::int64_t offset = record.offset;
  if (offset >= slot.next) {
    if (offset > slot.next) slot.holes.emplace(slot.next, offset);
    slot.next = offset + 1;
    return;
  }
  auto hole = slot.holes.upper_bound(offset);
  bool in_hole = hole != slot.holes.begin() && (--hole, offset < hole->second);
  if (!in_hole) {
    violation(invariant::no_duplicates,
              [&] { return fmt::format("{} offset {} was read twice", facts_.place(record.slot), offset); });
    return;
  }
  violation(invariant::contiguous, [&] {
    return fmt::format("{} offset {} was read after offset {}", facts_.place(record.slot), offset, slot.next - 1);
  });
  auto [from, to] = *hole;
  slot.holes.erase(hole);
  if (from < offset) slot.holes.emplace(from, offset);
  if (offset + 1 < to) slot.holes.emplace(offset + 1, to);
}

void checker::check_order(const consumed_record& record, const record_state& state) {
  const record_identity& id = record.record.id;
  std::int64_t& last = last_sequence_[std::size_t{id.producer} * facts_.slots() + record.slot];
  auto sequence = static_cast<std::int64_t>(id.sequence);
  if (sequence > last) {
    if (state.what == outcome::acknowledged) last = sequence;
    return;
  }
  if (state.what != outcome::acknowledged) {
    ++findings_.unknown_late;
    return;
  }
  violation(invariant::order, [&] {
    return fmt::format("{} offset {} is {}, behind its sequence {}", facts_.place(record.slot), record.offset,
                       name_record(id.producer, id.sequence), last);
  });
}

void checker::add(const consumed_record& record) {
  YAKS_CHECK(record.slot < slots_.size() && record.offset >= 0, "the consumer reads partitions of this run");
  ++findings_.consumed;
  check_offset(record);

  auto where = [&] { return fmt::format("{} offset {}", facts_.place(record.slot), record.offset); };
  const record_identity& id = record.record.id;
  auto phantom = [&](std::string_view why) {
    violation(invariant::no_phantoms, [&] { return fmt::format("{} {}", where(), why); });
  };
  auto damaged = [&](std::string_view why) {
    violation(invariant::integrity, [&] { return fmt::format("{} {}", where(), why); });
  };
  auto& integrity = findings_.verdicts[static_cast<std::size_t>(invariant::integrity)];
  auto& phantoms = findings_.verdicts[static_cast<std::size_t>(invariant::no_phantoms)];

  // A damaged record cannot be trusted to say which one it is, so nothing more is concluded from it.
  if (record.record.what == damage::checksum) {
    ++integrity.checked;
    damaged("holds bytes that do not match their own checksum");
    return;
  }
  ++phantoms.checked;
  if (record.record.what == damage::foreign) {
    phantom("holds something that no oracle wrote");
    return;
  }
  ++integrity.checked;
  if (id.run != facts_.run) {
    phantom("holds a record of another run");
    return;
  }
  if (id.producer >= facts_.producers || id.sequence >= facts_.records) {
    phantom(fmt::format("holds {}, which this run does not have", name_record(id.producer, id.sequence)));
    return;
  }
  if (id.slot != record.slot) {
    phantom(fmt::format("holds {}, which was sent to {}", name_record(id.producer, id.sequence),
                        id.slot < facts_.slots() ? facts_.place(id.slot) : "nowhere"));
    return;
  }
  record_state& state = state_of(id.producer, id.sequence);
  switch (state.what) {
    case outcome::none:
      if (finished_run_) phantom(fmt::format("holds {}, which was never sent", name_record(id.producer, id.sequence)));
      break;
    case outcome::not_stored:
      phantom(fmt::format("holds {}, which the broker said was not stored", name_record(id.producer, id.sequence)));
      break;
    case outcome::acknowledged:
    case outcome::unknown:
      break;
  }
  if (record.record.what == damage::key)
    damaged(fmt::format("holds {} under another key", name_record(id.producer, id.sequence)));
  else if (record.record.what == damage::timestamp)
    damaged(fmt::format("holds {} with another timestamp", name_record(id.producer, id.sequence)));
  else if (state.what != outcome::none && state.checksum != record.record.checksum)
    damaged(fmt::format("holds {}, but not the bytes that the ledger knows", name_record(id.producer, id.sequence)));

  if (state.what == outcome::acknowledged && state.slot == record.slot &&
      (state.acknowledged_at == record.offset || state.acknowledged_at < 0))
    state.found = true;
  if (++state.seen == 1) {
    state.first_seen_at = record.offset;
    if (state.what == outcome::unknown) ++findings_.unknown_found;
    if (facts_.ordered && (state.what == outcome::acknowledged || state.what == outcome::unknown))
      check_order(record, state);
  } else if (facts_.idempotent) {
    violation(invariant::no_duplicates, [&] {
      return fmt::format("{} is at offset {} and again at {}", name_record(id.producer, id.sequence),
                         state.first_seen_at, where());
    });
  } else {
    ++findings_.repeated;
  }
}

findings checker::finish() {
  auto& verdicts = findings_.verdicts;
  auto checked = [&](invariant which) -> std::uint64_t& { return verdicts[static_cast<std::size_t>(which)].checked; };
  checked(invariant::completeness) = findings_.acknowledged;
  checked(invariant::no_duplicates) = findings_.consumed;
  if (facts_.ordered) checked(invariant::order) = findings_.acknowledged;

  for (std::uint32_t producer = 0; producer < facts_.producers; ++producer) {
    for (std::uint64_t sequence = 0; sequence < facts_.records; ++sequence) {
      const record_state& state = state_of(producer, sequence);
      if (state.what != outcome::acknowledged || state.found) continue;
      std::uint32_t slot = state.slot;
      violation(invariant::completeness, [&] {
        std::string instead = "is nowhere";
        if (state.seen > 0) instead = fmt::format("is at offset {}", state.first_seen_at);
        if (slots_[slot].high >= 0 && state.acknowledged_at >= slots_[slot].high)
          instead += fmt::format(" (the partition ends at {})", slots_[slot].high);
        if (state.acknowledged_at < 0)
          return fmt::format("{} was acknowledged in {}, but {}", name_record(producer, sequence), facts_.place(slot),
                             instead);
        return fmt::format("{} was acknowledged at {} offset {}, but {}", name_record(producer, sequence),
                           facts_.place(slot), state.acknowledged_at, instead);
      });
    }
  }

  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    slot_state& slot = slots_[i];
    std::string place = facts_.place(i);
    auto hole = [&](std::int64_t from, std::int64_t to) {
      violation(invariant::contiguous, [&] {
        return to - from == 1 ? fmt::format("{} has no offset {}", place, from)
                              : fmt::format("{} has no offsets {} to {}", place, from, to - 1);
      });
    };
    checked(invariant::contiguous) += static_cast<std::uint64_t>(std::max<std::int64_t>(slot.high, 0));
    if (slot.high < 0) {
      violation(invariant::contiguous, [&] { return fmt::format("{}: nobody knows where it ends", place); });
      continue;
    }
    if (slot.low != 0)
      violation(invariant::contiguous,
                [&] { return fmt::format("{} starts at offset {} instead of 0", place, slot.low); });
    for (auto [from, to] : slot.holes) hole(from, to);
    if (slot.next < slot.high) hole(slot.next, slot.high);
    if (slot.next > slot.high)
      violation(invariant::contiguous, [&] {
        return fmt::format("{} has offset {}, but ends at {} by its high watermark", place, slot.next - 1, slot.high);
      });
  }
  return std::move(findings_);
}
}  // namespace yaks::oracle

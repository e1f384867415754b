// Any commands, in any order, applied to the state machine: whatever the log says, no agent may fall over it, for all
// would, and again at every start. After each entry the digest is what it is from scratch, ranges are consecutive,
// objects know how many of them they have, what the log has let go of is remembered, no partition of a group has two
// owners, and the snapshot of the state is the state.
//
// The input is a list of entries:
//   u8   0-1 which of four writers; 2 an hour later; 3 two days later; 4 repeats its number; 5 skips one
//   u16  length, little-endian
//   the payload, as log_entry has it
#include "base/check.hpp"
#include "metadata/entry_codec.hpp"
#include "metadata/snapshot.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
namespace {
constexpr std::int32_t partitions_max = 8;  // in one topic: more make a run slow and find nothing new
constexpr std::size_t entries_max = 64;

bool is_small(const std::vector<command>& commands) {
  for (const auto& c : commands) {
    if (const auto* t = std::get_if<create_topic>(&c); t && t->partitions > partitions_max) return false;
    if (const auto* t = std::get_if<create_partitions>(&c); t && t->total > partitions_max) return false;
  }
  return true;
}

void check(const state& s) {
  YAKS_CHECK(s.digest() == s.recompute_digest(), "the digest follows every change");
  std::map<object_number, std::uint32_t> ranges;
  for (const auto& [name, t] : s.topics_by_name())
    for (const auto& p : t->partitions) {
      YAKS_CHECK(offset(0) <= p.held_from && p.held_from <= p.log_start && p.log_start <= p.high_watermark,
                 "a log ends after it begins");
      YAKS_CHECK(p.held_from <= p.state_begin(), "what is held begins in the index or in the state");
      auto next = p.state_begin();
      for (const auto& r : p.ranges) {
        YAKS_CHECK(r.base_offset == next && r.record_count > 0, "ranges are consecutive, and none is empty");
        ++ranges[r.object];
        next = r.end_offset();
      }
      YAKS_CHECK(next == p.high_watermark, "ranges end at the high watermark");
    }
  for (const auto& [number, parts] : s.merges()) ++ranges[number];  // held until the index has followed
  YAKS_CHECK(ranges.size() == s.object_count(), "objects without ranges are released");
  for (const auto& [number, n] : ranges) YAKS_CHECK(s.find_object(number).ranges == n, "an object knows its ranges");
  for (const auto& [number, object] : s.released())
    YAKS_CHECK(!s.objects().contains(number), "an object is released when its last range is");
  for (const auto& [name, g] : s.groups().all()) {
    if (!g.consumer) continue;
    std::map<topic_partition, std::string> owners;
    for (const auto& [id, m] : g.consumer->members)
      for (const auto* set : {&m.assigned, &m.revoking})
        for (const auto& p : *set) YAKS_CHECK(owners.emplace(p, id).second, "a partition has one owner");
    YAKS_CHECK(owners == g.consumer->owners, "owners are those of the members");
    for (const auto& [id, m] : g.consumer->members)
      for (const auto& [p, epoch] : m.since) {
        auto owner = owners.find(p);
        YAKS_CHECK(owner != owners.end() && owner->second == id, "a member has since an epoch only what it has");
      }
  }
}

void run(byte_view input) {
  state s;
  timestamp_ms time(1'700'000'000'000);
  std::uint64_t numbers[4] = {};
  for (std::size_t n = 0; n < entries_max && input.size() >= 3; ++n) {
    auto control = std::to_integer<unsigned>(input[0]);
    std::size_t bytes = std::to_integer<std::size_t>(input[1]) | std::to_integer<std::size_t>(input[2]) << 8;
    input = input.subspan(3);
    auto payload = input.first(std::min(bytes, input.size()));
    input = input.subspan(payload.size());
    try {
      if (!is_small(decode_entry(payload))) continue;
    } catch (const log_format_error&) {
      continue;  // an agent stops there, and says so
    }
    auto writer = control & 3;
    if (control & 4) time += 3'600'000;
    if (control & 8) time += 2 * 86'400'000;
    if (!(control & 16)) ++numbers[writer];
    if (control & 32) ++numbers[writer];
    s.apply({.sequence = s.position().sequence + 1,
             .id = {incarnation(uuid::v4(0x10000 + writer, writer)), numbers[writer]},
             .time = time,
             .payload = shared_bytes::copy_of(payload)});
    check(s);
  }
  auto snapshot = snapshot_codec::encode(s);
  auto read = snapshot_codec::decode(snapshot.view());
  check(read);
  YAKS_CHECK(read.digest() == s.digest() && read.position() == s.position(), "a snapshot is the state");
}
}  // namespace
}  // namespace yaks::metadata

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  yaks::metadata::run(std::as_bytes(std::span(data, size)));
  return 0;
}

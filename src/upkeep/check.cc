#include "upkeep/check.hpp"

#include <fmt/format.h>

namespace yaks::upkeep {
findings check_objects(const metadata::state& state, const index_image& index, const std::set<object_id>& bucket, bool is_current) {
  findings out;
  out.unreferenced = bucket;
  auto wrong = [&](std::string what) { out.violations.push_back(std::move(what)); };
  auto place = [](topic_partition where) { return fmt::format("{}-{}", where.topic.value().text(), where.partition.value()); };
  std::map<metadata::object_number, std::pair<object_id, std::uint64_t>> rows;
  for (const auto& [number, id, ranges] : index.objects) rows[number] = {id, ranges};

  // What the state holds.
  std::map<metadata::object_number, std::uint32_t> in_state;
  for (const auto& [name, t] : state.topics_by_name())
    for (std::size_t i = 0; i < t->partitions.size(); ++i) {
      topic_partition where{t->id, partition_index(std::int32_t(i))};
      const auto& p = t->partitions[i];
      if (p.held_from > p.log_start || p.log_start > p.high_watermark) wrong(fmt::format("{}: its marks are in no order", place(where)));
      auto next = p.state_begin();
      for (const auto& r : p.ranges) {
        ++in_state[r.object];
        if (r.base_offset != next) wrong(fmt::format("{}: the state has a gap before offset {}", place(where), r.base_offset.value()));
        next = r.end_offset();
        auto id = state.find_object(r.object).id;
        if (!bucket.contains(id))
          wrong(fmt::format("{}: offset {} lies in object {} of the state, which is not in the bucket", place(where),
                            r.base_offset.value(), id.value().text()));
      }
      if (next != p.high_watermark) wrong(fmt::format("{}: the state ends before the high watermark", place(where)));
      // What it has let go of, the index has: each offset from the log start on.
      auto chunks = index.chunks.find(where);
      for (auto at = p.log_start; at < p.state_begin();) {
        const metadata::range* holds = nullptr;
        if (chunks != index.chunks.end())
          for (const auto& c : chunks->second)
            for (const auto& r : c)
              if (r.base_offset <= at && at < r.end_offset()) holds = &r;
        if (!holds) {
          wrong(fmt::format("{}: offset {} is neither in the index nor in the state", place(where), at.value()));
          break;
        }
        at = holds->end_offset();
      }
    }
  for (const auto& [number, parts] : state.merges()) {
    ++in_state[number];  // held until the index has followed
    if (!bucket.contains(state.find_object(number).id)) wrong(fmt::format("merged object {} is not in the bucket", number));
  }
  if (is_current) {
    if (in_state.size() != state.objects().size()) wrong("the state knows objects that no range of it names");
    for (const auto& [number, count] : in_state)
      if (state.find_object(number).ranges != count) wrong(fmt::format("the state counts the ranges of object {} wrong", number));
  }

  // What the index holds, below log starts too: it is deleted with its chunk only.
  std::map<metadata::object_number, std::uint64_t> in_index;
  for (const auto& [where, chunks] : index.chunks)
    for (const auto& c : chunks)
      for (const auto& r : c) {
        ++in_index[r.object];
        auto row = rows.find(r.object);
        if (row == rows.end())
          wrong(fmt::format("{}: offset {} names object {}, which the index does not know", place(where), r.base_offset.value(), r.object));
        else if (!bucket.contains(row->second.first))
          wrong(fmt::format("{}: offset {} lies in object {} of the index, which is not in the bucket", place(where),
                            r.base_offset.value(), row->second.first.value().text()));
      }
  for (const auto& [number, row] : rows) {
    auto found = in_index.find(number);
    auto count = found == in_index.end() ? 0 : found->second;
    if (count != row.second)
      wrong(fmt::format("the index counts {} ranges in object {}, and has {}", row.second, number, count));
    if (count > 0) out.unreferenced.erase(row.first);
  }
  for (const auto& [number, o] : state.objects()) out.unreferenced.erase(o.id);
  return out;
}
}  // namespace yaks::upkeep

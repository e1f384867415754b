#include "console/topic_survey.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json.hpp"

namespace yaks::console {
awaitable<void> topic_survey::take() {
  std::vector<topic_row> rows;
  topic_row all;
  std::uint64_t topics = 0;
  auto is_larger = [](const topic_row& a, const topic_row& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.name < b.name;
  };
  auto prune = [&](std::size_t beyond) {
    if (rows.size() <= beyond) return;
    std::ranges::nth_element(rows, rows.begin() + std::ptrdiff_t(rows_max), is_larger);
    rows.resize(rows_max);
  };
  topic_row open;  // the topic that is being counted
  topic_id id;
  std::size_t next = 0, left = partitions_a_slice;
  const auto& by_name = log_.current().topics_by_name();
  for (bool first = true;;) {
    // Nothing but the name and the id survives a pause: the topic may be gone, and another one have its name.
    auto at = first ? by_name.begin() : next > 0 ? by_name.find(open.name) : by_name.upper_bound(open.name);
    first = false;
    if (next > 0 && (at == by_name.end() || at->second->id != id)) {
      next = 0;
      continue;
    }
    if (at == by_name.end()) break;
    if (next == 0) {
      open = {.name = at->first};
      id = at->second->id;
    }
    const auto& partitions = at->second->partitions;
    for (; next < partitions.size() && left > 0; ++next, --left) {
      const auto& p = partitions[next];
      ++open.partitions;
      open.records += std::uint64_t(p.high_watermark - p.log_start);
      open.bytes += p.bytes;
    }
    if (next < partitions.size()) {
      co_await rt_.sleep_for(1ms);
      left = partitions_a_slice;
      continue;
    }
    next = 0;
    ++topics;
    all.partitions += open.partitions;
    all.records += open.records;
    all.bytes += open.bytes;
    rows.push_back(open);
    prune(2 * rows_max);
    if (left == 0 || (topics & 1023) == 0) {
      co_await rt_.sleep_for(1ms);
      left = partitions_a_slice;
    }
  }
  prune(rows_max);
  std::ranges::sort(rows, is_larger);
  rows_ = std::move(rows);
  all_ = std::move(all);
  topics_ = topics;
  taken_ = true;
  taken_at_ = rt_.now();
}

std::string topic_survey::totals_json() const {
  if (!taken_) return "null";
  return fmt::format("{{\"topics\":{},\"partitions\":{},\"records\":{},\"bytes\":{}}}", topics_, all_.partitions,
                     all_.records, all_.bytes);
}

std::string topic_survey::json(std::string_view filter, std::size_t most) const {
  std::string list;
  std::size_t matching = 0;
  for (const auto& row : rows_) {
    if (row.name.find(filter) == row.name.npos) continue;
    if (++matching > most) continue;
    list += matching == 1 ? "[" : ",[";
    append_json(list, row.name);
    fmt::format_to(std::back_inserter(list), ",{},{},{}]", row.partitions, row.records, row.bytes);
  }
  return fmt::format("{{\"total\":{},\"matching\":{},\"topics\":[{}]}}", topics_, matching, list);
}
}  // namespace yaks::console

#include "fetch/offset_lookup.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "records/timestamp_search.hpp"

namespace yaks::fetch {
namespace {
using found = result<std::optional<records::found_record>, records::batch_fault>;

// Some clients leave the header's largest timestamp unset: only one that can be right rules a batch out.
bool is_surely_before(const records::batch_view& batch, timestamp_ms target) {
  return batch.max_timestamp() >= batch.base_timestamp() && batch.max_timestamp() < target;
}
}  // namespace

awaitable<result<range_reader::entry, object_error>> offset_lookup::read(located_range range) {
  std::vector<located_range> ranges{range};
  auto answers = co_await reader_.read(std::move(ranges));
  co_return std::move(answers.front());
}

awaitable<result<std::optional<located_range>, object_error>> offset_lookup::next_range(topic_partition where,
                                                                                        offset from,
                                                                                        timestamp_ms target) {
  const auto* p = log_.current().find_partition(where);
  if (!p) co_return std::nullopt;
  // What the state has is taken before the index is asked: while that answers, ranges may move there, and would be seen
  // in neither.
  auto state_begin = p->state_begin();
  std::optional<located_range> in_state;
  for (auto r = p->find(std::max(from, state_begin)); r != p->ranges.end() && !in_state; ++r)
    if (r->max_timestamp >= target) in_state = located_range{log_.current().find_object(r->object).id, *r};
  while (from < state_begin) {
    auto older = co_await index_.first_at_or_after(where, from, target);
    if (!older)
      co_return failure(older.error() == index_reader::problem::damaged ? object_error::corrupt
                                                                        : object_error::unavailable);
    if (older->empty()) break;
    for (const auto& r : *older)
      if (r.range.max_timestamp >= target && from < r.range.end_offset()) co_return r;
    from = older->back().range.end_offset();  // the time that the chunk was found for lies before `from`
  }
  co_return in_state;
}

awaitable<result<found_offset, object_error>> offset_lookup::first_at_or_after(topic_partition where,
                                                                               timestamp_ms target, offset from) {
  metadata::replica::reader reading(log_);
  for (;;) {
    // The state may change while a range is read: every round looks anew.
    const auto* p = log_.current().find_partition(where);
    if (!p) co_return found_offset{};
    from = std::max(from, p->log_start);
    auto looked = co_await next_range(where, from, target);
    if (!looked) co_return failure(looked.error());
    auto next = *looked;
    if (!next) co_return found_offset{};
    auto lease = co_await memory_.reserve(next->range.bytes);
    auto read_range = co_await read(*next);
    if (!read_range) co_return failure(read_range.error());
    const auto& range = **read_range;
    for (std::size_t i = 0; i < range.batches().size(); ++i) {
      const auto& b = range.batches()[i];
      if (b.end_offset() <= from) continue;
      auto bytes = range.batch_bytes(i);
      auto batch = records::batch_view::parse(bytes.view());
      if (!batch || is_surely_before(*batch, target)) continue;
      found match;
      auto search = [&] {
        match = records::find_timestamp(*batch, b.base_offset, target, from, decompressed_bytes_max);
      };
      if (batch->compression() == records::compression_type::none)
        search();
      else
        co_await rt_.run_blocking(search);
      if (!match) {
        spdlog::warn("cannot search the batch at offset {} for a timestamp: {}", b.base_offset.value(),
                     records::text_of(match.error()));
        co_return failure(object_error::corrupt);
      }
      if (*match) co_return found_offset{(*match)->at, (*match)->timestamp};
    }
    from = next->range.end_offset();
  }
}

awaitable<result<found_offset, object_error>> offset_lookup::largest_timestamp(topic_partition where) {
  metadata::replica::reader reading(log_);
  const auto* p = log_.current().find_partition(where);
  if (!p) co_return found_offset{};
  // As above: first the state, then the index. Of equal ones the first counts, and the index has what is older.
  std::optional<located_range> best;
  auto log_start = p->log_start, state_begin = p->state_begin();
  for (auto r = p->find(std::max(log_start, state_begin)); r != p->ranges.end(); ++r)
    if (!best || r->max_timestamp > best->range.max_timestamp)
      best = located_range{log_.current().find_object(r->object).id, *r};
  if (log_start < state_begin) {
    auto older = co_await index_.with_largest_timestamp(where, log_start);
    if (!older)
      co_return failure(older.error() == index_reader::problem::damaged ? object_error::corrupt
                                                                        : object_error::unavailable);
    std::erase_if(*older, [&](const located_range& r) { return r.range.end_offset() <= log_start; });
    auto largest = std::ranges::max_element(*older, {}, [](const located_range& r) { return r.range.max_timestamp; });
    if (largest != older->end() && (!best || largest->range.max_timestamp >= best->range.max_timestamp)) best = *largest;
  }
  if (!best) co_return found_offset{};
  auto lease = co_await memory_.reserve(best->range.bytes);
  auto read_range = co_await read(*best);
  if (!read_range) co_return failure(read_range.error());
  const auto& range = **read_range;
  found_offset largest;
  for (std::size_t i = 0; i < range.batches().size(); ++i) {
    const auto& b = range.batches()[i];
    auto bytes = range.batch_bytes(i);
    auto batch = records::batch_view::parse(bytes.view());
    if (!batch || b.end_offset() <= log_start || is_surely_before(*batch, largest.timestamp + 1)) continue;
    found match;
    auto search = [&] {
      match = records::find_max_timestamp(*batch, b.base_offset, log_start, decompressed_bytes_max);
    };
    if (batch->compression() == records::compression_type::none)
      search();
    else
      co_await rt_.run_blocking(search);
    if (!match) {
      spdlog::warn("cannot search the batch at offset {} for its largest timestamp: {}", b.base_offset.value(),
                   records::text_of(match.error()));
      co_return failure(object_error::corrupt);
    }
    if (*match && (*match)->timestamp > largest.timestamp) largest = {(*match)->at, (*match)->timestamp};
  }
  co_return largest;
}
}  // namespace yaks::fetch

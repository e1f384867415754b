#include "fetch/fetcher.hpp"

#include <algorithm>

namespace yaks::fetch {
fetcher::fetcher(runtime& rt, metadata::replica& log, range_reader& reader, index_reader& index, waiters& waiting,
                 byte_budget& memory, std::uint32_t response_bytes_max)
    : rt_(rt),
      log_(log),
      reader_(reader),
      index_(index),
      waiting_(waiting),
      memory_(memory),
      response_bytes_max_(response_bytes_max) {}

fetcher::survey fetcher::look(const fetch_request& request) const {
  survey seen;
  seen.partitions.resize(request.partitions.size());
  bool fresh = log_.is_fresh();
  for (std::size_t i = 0; i < request.partitions.size(); ++i) {
    const auto& asked = request.partitions[i];
    auto& answer = seen.partitions[i];
    const auto* p = log_.current().find_partition(asked.where);
    if (!fresh) {
      answer.error = fetch_error::storage;
    } else if (!p) {
      answer.error = fetch_error::unknown_topic_or_partition;
      seen.is_denial = true;
    } else {
      answer.high_watermark = p->high_watermark;
      answer.last_stable_offset = p->last_stable_offset();
      answer.log_start = p->log_start;
      if (asked.from < p->log_start || p->high_watermark < asked.from) {
        answer.error = fetch_error::offset_out_of_range;
        seen.is_denial = true;
      } else {
        auto enough =
            std::max(request.bytes_min, 1u);  // also a fetch that waits for nothing must know whether it is empty
        if (asked.from < p->state_begin())
          seen.bytes = std::max<std::uint64_t>(seen.bytes, enough);  // the index has it
        for (auto r = p->find(asked.from); r != p->ranges.end() && seen.bytes < enough; ++r) seen.bytes += r->bytes;
      }
    }
    seen.has_error |= answer.error != fetch_error::none;
  }
  return seen;
}

awaitable<fetch_result> fetcher::fetch(fetch_request request) {
  auto asked_at = rt_.now();
  auto due = asked_at + request.wait_max;
  request.bytes_max = std::min(request.bytes_max, response_bytes_max_);
  // What a client may ask for and never get must not keep it waiting for ever.
  request.bytes_min = std::min(request.bytes_min, request.bytes_max);
  auto seen = look(request);
  if (seen.is_denial) {  // no denial from a state older than the request
    if (co_await log_.barrier_since(asked_at))
      seen = look(request);
    else
      for (auto& p : seen.partitions)
        if (p.error != fetch_error::none) p.error = fetch_error::storage;
  }
  if (!seen.has_error && seen.bytes < request.bytes_min) {
    if (rt_.now() < due) {
      std::vector<topic_partition> partitions;
      partitions.reserve(request.partitions.size());
      for (const auto& p : request.partitions) partitions.push_back(p.where);
      waiters::registration waiter(waiting_, std::move(partitions));
      while (!seen.has_error && seen.bytes < request.bytes_min && co_await waiter.wait_until(rt_, due))
        seen = look(request);
    }
  }
  if (!seen.has_error && seen.bytes == 0) {  // nor an empty answer
    if (co_await log_.barrier_since(asked_at))
      seen = look(request);
    else
      for (auto& p : seen.partitions) p.error = fetch_error::storage;
  }
  bool is_gone = false;
  auto answer = co_await read(request, std::move(seen), is_gone);
  if (is_gone && co_await log_.barrier_since(rt_.now())) {  // once more, by what holds now
    request.memory_turn = nullptr;                          // it has passed
    answer = {};
    seen = look(request);
    answer = co_await read(std::move(request), std::move(seen), is_gone);
  }
  co_return answer;
}

awaitable<fetch_result> fetcher::read(fetch_request request, survey seen, bool& is_gone) {
  if (request.memory_turn && seen.bytes > 0) co_await request.memory_turn->wait();
  fetch_result out{.partitions = std::move(seen.partitions), .lease = nullptr};
  // What it finds in the state and the index stays in the object store until this has been read.
  metadata::replica::reader reading(log_);
  // Which ranges: as many as could be needed, by the sizes that the state knows. The state may change while they are
  // read, so everything is copied out of it here.
  struct planned {
    std::size_t partition;
    std::size_t first, last;  // of ranges
  };
  std::vector<planned> plan;
  std::vector<wanted_ranges> wanted;  // one per plan
  std::size_t ranges = 0;
  std::uint64_t ahead_budget = reader_.ahead_bytes_per_fetch();
  std::size_t ahead_ranges = reader_.ahead_ranges_per_fetch();
  std::int64_t budget = request.bytes_max;
  std::size_t reserved = 0;
  for (std::size_t i = 0; i < request.partitions.size() && (budget > 0 || plan.empty()); ++i) {
    const auto& asked = request.partitions[i];
    if (out.partitions[i].error != fetch_error::none) continue;
    const auto* p = log_.current().find_partition(asked.where);
    if (!p) continue;
    std::int64_t limit = std::min<std::int64_t>(asked.bytes_max, budget), taken = 0;
    planned here{i, ranges, ranges};
    wanted_ranges of_it;
    auto wants_more = [&] { return taken < limit || (plan.empty() && taken == 0); };
    if (!wants_more()) continue;
    auto add = [&](const located_range& r) {
      std::int64_t bytes = r.range.bytes;
      // Begins inside: what lies before does not count.
      if (auto cached = r.range.base_offset < asked.from ? reader_.peek(r) : nullptr) {
        const auto& batches = cached->batches();
        for (std::size_t b = 0; b < batches.size() && batches[b].end_offset() <= asked.from; ++b)
          bytes -= batches[b].bytes;
      }
      taken += bytes;
      reserved += r.range.bytes;
      of_it.asked.push_back(r);
      ++here.last;
    };
    // A consumer that is far behind will ask for as much again as soon as it has this.
    ahead_limits limits;
    std::uint64_t bytes_ahead = 0;
    auto add_ahead = [&](const located_range& r) {
      const auto& before = of_it.ahead.empty() ? of_it.asked.back() : of_it.ahead.back();
      bytes_ahead += r.range.bytes;
      // One who reads what others have just read needs no run.
      bool is_first_beyond = bytes_ahead > limits.bytes && bytes_ahead - r.range.bytes <= limits.bytes;
      if (is_first_beyond && limits.is_for_new_runs && reader_.has_or_loads(r)) return false;
      bool is_run = r.continues(before) && bytes_ahead <= limits.bytes + limits.run_bytes;
      if ((bytes_ahead > limits.bytes && !is_run) || of_it.ahead.size() == limits.ranges || ahead_ranges == 0) return false;
      --ahead_ranges;
      of_it.ahead.push_back(r);
      return true;
    };
    // Answers whether it takes another one.
    auto take = [&](const located_range& r) {
      if (!wants_more()) return add_ahead(r);
      add(r);
      if (wants_more()) return true;
      auto bytes = std::min(std::uint64_t(taken), ahead_budget);
      limits = reader_.ahead_of(r, bytes);
      if (limits.ranges > 0) ahead_budget -= bytes;
      of_it.ahead_bytes = limits.bytes;
      return limits.ranges > 0;
    };
    auto next = asked.from;
    bool takes_more = true;
    if (next < p->state_begin()) {  // the state has let go of it
      auto end = co_await index_.each(asked.where, next, [&](const located_range& r) { return takes_more = take(r); });
      if (!end || *end == next) {
        out.partitions[i].error = fetch_error::storage;
        is_gone |= end.has_value();
        continue;
      }
      next = *end;
      p = log_.current().find_partition(asked.where);  // it may be gone by now
    }
    if (p && takes_more && next >= p->state_begin())
      for (auto r = p->find(next); r != p->ranges.end() && take({log_.current().find_object(r->object).id, *r});) ++r;
    if (p) {  // of the state that the ranges are of: a consumer is never given what lies beyond the end that it is told
      out.partitions[i].high_watermark = p->high_watermark;
      out.partitions[i].last_stable_offset = p->last_stable_offset();
      out.partitions[i].log_start = p->log_start;
    }
    budget -= std::min(taken, limit);
    if (here.first == here.last) continue;
    ranges = here.last;
    plan.push_back(here);
    wanted.push_back(std::move(of_it));
  }
  if (plan.empty()) co_return out;

  out.lease = co_await memory_.reserve(std::min(reserved, memory_.bytes_max()));
  if (request.memory_turn) request.memory_turn->pass();
  auto read = co_await reader_.read(std::move(wanted));

  budget = request.bytes_max;
  bool first_batch = true;
  for (const auto& here : plan) {
    auto& answer = out.partitions[here.partition];
    const auto& asked = request.partitions[here.partition];
    std::int64_t limit = std::min<std::int64_t>(asked.bytes_max, budget);
    bool full = false;
    for (std::size_t i = here.first; i < here.last && !full; ++i) {
      if (!read[i]) is_gone |= read[i].error() == object_error::not_found;
      if (!read[i]) {  // what was read before it is still an answer
        if (answer.bytes == 0) answer.error = fetch_error::storage;
        break;
      }
      const auto& range = **read[i];
      std::size_t begin = i == here.first ? range.find(asked.from) : 0, end = begin;
      for (; end < range.batches().size(); ++end) {
        const auto& b = range.batches()[end];
        if (std::int64_t(answer.bytes) + b.bytes > limit && !first_batch) {
          full = true;
          break;
        }
        first_batch = false;
        answer.bytes += b.bytes;
        answer.records += b.record_count;
      }
      range.append_slices(begin, end, answer.batches);
      if (end > begin) {
        answer.end = range.batches()[end - 1].end_offset();
        answer.newest = range.batches()[end - 1].max_timestamp;
      }
    }
    budget -= std::int64_t(answer.bytes);
  }
  co_return out;
}
}  // namespace yaks::fetch

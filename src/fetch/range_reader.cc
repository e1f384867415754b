#include "fetch/range_reader.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "metadata/append_time.hpp"
#include "objects/object_key.hpp"
#include "records/batch.hpp"

namespace yaks::fetch {
range_reader::range_reader(runtime& rt, object_store& objects, block_cache& cache, range_reader_settings settings,
                           metrics::registry& metrics)
    : rt_(rt),
      objects_(objects),
      cache_(cache),
      settings_(std::move(settings)),
      tasks_(rt.executor()),
      downloads_(metrics.add_counter("yaks_fetch_s3_downloads_total", "Ranged GETs from the object store for fetches.")),
      downloaded_bytes_(metrics.add_counter("yaks_fetch_s3_download_bytes_total", "Bytes of ranged GETs for fetches.")),
      failures_(metrics.add_counter("yaks_fetch_s3_failures_total", "Ranged GETs that failed.")),
      corrupt_(metrics.add_counter("yaks_fetch_corrupt_ranges_total",
                                   "Ranges whose batches did not match their checksums as they were read.")),
      joined_(metrics.add_counter("yaks_fetch_joined_reads_total", "Ranges that another request was reading already.")),
      get_seconds_(metrics.add_histogram("yaks_fetch_s3_download_duration_seconds", "Time of a ranged GET for fetches.",
                                         metrics::latency_seconds_buckets())) {}

range_reader::~range_reader() = default;

awaitable<void> range_reader::run() {
  return run_then_close(tasks_.failed(), tasks_);
}

awaitable<std::vector<result<range_reader::entry, object_error>>> range_reader::read(std::vector<located_range> ranges) {
  std::vector<entry> known;
  known.reserve(ranges.size());
  for (const auto& r : ranges) known.push_back(cache_.find(r.key()));
  std::vector<std::shared_ptr<load>> waits(ranges.size());
  std::vector<located_range> missing;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (known[i]) continue;
    auto [found, is_new] = loads_.try_emplace(ranges[i].key());
    if (is_new) {
      found->second = std::make_shared<load>();
      missing.push_back(ranges[i]);
    } else {
      joined_.add();
    }
    waits[i] = found->second;
  }
  std::sort(missing.begin(), missing.end(), [](const auto& a, const auto& b) { return a.key() < b.key(); });
  for (std::size_t first = 0; first < missing.size();) {
    std::size_t last = first + 1;
    std::uint64_t begin = missing[first].range.position, end = begin + missing[first].range.bytes;
    for (; last < missing.size() && missing[last].object == missing[first].object; ++last) {
      const auto& next = missing[last].range;
      if (next.position > end + settings_.merge_gap_bytes_max) break;
      if (std::uint64_t(next.position) + next.bytes - begin > settings_.merged_bytes_max) break;
      end = std::uint64_t(next.position) + next.bytes;
    }
    tasks_.spawn(get(std::vector(missing.begin() + std::ptrdiff_t(first), missing.begin() + std::ptrdiff_t(last))));
    first = last;
  }
  std::vector<result<entry, object_error>> answers;
  answers.reserve(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (known[i]) {
      answers.push_back(known[i]);
      continue;
    }
    while (!waits[i]->answer) co_await waits[i]->answered.wait();
    answers.push_back(*waits[i]->answer);
  }
  co_return answers;
}

void range_reader::settle(const located_range& range, result<entry, object_error> answer) {
  if (answer) cache_.insert(range.key(), *answer);
  auto found = loads_.find(range.key());
  found->second->answer = std::move(answer);
  found->second->answered.notify_all();
  loads_.erase(found);
}

awaitable<void> range_reader::get(std::vector<located_range> ranges) {
  const auto& first = ranges.front();
  const auto& last = ranges.back().range;
  std::uint64_t begin = first.range.position, bytes = std::uint64_t(last.position) + last.bytes - begin;
  downloads_.add();
  auto begun = rt_.now();
  auto got = co_await objects_.get(object_key(settings_.key_prefix, first.object), begin, bytes, begun + settings_.get_deadline);
  get_seconds_.observe(std::chrono::duration<double>(rt_.now() - begun).count());
  if (!got) {
    failures_.add();
    spdlog::warn("cannot read bytes {}+{} of object {}: {}", begin, bytes, first.object.value().text(), name(got.error()));
    for (const auto& r : ranges) settle(r, failure(got.error()));
    co_return;
  }
  downloaded_bytes_.add(double(got->size()));
  for (const auto& r : ranges) {
    if (got->size() != bytes) {  // a store that does not keep to its contract
      tasks_.spawn(get_alone(r));
      continue;
    }
    auto slice = got->slice(r.range.position - begin, r.range.bytes);
    // A small range must not keep a large download alive in the cache.
    if (slice.size() * 4 < slice.pinned_bytes()) slice = shared_bytes::copy_of(slice.view());
    if (auto made = checked(r, std::move(slice))) settle(r, std::move(made));
    else tasks_.spawn(get_alone(r));
  }
}

// Whole batches with right checksums, as many bytes and records as the log says; else null.
range_reader::entry range_reader::checked(const located_range& range, shared_bytes bytes) {
  if (bytes.size() != range.range.bytes) return nullptr;
  auto append_time = metadata::append_time_of(range.range);
  if (append_time) {
    // Checked as they were sent, before they get the time that they were stored at.
    records::batch_reader reader(bytes.view());
    for (auto at = reader.position(); auto batch = reader.next(); at = reader.position()) {
      if (!batch->crc_matches()) return nullptr;
      records::set_log_append_time(bytes.slice(at, batch->size_bytes()).writable(), *append_time);
    }
  }
  auto made = cached_range::make({std::move(bytes)}, range.range.base_offset, !append_time);
  if (!made || made->batches().empty() || made->batches().back().end_offset() != range.range.end_offset()) return nullptr;
  return made;
}

awaitable<void> range_reader::get_alone(located_range r) {
  corrupt_.add();
  auto object = r.object.value().text();
  spdlog::error("bytes {}+{} of object {} do not match their checksums; reading them once more", r.range.position, r.range.bytes,
                object);
  downloads_.add();
  auto got = co_await objects_.get(object_key(settings_.key_prefix, r.object), r.range.position, r.range.bytes,
                                   rt_.now() + settings_.get_deadline);
  if (!got) {
    failures_.add();
    settle(r, failure(got.error()));
  } else if (auto made = checked(r, std::move(*got))) {
    settle(r, std::move(made));
  } else {
    corrupt_.add();
    spdlog::error("object {} is damaged at bytes {}+{}: fetches of these records answer KAFKA_STORAGE_ERROR", object,
                  r.range.position, r.range.bytes);
    settle(r, failure(object_error::corrupt));
  }
}
}  // namespace yaks::fetch

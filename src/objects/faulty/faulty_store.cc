#include "objects/faulty/faulty_store.hpp"

#include <algorithm>

namespace yaks {
awaitable<faulty_store::fault> faulty_store::draw(bool writes, bool reads, time_point deadline) {
  // Two draws per call whatever comes out: which faults are on does not shift what later calls draw.
  std::uint64_t dice = rt_.random_below(1000);
  std::uint64_t delay = rt_.random();
  if (faults_.delay_most > 0ns) {
    time_point due = rt_.now() + duration(std::int64_t(delay % std::uint64_t(faults_.delay_most.count())));
    if (due >= deadline) {
      co_await rt_.sleep_until(std::max(deadline, rt_.now()));
      ++injected_;
      co_return writes ? fault::unknown_not_done : fault::unavailable;
    }
    co_await rt_.sleep_until(due);
  }
  auto hit = [&](unsigned chance) {
    if (dice < chance) return ++injected_, true;
    dice -= chance;
    return false;
  };
  if (hit(faults_.unavailable)) co_return fault::unavailable;
  if (hit(faults_.slow_down)) co_return fault::slow_down;
  if (writes && hit(faults_.unknown_done)) co_return fault::unknown_done;
  if (writes && hit(faults_.unknown_not_done)) co_return fault::unknown_not_done;
  if (reads && hit(faults_.truncated_get)) co_return fault::truncated_get;
  if (reads && hit(faults_.corrupt_get)) co_return fault::corrupt_get;
  co_return fault::none;
}

awaitable<result<void, object_error>> faulty_store::put(std::string key, std::vector<shared_bytes> body,
                                                        std::uint32_t crc32c, time_point deadline) {
  fault what = co_await draw(true, false, deadline);
  if (what == fault::unavailable) co_return failure(object_error::unavailable);
  if (what == fault::slow_down) co_return failure(object_error::slow_down);
  if (what == fault::unknown_not_done) co_return failure(object_error::unknown);
  auto answer = co_await inner_.put(std::move(key), std::move(body), crc32c, deadline);
  if (what == fault::unknown_done) co_return failure(object_error::unknown);
  co_return answer;
}

awaitable<result<shared_bytes, object_error>> faulty_store::get(std::string key, std::uint64_t position,
                                                                std::uint64_t bytes, time_point deadline) {
  fault what = co_await draw(false, true, deadline);
  if (what == fault::unavailable) co_return failure(object_error::unavailable);
  if (what == fault::slow_down) co_return failure(object_error::slow_down);
  auto answer = co_await inner_.get(std::move(key), position, bytes, deadline);
  if (!answer || answer->empty()) co_return answer;
  if (what == fault::truncated_get) co_return answer->slice(0, rt_.random_below(answer->size()));
  if (what == fault::corrupt_get) {
    shared_bytes copy = shared_bytes::copy_of(answer->view());
    copy.writable()[rt_.random_below(copy.size())] ^= std::byte(1u << rt_.random_below(8));
    co_return copy;
  }
  co_return answer;
}

awaitable<result<std::vector<object_info>, object_error>> faulty_store::list(std::string prefix, time_point deadline) {
  fault what = co_await draw(false, false, deadline);
  if (what == fault::unavailable) co_return failure(object_error::unavailable);
  if (what == fault::slow_down) co_return failure(object_error::slow_down);
  co_return co_await inner_.list(std::move(prefix), deadline);
}

awaitable<result<void, object_error>> faulty_store::remove(std::vector<std::string> keys, time_point deadline) {
  fault what = co_await draw(true, false, deadline);
  if (what == fault::unavailable) co_return failure(object_error::unavailable);
  if (what == fault::slow_down) co_return failure(object_error::slow_down);
  if (what == fault::unknown_not_done) co_return failure(object_error::unknown);
  auto answer = co_await inner_.remove(std::move(keys), deadline);
  if (what == fault::unknown_done) co_return failure(object_error::unknown);
  co_return answer;
}
}  // namespace yaks

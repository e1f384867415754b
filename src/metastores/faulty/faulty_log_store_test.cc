// Goal: the decorator answers only what the contract allows: `unavailable` was not done, `unknown` may have been, order
// holds. Method: many appends over the memory store with every fault at once; what was answered is compared with the
// log.
#include "metastores/faulty/faulty_log_store.hpp"

#include <gtest/gtest.h>

#include <map>

#include "metastores/memory/memory_metastore.hpp"
#include "runtime/real_runtime.hpp"

namespace yaks::metastores {
namespace {
using metadata::append_id;
using metadata::log_error;

TEST(faulty_log_store, tells_the_truth_in_the_unpleasant_way) {
  real_runtime rt;
  memory_log log([&] { return rt.wall_clock(); });
  std::map<std::uint64_t, std::optional<log_error>> answers;
  auto body = [&]() -> awaitable<void> {
    memory_metastore session(rt, log);
    co_await session.open();
    faulty_log_store faulty(rt, session.log(),
                            {.unavailable_permille = 150,
                             .unknown_done_permille = 150,
                             .unknown_not_done_permille = 150,
                             .unknown_done_later_permille = 150,
                             .delay_permille = 50,
                             .delay_max = 1ms,
                             .late_max = 3ms});
    incarnation self(uuid::v4(1, 1));
    for (std::uint64_t n = 1; n <= 400; ++n) {
      auto tail = co_await faulty.append({}, {self, n}, {});
      answers[n] = tail ? std::nullopt : std::optional(tail.error());
    }
    faulty.rates = {};
    co_await rt.sleep_for(5ms);  // what comes later has come, or is given up; either is allowed
    auto calm = co_await faulty.append({}, {self, 401}, {});
    EXPECT_TRUE(calm.has_value());
    co_await faulty.close();
    co_await session.close();
  };
  rt.run(body());

  std::map<std::uint64_t, int> stored;
  for (auto& entry : log.entries()) ++stored[entry.id.number];
  int unknown_stored = 0, unknown_lost = 0, refused = 0, done = 0;
  for (auto& [number, error] : answers) {
    EXPECT_LE(stored[number], 1);
    if (!error) {
      ++done;
      EXPECT_EQ(stored[number], 1) << number;
    } else if (*error == log_error::unavailable) {
      ++refused;
      EXPECT_EQ(stored[number], 0) << number;
    } else {
      EXPECT_EQ(*error, log_error::unknown);
      ++(stored[number] ? unknown_stored : unknown_lost);
    }
  }
  EXPECT_GT(done, 0);
  EXPECT_GT(refused, 0);
  EXPECT_GT(unknown_stored, 0);
  EXPECT_GT(unknown_lost, 0);
}
}  // namespace
}  // namespace yaks::metastores

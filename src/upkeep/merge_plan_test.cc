// Goal: long runs come of short ones, no byte is written again and again, nothing is moved that is kept for nobody or
// gone before long. Method: cases one by one; then partitions that grow and are merged step by step, with the bytes
// counted.
#include "upkeep/merge_plan.hpp"

#include <gtest/gtest.h>

#include <random>

namespace yaks::upkeep {
namespace {
constexpr timestamp_ms begun{1'700'000'000'000};

struct partition_image {
  merge_limits limits{.object_bytes = 6400, .runs_min = 8, .age_ms = 1000};
  merge_outlook outlook{.now = begun};
  std::vector<metadata::range> ranges;
  std::map<metadata::object_number, metadata::object_use> objects;
  metadata::object_number add_object(timestamp_ms made, std::uint64_t bytes, std::uint64_t live,
                                     bool is_merged = false) {
    auto number = objects.size() + 1;
    objects[number] = {{number, object_id(uuid::v7(made.value(), number, 1)), bytes}, live, true, is_merged};
    return number;
  }
  void add(metadata::object_number object, std::uint32_t bytes, std::uint32_t position = 0,
           timestamp_ms newest = begun) {
    auto at = ranges.empty() ? offset(0) : ranges.back().end_offset();
    ranges.push_back({.base_offset = at,
                      .object = object,
                      .position = position,
                      .bytes = bytes,
                      .record_count = 10,
                      .batch_count = 1,
                      .max_timestamp = newest});
  }
  // So many ranges, each in an object of its own.
  void add_short(std::size_t n, std::uint32_t bytes, timestamp_ms made = begun) {
    for (; n > 0; --n) add(add_object(made, bytes, bytes), bytes);
  }
  merge_plan plan() const { return plan_merges(ranges, objects, limits, outlook); }
};

TEST(merge_plan, a_window_that_is_full_is_merged_at_once) {
  partition_image p;
  p.add_short(100, 100);  // 6400 make an object
  auto plan = p.plan();
  ASSERT_EQ(plan.windows.size(), 1u);
  EXPECT_EQ(plan.windows[0].from, offset(0));
  EXPECT_EQ(plan.windows[0].to, offset(640));
  EXPECT_EQ(plan.windows[0].bytes, 6400u);
  EXPECT_EQ(plan.windows[0].runs, 64u);
  EXPECT_EQ(plan.windows[0].ranges.size(), 64u);
  EXPECT_EQ(plan.next, offset(0));
}

TEST(merge_plan, what_is_short_of_an_object_waits_for_its_age_and_for_company) {
  partition_image p;
  p.add_short(20, 100);
  auto plan = p.plan();
  EXPECT_TRUE(plan.windows.empty());
  EXPECT_EQ(plan.next, offset(0));
  EXPECT_EQ(plan.look_again, begun + 1000);
  p.outlook.now = begun + 1000;
  plan = p.plan();
  ASSERT_EQ(plan.windows.size(), 1u);
  EXPECT_EQ(plan.windows[0].to, offset(200));
  p.ranges.resize(7);  // fewer runs than it takes
  EXPECT_TRUE(p.plan().windows.empty());
  p.ranges.clear();
  EXPECT_TRUE(p.plan().windows.empty());
}

TEST(merge_plan, the_end_of_a_page_is_not_the_end_of_the_index) {
  partition_image p;
  p.add_short(20, 100);
  p.outlook = {.now = begun + 5000, .is_end = false};
  EXPECT_TRUE(p.plan().windows.empty());
  EXPECT_EQ(p.plan().next, offset(0));
}

TEST(merge_plan, long_runs_stay_and_part_windows) {
  partition_image p;
  p.outlook.now = begun + 5000;
  p.add_short(10, 100);
  auto large = p.add_object(begun, 1600, 1600);
  for (std::uint32_t i = 0; i < 16; ++i) p.add(large, 100, 100 * i);  // one run of a quarter
  p.add_short(10, 100);
  auto plan = p.plan();
  ASSERT_EQ(plan.windows.size(), 2u);
  EXPECT_EQ(plan.windows[0].to, offset(100));
  EXPECT_EQ(plan.windows[1].from, offset(260));
  EXPECT_EQ(plan.windows[1].to, offset(360));
  p.ranges.resize(26);
  EXPECT_EQ(p.plan().windows.size(), 1u);
  p.ranges.erase(p.ranges.begin(), p.ranges.begin() + 10);
  EXPECT_TRUE(p.plan().windows.empty());
  EXPECT_EQ(p.plan().next, offset(260));
}

TEST(merge_plan, a_sparse_object_is_emptied_whatever_the_length_and_number_of_its_runs) {
  partition_image p;
  auto large = p.add_object(begun, 5000, 2000);
  for (std::uint32_t i = 0; i < 20; ++i) p.add(large, 100, 100 * i);
  ASSERT_EQ(p.plan().windows.size(), 1u);
  EXPECT_TRUE(p.plan().windows[0].is_sparse);
  EXPECT_EQ(p.plan().windows[0].runs, 1u);
  auto no = p;
  no.objects[large].live_bytes = 2500;  // half
  EXPECT_TRUE(no.plan().windows.empty());
  no = p;
  no.objects[large].live_bytes = 0;  // nobody knows
  EXPECT_TRUE(no.plan().windows.empty());
  no = p;
  no.objects[large].is_released = false;  // the state holds more of it
  EXPECT_TRUE(no.plan().windows.empty());
  no = p;
  no.outlook.goes_by_bytes = true;
  EXPECT_TRUE(no.plan().windows.empty());
  no = p;
  no.outlook.retention_ms = 1000;
  no.outlook.now = begun + 501;  // the second half of its life
  EXPECT_TRUE(no.plan().windows.empty());
  no.outlook.now = begun + 500;
  EXPECT_EQ(no.plan().windows.size(), 1u);
}

TEST(merge_plan, records_without_a_time_stay_in_the_object_that_says_their_age) {
  partition_image p;
  p.outlook.now = begun + 5000;
  p.add_short(10, 100);
  p.add(p.add_object(begun, 100, 100), 100, 0, no_timestamp);
  p.add_short(10, 100);
  auto plan = p.plan();
  ASSERT_EQ(plan.windows.size(), 2u);
  EXPECT_EQ(plan.windows[0].to, offset(100));
  EXPECT_EQ(plan.windows[1].from, offset(110));
}

TEST(merge_plan, a_merged_run_waits_until_the_window_is_four_times_as_large) {
  partition_image p;
  p.outlook.now = begun + 5000;
  auto merged = p.add_object(begun, 1000, 1000, true);
  for (std::uint32_t i = 0; i < 10; ++i) p.add(merged, 100, 100 * i);
  p.add_short(7, 100);
  EXPECT_TRUE(p.plan().windows.empty());
  EXPECT_EQ(p.plan().next, offset(0));
  p.add_short(1, 100);  // they are enough by themselves
  ASSERT_EQ(p.plan().windows.size(), 1u);
  EXPECT_EQ(p.plan().windows[0].from, offset(100));
  EXPECT_EQ(p.plan().windows[0].merged_bytes, 0u);
  p.add_short(22, 100);
  ASSERT_EQ(p.plan().windows.size(), 1u);
  EXPECT_EQ(p.plan().windows[0].from, offset(0));
  EXPECT_EQ(p.plan().windows[0].merged_bytes, 1000u);
}

// Partitions of all speeds, merged as their plans say, each look being an age after the one before.
TEST(merge_plan, no_byte_is_written_again_and_again) {
  std::mt19937_64 random(1);
  for (std::uint32_t range_bytes : {3u, 10u, 40u, 100u, 300u, 700u})
    for (std::size_t ranges_per_look : {1u, 3u, 9u, 40u}) {
      partition_image p;
      std::uint64_t produced = 0, written = 0;
      for (int look = 0; look < 400; ++look) {
        p.add_short(ranges_per_look, range_bytes, p.outlook.now);
        produced += ranges_per_look * range_bytes;
        p.outlook.now += p.limits.age_ms;
        for (auto& w : p.plan().windows) {
          auto into = p.add_object(p.outlook.now, w.bytes, w.bytes, true);
          written += w.bytes;
          EXPECT_LE(w.bytes, p.limits.object_bytes);
          std::uint32_t position = 0;
          for (auto& r : p.ranges)
            if (r.base_offset >= w.from && r.end_offset() <= w.to) {
              r.object = into;
              r.position = position;
              position += r.bytes;
            }
          EXPECT_EQ(position, w.bytes);
        }
      }
      std::size_t runs = 0;
      for (std::size_t i = 0; i < p.ranges.size(); ++i) runs += i == 0 || p.ranges[i].object != p.ranges[i - 1].object;
      auto mean_run = produced / runs;
      // At most log4 of the growth from a range to a quarter of an object, and no more than once where a look brings a
      // whole one.
      EXPECT_LE(written, 5 * produced) << range_bytes << " " << ranges_per_look;
      if (range_bytes * ranges_per_look >= 4 * 1600) EXPECT_LE(written, produced);
      if (produced > 20 * p.limits.object_bytes && range_bytes < 1000)
        EXPECT_GE(mean_run, p.limits.object_bytes / 16) << range_bytes << " " << ranges_per_look;
    }
}
}  // namespace
}  // namespace yaks::upkeep

// Goal: the checker finds every kind of violation, names it under the right invariant and no other, and does not cry
// wolf over what is allowed (unknown outcomes, retries without idempotence). Method: a small correct run is made by a
// naive model of a log; each test breaks it in one way, as a broker could, and compares the violations of all six
// invariants with what that breakage must cause.
#include "oracle/checker.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <stdexcept>

#include "oracle/report.hpp"

namespace yaks::oracle {
namespace {
using counts = std::array<std::uint64_t, invariant_count>;

// A correct log: `log[slot]` is what a consumer reads, `told` what the producers heard.
struct scene {
  history told;
  std::vector<std::vector<consumed_record>> log;
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;  // low and high of each slot

  // 2 topics × 2 partitions, 3 producers × 40 records, interleaved by chance, every one acknowledged.
  explicit scene(std::uint64_t seed = 1, bool idempotent = true) {
    told.facts = {.run = 77,
                  .seed = seed,
                  .topic_prefix = "t",
                  .topics = 2,
                  .partitions = 2,
                  .producers = 3,
                  .records = 40,
                  .value_bytes = 64,
                  .idempotent = idempotent,
                  .ordered = idempotent};
    log.resize(told.facts.slots());
    std::vector<std::uint64_t> next(told.facts.producers);
    std::mt19937_64 chance(seed);
    for (std::uint64_t i = 0; i < told.facts.producers * told.facts.records; ++i) {
      std::uint32_t producer;
      do producer = static_cast<std::uint32_t>(chance() % told.facts.producers);
      while (next[producer] == told.facts.records);
      std::uint64_t sequence = next[producer]++;
      std::uint32_t slot = slot_of(seed, producer, sequence, told.facts.slots());
      auto offset = static_cast<std::int64_t>(log[slot].size());
      log[slot].push_back({slot, offset, record(producer, sequence, slot)});
      told.outcomes.push_back({producer, sequence, slot, offset, checksum(producer, sequence), outcome::acknowledged});
    }
    for (auto& records : log) ranges.emplace_back(0, records.size());
  }
  static std::uint64_t checksum(std::uint32_t producer, std::uint64_t sequence) { return producer * 1000 + sequence; }
  parsed_record record(std::uint32_t producer, std::uint64_t sequence, std::uint32_t slot) const {
    return {.id = {.run = 77, .producer = producer, .slot = slot, .sequence = sequence, .timestamp_ms = 5},
            .checksum = checksum(producer, sequence)};
  }
  sent_record& sent(const consumed_record& record) {
    return *std::ranges::find_if(told.outcomes, [&](const sent_record& s) {
      return s.producer == record.record.id.producer && s.sequence == record.record.id.sequence;
    });
  }
  // Takes a record out as if it had never been appended: what follows moves up, acknowledgements included.
  void never_append(std::uint32_t slot, std::size_t at) {
    log[slot].erase(log[slot].begin() + static_cast<std::ptrdiff_t>(at));
    for (std::size_t i = at; i < log[slot].size(); ++i) {
      --log[slot][i].offset;
      if (sent(log[slot][i]).what == outcome::acknowledged) --sent(log[slot][i]).offset;
    }
    --ranges[slot].second;
  }
  void append(std::uint32_t slot, parsed_record record) { log[slot].push_back({slot, ranges[slot].second++, record}); }

  findings check(std::size_t shown_max = 10) const {
    checker checks(told, shown_max);
    for (std::uint32_t slot = 0; slot < log.size(); ++slot)
      checks.set_range(slot, ranges[slot].first, ranges[slot].second);
    for (const auto& records : log)
      for (const consumed_record& record : records) checks.add(record);
    return checks.finish();
  }
};

counts violations(const findings& found) {
  counts result;
  std::ranges::transform(found.verdicts, result.begin(), &verdict::violations);
  return result;
}
std::string first_of(const findings& found, invariant which) {
  const auto& words = found.of(which).first;
  return words.empty() ? "" : words.front();
}
// In the order of the enumeration: completeness, phantoms, duplicates, contiguous, order, integrity.
constexpr counts nothing{};

TEST(checker, a_correct_run_has_no_violation) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    findings found = scene(seed).check();
    EXPECT_EQ(violations(found), nothing);
    EXPECT_TRUE(found.ok());
    EXPECT_EQ(found.acknowledged, 120u);
    EXPECT_EQ(found.consumed, 120u);
    for (const verdict& of : found.verdicts) EXPECT_EQ(of.checked, 120u);
  }
}

TEST(checker, slots_may_interleave) {
  scene s;
  checker checks(s.told);
  for (std::uint32_t slot = 0; slot < 4; ++slot) checks.set_range(slot, 0, s.ranges[slot].second);
  for (std::size_t at = 0; at < 120; ++at)
    for (const auto& records : s.log)
      if (at < records.size()) checks.add(records[at]);
  EXPECT_EQ(violations(checks.finish()), nothing);
}

TEST(checker, a_lost_record_is_incomplete_and_a_hole) {
  scene s;
  s.log[1].erase(s.log[1].begin() + 3);
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{1, 0, 0, 1, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::completeness), testing::HasSubstr("t-0/1 offset 3, but is nowhere"));
  EXPECT_EQ(first_of(found, invariant::contiguous), "t-0/1 has no offset 3");
}

TEST(checker, a_lost_tail_is_found) {
  scene s;
  auto size = s.log[2].size();
  s.log[2].resize(size - 4);
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{4, 0, 0, 1, 0, 0}));
  EXPECT_EQ(first_of(found, invariant::contiguous), fmt::format("t-1/0 has no offsets {} to {}", size - 4, size - 1));
}

TEST(checker, a_tail_that_the_broker_forgot_altogether_is_found) {
  scene s;
  s.log[2].resize(s.log[2].size() - 4);
  s.ranges[2].second -= 4;
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{4, 0, 0, 0, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::completeness), testing::HasSubstr("the partition ends at"));
}

TEST(checker, a_record_at_another_offset_than_acknowledged_is_incomplete) {
  scene s;
  s.sent(s.log[0][5]).offset = s.ranges[0].second + 9;
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{1, 0, 0, 0, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::completeness), testing::HasSubstr("but is at offset 5"));
}

TEST(checker, a_record_in_another_partition_is_a_phantom_there) {
  scene s;
  parsed_record moved = s.log[0].back().record;
  s.log[0].pop_back();
  --s.ranges[0].second;
  s.append(3, moved);
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{1, 1, 0, 0, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::no_phantoms), testing::HasSubstr("which was sent to t-0/0"));
}

TEST(checker, an_acknowledgement_for_another_partition_is_incomplete) {
  scene s;
  sent_record& sent = s.sent(s.log[0][0]);
  sent.slot = 1;
  sent.offset = s.ranges[1].second + 1;  // nobody else's
  EXPECT_EQ(violations(s.check()), (counts{1, 0, 0, 0, 0, 0}));
}

TEST(checker, what_nobody_sent_is_a_phantom) {
  scene s;
  parsed_record foreign;
  foreign.what = damage::foreign;
  s.append(0, foreign);
  parsed_record other_run = s.record(0, 0, 1);
  other_run.id.run = 78;
  s.append(1, other_run);
  s.append(2, s.record(3, 0, 2));   // a producer too many
  s.append(3, s.record(0, 40, 3));  // a sequence too many
  EXPECT_EQ(violations(s.check()), (counts{0, 4, 0, 0, 0, 0}));
}

TEST(checker, a_record_that_the_ledger_does_not_know_is_a_phantom_of_a_finished_run_only) {
  scene s;
  std::erase_if(s.told.outcomes, [&](const sent_record& r) { return r == s.sent(s.log[0][2]); });
  EXPECT_EQ(violations(s.check()), (counts{0, 1, 0, 0, 0, 0}));
  s.told.finished = false;  // the oracle itself was killed before it could note the acknowledgement
  EXPECT_EQ(violations(s.check()), nothing);
}

TEST(checker, a_record_that_surely_failed_must_not_appear) {
  scene s;
  s.sent(s.log[0][2]).what = outcome::not_stored;
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{0, 1, 0, 0, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::no_phantoms), testing::HasSubstr("the broker said was not stored"));
}

TEST(checker, a_record_that_surely_failed_may_be_absent) {
  scene s;
  s.sent(s.log[0][2]).what = outcome::not_stored;
  s.never_append(0, 2);
  findings found = s.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_EQ(found.not_stored, 1u);
}

TEST(checker, an_unknown_outcome_may_be_there_or_not) {
  scene there;
  there.sent(there.log[0][2]).what = outcome::unknown;
  findings found = there.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_EQ(found.unknown_found, 1u);

  scene absent;
  absent.sent(absent.log[0][2]).what = outcome::unknown;
  absent.never_append(0, 2);
  found = absent.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_EQ(found.unknown, 1u);
  EXPECT_EQ(found.unknown_found, 0u);
}

TEST(checker, an_unknown_outcome_may_be_late_but_is_there_once) {
  scene s;
  parsed_record late = s.log[0][0].record;
  s.sent(s.log[0][0]).what = outcome::unknown;
  s.never_append(0, 0);
  s.append(0, late);
  findings found = s.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_EQ(found.unknown_late, 1u);
  s.append(0, late);
  EXPECT_EQ(violations(s.check()), (counts{0, 0, 1, 0, 0, 0}));
}

TEST(checker, an_unknown_outcome_must_be_intact) {
  scene s;
  s.sent(s.log[0][2]).what = outcome::unknown;
  s.log[0][2].record.checksum ^= 1;
  EXPECT_EQ(violations(s.check()), (counts{0, 0, 0, 0, 0, 1}));
}

TEST(checker, an_offset_that_is_read_twice_is_a_duplicate) {
  scene s;
  parsed_record other = s.record(0, 0, 0);
  other.what = damage::foreign;  // whatever is in it
  s.log[0].insert(s.log[0].begin() + 4, {0, 3, other});
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{0, 1, 1, 0, 0, 0}));
  EXPECT_EQ(first_of(found, invariant::no_duplicates), "t-0/0 offset 3 was read twice");
}

TEST(checker, a_record_that_is_stored_twice_is_a_duplicate_with_idempotence_only) {
  scene s;
  s.append(0, s.log[0][1].record);
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{0, 0, 1, 0, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::no_duplicates),
              testing::HasSubstr("is at offset 1 and again at t-0/0 offset"));

  scene plain(1, false);
  plain.append(0, plain.log[0][1].record);
  found = plain.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_EQ(found.repeated, 1u);
}

TEST(checker, two_records_that_were_acknowledged_at_one_offset_are_found) {
  scene s;
  s.sent(s.log[0][4]).offset = 3;
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{1, 0, 1, 0, 0, 0}));
  EXPECT_THAT(first_of(found, invariant::no_duplicates),
              testing::HasSubstr("t-0/0 offset 3 was acknowledged to producer"));
}

TEST(checker, a_hole_between_records_is_found_even_if_no_acknowledgement_points_there) {
  scene s;
  for (std::size_t i = 6; i < s.log[0].size(); ++i) {
    s.log[0][i].offset += 2;
    s.sent(s.log[0][i]).offset += 2;
  }
  s.ranges[0].second += 2;
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(first_of(found, invariant::contiguous), "t-0/0 has no offsets 6 to 7");
}

TEST(checker, a_partition_starts_at_0_and_ends_at_its_high_watermark) {
  scene s;
  s.ranges[0].first = 1;
  s.ranges[1].second += 1;  // claims one that is not there
  s.ranges[2].second -= 1;  // hides the last one
  s.ranges[3] = {0, -1};    // unknown
  EXPECT_EQ(violations(s.check()), (counts{0, 0, 0, 4, 0, 0}));
}

TEST(checker, records_are_read_by_rising_offset) {
  scene s;
  std::swap(s.log[0][3], s.log[0][4]);
  s.log[0][3].record.what = s.log[0][4].record.what = damage::none;
  findings found = s.check();
  EXPECT_EQ(found.of(invariant::contiguous).violations, 1u);
  EXPECT_EQ(first_of(found, invariant::contiguous), "t-0/0 offset 3 was read after offset 4");
}

TEST(checker, an_offset_inside_a_hole_closes_it_and_a_second_time_is_a_duplicate) {
  scene s;
  consumed_record late = s.log[0][4];
  s.log[0].erase(s.log[0].begin() + 3, s.log[0].begin() + 6);
  s.log[0].push_back(late);
  s.log[0].push_back(late);
  findings found = s.check();
  // Late once, and what is left of the hole is two: offsets 3 and 5.
  EXPECT_EQ(found.of(invariant::contiguous).violations, 3u);
  EXPECT_EQ(found.of(invariant::no_duplicates).violations, 2u);  // the offset, and the record
  EXPECT_EQ(found.of(invariant::completeness).violations, 2u);
}

// Two neighbours of one producer change places, in the log and in the acknowledgements: nothing but the order is wrong.
void swap_two_of_one_producer(scene& s) {
  std::vector<consumed_record>& log = s.log[0];
  auto second = std::ranges::find_if(log.begin() + 1, log.end(), [&](const consumed_record& r) {
    return r.record.id.producer == log.front().record.id.producer;
  });
  ASSERT_NE(second, log.end());
  std::swap(log.front().record, second->record);
  std::swap(s.sent(log.front()).offset, s.sent(*second).offset);
}

TEST(checker, a_producer_s_records_out_of_order_are_found) {
  scene s;
  swap_two_of_one_producer(s);
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{0, 0, 0, 0, 1, 0}));
  EXPECT_THAT(first_of(found, invariant::order), testing::HasSubstr("behind its sequence"));
}

TEST(checker, order_is_not_promised_to_plain_producers_unless_one_is_in_flight) {
  scene s(1, false);
  swap_two_of_one_producer(s);
  findings found = s.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_NE(found.of(invariant::order).not_checked, "");
  s.told.facts.ordered = true;
  EXPECT_EQ(violations(s.check()), (counts{0, 0, 0, 0, 1, 0}));
}

TEST(checker, damage_of_every_kind_is_found) {
  for (damage what : {damage::checksum, damage::key, damage::timestamp}) {
    scene s;
    s.log[0][2].record.what = what;
    findings found = s.check();
    // Bytes that fail their own checksum cannot say which record they are, so that one is missing as well.
    EXPECT_EQ(violations(found), (counts{what == damage::checksum ? 1u : 0u, 0, 0, 0, 0, 1}));
  }
}

TEST(checker, bytes_that_are_intact_but_not_the_ones_that_were_sent_are_found) {
  scene s;
  s.log[0][2].record.checksum += 1;
  findings found = s.check();
  EXPECT_EQ(violations(found), (counts{0, 0, 0, 0, 0, 1}));
  EXPECT_THAT(first_of(found, invariant::integrity), testing::HasSubstr("not the bytes that the ledger knows"));
}

TEST(checker, an_acknowledgement_without_an_offset_needs_the_record_somewhere) {
  scene s;
  s.sent(s.log[0][2]).offset = -1;
  findings found = s.check();
  EXPECT_EQ(violations(found), nothing);
  EXPECT_EQ(found.without_offset, 1u);
  s.never_append(0, 2);
  found = s.check();
  EXPECT_EQ(found.of(invariant::completeness).violations, 1u);
  EXPECT_THAT(first_of(found, invariant::completeness),
              testing::HasSubstr("was acknowledged in t-0/0, but is nowhere"));
}

TEST(checker, everything_is_counted_and_the_first_few_are_shown) {
  scene s;
  for (auto& records : s.log) records.clear();
  findings found = s.check(3);
  EXPECT_EQ(violations(found), (counts{120, 0, 0, 4, 0, 0}));
  EXPECT_EQ(found.of(invariant::completeness).first.size(), 3u);
}

TEST(checker, the_end_covers_what_was_acknowledged) {
  scene s;
  s.sent(s.log[1][0]).offset = 500;
  checker checks(s.told);
  EXPECT_EQ(checks.acknowledged_end(0), s.ranges[0].second);
  EXPECT_EQ(checks.acknowledged_end(1), 501);
}

TEST(checker, a_ledger_that_contradicts_itself_is_refused) {
  auto refused = [](auto&& change) {
    scene s;
    change(s.told);
    EXPECT_THROW(checker{s.told}, std::runtime_error);
  };
  refused([](history& h) { h.outcomes.push_back(h.outcomes.front()); });
  refused([](history& h) { h.outcomes.front().producer = 3; });
  refused([](history& h) { h.outcomes.front().sequence = 40; });
  refused([](history& h) { h.outcomes.front().slot = 4; });
  refused([](history& h) { h.outcomes.front().what = outcome::none; });
}

TEST(report, says_ok_only_when_everything_holds_and_something_was_proved) {
  scene s;
  findings found = s.check();
  EXPECT_TRUE(passed(s.told.facts, found, {}));
  EXPECT_THAT(text_report(s.told.facts, found, {}),
              testing::EndsWith("OK: 120 records verified across 4 partitions from 3 producers\n"));

  scene broken;
  broken.log[1].erase(broken.log[1].begin());
  found = broken.check();
  EXPECT_FALSE(passed(s.told.facts, found, {}));
  std::string text = text_report(s.told.facts, found, {});
  EXPECT_THAT(text, testing::HasSubstr("FAIL  completeness"));
  EXPECT_THAT(text, testing::HasSubstr("FAILED: 2 of 6 invariants are violated"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("OK:")));
  EXPECT_THAT(json_report(s.told.facts, found, {}), testing::HasSubstr("\"ok\": false"));

  scene silent;
  silent.told.outcomes.clear();
  for (auto& records : silent.log) records.clear();
  for (auto& range : silent.ranges) range = {0, 0};
  found = silent.check();
  EXPECT_TRUE(found.ok());
  EXPECT_FALSE(passed(silent.told.facts, found, {}));
  EXPECT_THAT(text_report(silent.told.facts, found, {}), testing::HasSubstr("not a single record was acknowledged"));
}

TEST(report, require_all_fails_where_one_is_missing) {
  scene s;
  s.sent(s.log[0][2]).what = outcome::not_stored;
  s.never_append(0, 2);
  findings found = s.check();
  EXPECT_TRUE(passed(s.told.facts, found, {}));
  EXPECT_FALSE(passed(s.told.facts, found, {.require_all = true}));
}
}  // namespace
}  // namespace yaks::oracle

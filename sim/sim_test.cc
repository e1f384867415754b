// Goal: the simulator replays a seed exactly, the checkers find what they are for, and scenarios say what is wrong in them.
// Method: short runs in this process, some with a bug in the simulated stores. The suite with all scenarios is scripts/simulate.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <sstream>

#include "sim/run.hpp"

namespace yaks::sim {
namespace {
scenario scenario_of(const std::string& name) {
  std::ifstream file(fmt::format("sim/scenarios/{}.txt", name));
  std::stringstream text;
  text << file.rdbuf();
  auto parsed = parse_scenario(text.str());
  EXPECT_TRUE(parsed.has_value()) << name;
  return parsed.value_or(scenario{});
}

class simulation : public testing::Test {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
};

TEST_F(simulation, a_seed_gives_the_same_run_again) {
  auto what = scenario_of("everything");
  what.operations = 1500;
  std::vector<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    auto first = run({.seed = seed, .what = what});
    std::vector<std::unique_ptr<int>> other_addresses(1000);
    for (auto& p : other_addresses) p = std::make_unique<int>(1);
    auto second = run({.seed = seed, .what = what});
    EXPECT_EQ(first.violations, std::vector<std::string>{});
    EXPECT_EQ(first.hash, second.hash);
    EXPECT_EQ(first.steps, second.steps);
    hashes.push_back(first.hash);
  }
  EXPECT_NE(hashes[0], hashes[1]);
  EXPECT_NE(hashes[1], hashes[2]);
}

// Each with the first words of the violations that may tell of it.
struct planted {
  std::string bug;
  std::vector<std::string> found_as;
};
void PrintTo(const planted& p, std::ostream* out) { *out << p.bug; }
class planted_bug : public testing::TestWithParam<planted> {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
};

TEST_P(planted_bug, is_found) {
  auto what = scenario_of("everything");
  what.operations = 3000;
  what.bug = GetParam().bug;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    auto r = run({.seed = seed, .what = what});
    if (r.violations.empty()) continue;
    for (const auto& words : GetParam().found_as)
      if (r.violations.front().starts_with(words)) return;
    FAIL() << "seed " << seed << " finds something else: " << r.violations.front();
  }
  FAIL() << "20 seeds find nothing";
}

INSTANTIATE_TEST_SUITE_P(of_the_stores, planted_bug,
                         testing::Values(planted{"put_not_stored", {"dangling"}}, planted{"object_removed", {"dangling"}},
                                         planted{"append_forgotten", {"drifted", "ended", "phantom end"}},
                                         planted{"entries_swapped", {"drifted", "ended", "unseen"}},
                                         planted{"reads_stale", {"unseen", "wrong denial", "not live", "drifted"}},
                                         planted{"answers_stop", {"not live"}}));

TEST(scenario, says_what_is_wrong_in_it) {
  EXPECT_EQ(parse_scenario("agents 3\n\n# words\nkill 4s # more\nvary no\nmust a mark of words\n")->must,
            std::vector<std::string>{"a mark of words"});
  EXPECT_EQ(parse_scenario("agents 3\nkil 4s").error(), "line 2: there is nothing called 'kil' in a scenario");
  EXPECT_EQ(parse_scenario("kill 4").error(), "line 1: '4' cannot be the value of kill");
  EXPECT_EQ(parse_scenario("put_late 1001").error(), "line 1: '1001' cannot be the value of put_late");
  EXPECT_FALSE(parse_scenario("agents 0").has_value());
}
}  // namespace
}  // namespace yaks::sim

// yaks-simulate, or `yaks simulate`: runs seeds until one fails.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutation.hpp"
#include "sim/run.hpp"

namespace {
using namespace yaks;
using namespace yaks::sim;

constexpr std::string_view usage_text =
    "yaks simulate: a whole cluster in one thread of virtual time, from a seed\n"
    "\n"
    "  --scenario FILE   what happens (sim/scenarios/*.txt); without it, nothing goes wrong\n"
    "  --seed N          the first seed; that of the scenario, or 1\n"
    "  --seeds N         how many of them, one after the other; 1\n"
    "  --ops N           operations of clients in each run, instead of the scenario's\n"
    "  --forever         seed after seed until one fails\n"
    "  --trace           prints what happens\n"
    "  --hashes          prints the hash of each run, and no times: two builds must agree\n"
    "  --log LEVEL       of the agents' own log lines: off (the default), warning, info\n"
    "  --bug NAME        plants a bug in the simulated stores, which the checkers must find (sim/stores.hpp)\n"
    "  --mutation NAME   plants one in the code of the agents; only in the build of scripts/mutations\n"
    "\n"
    "The exit code is 0 where nothing was found, 1 where something was, 2 where the arguments are wrong.\n";

struct arguments {
  std::string scenario_file, log = "off", bug, mutation;
  std::uint64_t seed = 0, seeds = 1;
  std::optional<std::uint64_t> operations;
  bool forever = false, trace = false, hashes = false;
};

std::optional<std::string> parse(int argc, char** argv, arguments& a) {
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    auto value = [&]() -> std::string_view { return i + 1 < argc ? argv[++i] : ""; };
    auto number = [&](std::uint64_t& into) {
      auto text = value();
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
      return error == std::errc() && end == text.data() + text.size() && !text.empty();
    };
    bool good = true;
    if (word == "--scenario") a.scenario_file = value();
    else if (word == "--log") a.log = value();
    else if (word == "--bug") a.bug = value();
    else if (word == "--mutation") a.mutation = value();
    else if (word == "--seed") good = number(a.seed);
    else if (word == "--seeds") good = number(a.seeds);
    else if (word == "--ops") good = number(a.operations.emplace());
    else if (word == "--forever") a.forever = true;
    else if (word == "--trace") a.trace = true;
    else if (word == "--hashes") a.hashes = true;
    else return fmt::format("there is no argument '{}'", word);
    if (!good) return fmt::format("{} needs a number", word);
  }
  return std::nullopt;
}

// Of the run that goes on, for one that dies of an assertion.
std::string dying_words;
extern "C" void say_dying_words(int) {
  (void)!::write(STDOUT_FILENO, dying_words.data(), dying_words.size());
  std::signal(SIGABRT, SIG_DFL);
}

int fail(const std::string& text) {
  fmt::print(stderr, "yaks simulate: {}\n\n{}", text, usage_text);
  return 2;
}
}  // namespace

int main(int argc, char** argv) {
  arguments a;
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--help" || std::string_view(argv[i]) == "-h") {
      fmt::print("{}", usage_text);
      return 0;
    }
  if (auto wrong = parse(argc, argv, a)) return fail(*wrong);
  scenario what;
  if (!a.scenario_file.empty()) {
    std::ifstream file(a.scenario_file);
    if (!file) return fail(fmt::format("cannot read {}", a.scenario_file));
    std::stringstream text;
    text << file.rdbuf();
    auto parsed = parse_scenario(text.str());
    if (!parsed) return fail(fmt::format("{}: {}", a.scenario_file, parsed.error()));
    what = *parsed;
  }
  if (a.seed == 0) a.seed = std::max<std::uint64_t>(what.seed, 1);
  if (a.operations) what.operations = *a.operations;
  if (!a.bug.empty()) what.bug = a.bug;
#ifdef YAKS_MUTATIONS
  choose_mutation(a.mutation);
#else
  if (!a.mutation.empty()) return fail("this build has no mutations (cmake -DYAKS_MUTATIONS=ON, scripts/mutations)");
#endif
  std::signal(SIGABRT, say_dying_words);
  spdlog::set_level(spdlog::level::from_str(a.log));

  std::map<std::string, std::uint64_t> marks;
  std::uint64_t operations = 0, runs = 0;
  duration simulated{};
  auto begun = std::chrono::steady_clock::now();
  auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(); };
  for (auto seed = a.seed; a.forever || seed < a.seed + a.seeds; ++seed) {
    dying_words = fmt::format("seed {} dies\n", seed);
    auto r = run({.seed = seed, .what = what, .prints = a.trace});
    ++runs, operations += r.operations, simulated += r.simulated;
    for (const auto& [mark, times] : r.marks) marks[mark] += times;
    if (a.hashes)
      fmt::print("seed {} hash {:016x} operations {} records {}\n", seed, r.hash, r.operations, r.records);
    else if (a.forever || a.seeds <= 20 || !r.violations.empty())
      fmt::print("seed {}: hash {:016x}, {} operations, {} acknowledged, {} records, {} log entries, {:.1f} s simulated, {} steps\n", seed, r.hash,
                 r.operations, r.acknowledgements, r.records, r.entries, std::chrono::duration<double>(r.simulated).count(), r.steps);
    std::fflush(stdout);
    if (r.violations.empty()) continue;
    for (const auto& v : r.violations) fmt::print("  {}\n", v);
    fmt::print("seed {} FAILS. Again, with a trace: yaks simulate --seed {}{}{}{}{} --trace\n", seed, seed,
               a.scenario_file.empty() ? "" : " --scenario ", a.scenario_file, a.operations ? fmt::format(" --ops {}", *a.operations) : "",
               a.bug.empty() ? "" : " --bug " + a.bug);
    return 1;
  }
  if (a.hashes) return 0;
  fmt::print("{} runs, {} operations, {:.0f} s simulated in {:.1f} s: nothing found\n", runs, operations,
             std::chrono::duration<double>(simulated).count(), seconds());
  for (const auto& [mark, times] : marks) fmt::print("  {:>9}  {}\n", times, mark);
  int missing = 0;
  for (const auto& mark : what.must)
    if (!marks.contains(mark)) fmt::print("  NOT REACHED: {}\n", mark), ++missing;
  return missing ? 1 : 0;
}

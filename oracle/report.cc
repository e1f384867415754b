#include "oracle/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace yaks::oracle {
namespace {
constexpr std::array all_invariants{invariant::completeness, invariant::no_phantoms, invariant::no_duplicates,
                                    invariant::contiguous,   invariant::order,       invariant::integrity};

std::string_view what_was_checked(invariant which) {
  switch (which) {
    case invariant::completeness:
      return "acknowledged records are where their acknowledgement said";
    case invariant::no_phantoms:
      return "records read were sent by this run";
    case invariant::no_duplicates:
      return "records read, none twice";
    case invariant::contiguous:
      return "offsets without a hole";
    case invariant::order:
      return "acknowledged records are behind their predecessors";
    case invariant::integrity:
      return "records read are what was sent";
  }
  std::unreachable();
}

std::uint64_t requested(const run_facts& facts) {
  return facts.producers * facts.records;
}

// Why a run without a violation is not good all the same; empty where it is.
std::string shortfall(const run_facts& facts, const findings& found, const run_figures& figures) {
  if (found.acknowledged == 0) return "not a single record was acknowledged, so nothing was proved";
  if (figures.require_all && found.acknowledged < requested(facts))
    return fmt::format("{} of {} records were not acknowledged, and --require-all was given",
                       requested(facts) - found.acknowledged, requested(facts));
  return {};
}
}  // namespace

bool passed(const run_facts& facts, const findings& found, const run_figures& figures) {
  return found.ok() && shortfall(facts, found, figures).empty();
}

std::string rate_text(std::uint64_t bytes, double seconds) {
  return fmt::format("{:.2f} MB/s", seconds > 0 ? static_cast<double>(bytes) / 1e6 / seconds : 0.0);
}

std::string text_report(const run_facts& facts, const findings& found, const run_figures& figures) {
  std::string text;
  auto line = [&]<class... A>(fmt::format_string<A...> format, A&&... arguments) {
    fmt::format_to(std::back_inserter(text), format, std::forward<A>(arguments)...);
    text += '\n';
  };
  if (figures.produce_seconds > 0) {
    line("produced  {} records acknowledged in {:.1f} s, {:.0f} records/s, {}", found.acknowledged,
         figures.produce_seconds, static_cast<double>(found.acknowledged) / figures.produce_seconds,
         rate_text(figures.produced_bytes, figures.produce_seconds));
  }
  if (found.not_stored > 0) line("          {} records failed: surely not stored", found.not_stored);
  if (found.unknown > 0)
    line("          {} records have an unknown outcome, of which {} are in the log{}", found.unknown,
         found.unknown_found,
         found.unknown_late > 0 ? fmt::format(" ({} behind later ones, which is allowed)", found.unknown_late) : "");
  if (found.without_offset > 0)
    line("          {} records were acknowledged as duplicates, without an offset", found.without_offset);
  line("consumed  {} records in {:.1f} s, {:.0f} records/s, {}", found.consumed, figures.consume_seconds,
       figures.consume_seconds > 0 ? static_cast<double>(found.consumed) / figures.consume_seconds : 0.0,
       rate_text(figures.consumed_bytes, figures.consume_seconds));
  if (found.repeated > 0)
    line("          {} records are there twice, as may happen without idempotence", found.repeated);
  for (const std::string& trouble : figures.troubles) line("note      {}", trouble);
  if (figures.interrupted) line("note      interrupted: what was acknowledged until then was checked");

  for (invariant which : all_invariants) {
    const verdict& of = found.of(which);
    if (of.violations > 0) {
      line("FAIL  {:<20}  {} violation{}", name_of(which), of.violations, of.violations == 1 ? "" : "s");
      for (const std::string& words : of.first) line("        {}", words);
      if (of.violations > of.first.size()) line("        and {} more", of.violations - of.first.size());
    } else if (!of.not_checked.empty()) {
      line("skip  {:<20}  {}", name_of(which), of.not_checked);
    } else {
      line("pass  {:<20}  {} {}", name_of(which), of.checked, what_was_checked(which));
    }
  }
  std::string missing = shortfall(facts, found, figures);
  if (passed(facts, found, figures)) {
    line("OK: {} records verified across {} partitions from {} producers", found.acknowledged, facts.slots(),
         facts.producers);
  } else {
    auto broken = std::ranges::count_if(found.verdicts, [](const verdict& v) { return v.violations > 0; });
    line("FAILED: {}",
         broken == 0 ? missing : fmt::format("{} of {} invariants are violated", broken, invariant_count));
    line("        what was acknowledged is in {}/ledger.db; `yaks oracle --verify-only {}` reads and checks it again",
         figures.data_dir, figures.data_dir);
  }
  return text;
}

std::string json_report(const run_facts& facts, const findings& found, const run_figures& figures) {
  nlohmann::ordered_json out;
  out["ok"] = passed(facts, found, figures);
  out["records_verified"] = out["ok"] ? found.acknowledged : 0;
  out["topic_prefix"] = facts.topic_prefix;
  out["seed"] = facts.seed;
  out["topics"] = facts.topics;
  out["partitions"] = facts.slots();
  out["producers"] = facts.producers;
  out["requested"] = requested(facts);
  out["acknowledged"] = found.acknowledged;
  out["unknown"] = found.unknown;
  out["unknown_found"] = found.unknown_found;
  out["unknown_late"] = found.unknown_late;
  out["not_stored"] = found.not_stored;
  out["without_offset"] = found.without_offset;
  out["repeated"] = found.repeated;
  out["consumed"] = found.consumed;
  out["produce_seconds"] = figures.produce_seconds;
  out["produced_bytes"] = figures.produced_bytes;
  out["consume_seconds"] = figures.consume_seconds;
  out["consumed_bytes"] = figures.consumed_bytes;
  out["interrupted"] = figures.interrupted;
  out["data_dir"] = figures.data_dir;
  out["shortfall"] = shortfall(facts, found, figures);
  out["troubles"] = figures.troubles;
  for (invariant which : all_invariants) {
    const verdict& of = found.of(which);
    nlohmann::ordered_json one{{"name", name_of(which)},
                               {"result", of.violations > 0        ? "fail"
                                          : of.not_checked.empty() ? "pass"
                                                                   : "skip"},
                               {"checked", of.checked},
                               {"violations", of.violations},
                               {"first", of.first}};
    if (!of.not_checked.empty()) one["reason"] = of.not_checked;
    out["invariants"].push_back(std::move(one));
  }
  // Names of topics come from the command line and may be anything.
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}
}  // namespace yaks::oracle

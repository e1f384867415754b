#include "sim/scenario.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <variant>

namespace yaks::sim {
namespace {
enum class kind { count, rate, interval, time, flag };
struct field {
  std::string_view name;
  kind what;
  std::variant<std::uint64_t scenario::*, duration scenario::*, bool scenario::*> where;
};

#define FIELD(kind_of, name) {#name, kind::kind_of, &scenario::name}
const field fields[] = {
    FIELD(count, agents), FIELD(count, idempotent_producers), FIELD(count, plain_producers), FIELD(count, consumers),
    FIELD(count, admins), FIELD(count, tenants), FIELD(count, topics), FIELD(count, partitions), FIELD(count, groups), FIELD(count, members),
    FIELD(count, operations), FIELD(count, seed), FIELD(count, suite_seeds), FIELD(flag, vary), FIELD(flag, peers),
    FIELD(interval, kill), FIELD(interval, stop), FIELD(interval, upgrade), FIELD(interval, pause), FIELD(interval, cut),
    FIELD(interval, half_open), FIELD(interval, slow_link), FIELD(interval, clock_jump), FIELD(interval, log_outage),
    FIELD(interval, objects_outage), FIELD(time, member_change), FIELD(time, member_pause), FIELD(time, pause_most), FIELD(time, outage_most), FIELD(time, down_most),
    FIELD(time, clock_jump_most), FIELD(rate, kill_at_point), FIELD(rate, put_failed), FIELD(rate, put_slow_down),
    FIELD(rate, put_slow), FIELD(rate, put_lost), FIELD(rate, put_answer_lost), FIELD(rate, put_late),
    FIELD(rate, get_failed), FIELD(rate, get_slow), FIELD(rate, get_corrupt), FIELD(rate, get_truncated),
    FIELD(rate, append_failed), FIELD(rate, append_lost), FIELD(rate, append_answer_lost), FIELD(rate, append_late),
    FIELD(rate, append_twice), FIELD(rate, read_failed), FIELD(rate, log_slow), FIELD(rate, notification_lost),
    FIELD(time, slow_most), FIELD(time, late_most), FIELD(time, flush_interval), FIELD(time, upload_deadline),
    FIELD(time, stale_after), FIELD(time, heartbeat), FIELD(time, lease), FIELD(time, request_timeout),
    FIELD(count, flush_bytes), FIELD(count, buffer_bytes), FIELD(count, cache_bytes), FIELD(count, fetch_bytes),
    FIELD(count, snapshot_entries), FIELD(count, value_bytes), FIELD(time, patience),
    FIELD(time, think), FIELD(count, chunk_ranges), FIELD(count, retention_bytes), FIELD(time, retention_time),
    FIELD(time, retention_interval), FIELD(time, merge_interval), FIELD(time, merge_age), FIELD(count, merge_object_bytes), FIELD(time, delete_grace), FIELD(time, sweep_interval),
    FIELD(time, backfill_age), FIELD(count, backfill_window),
};
#undef FIELD

// FNV-1a: the same with every standard library.
std::uint64_t hash_of(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (unsigned char c : name) h = (h ^ c) * 0x100000001b3;
  return h;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::optional<duration> time(std::string_view text) {
  if (text == "0") return duration(0);
  std::size_t unit = text.find_first_not_of("0123456789");
  if (unit == std::string_view::npos) return std::nullopt;
  auto n = number(text.substr(0, unit));
  if (!n) return std::nullopt;
  if (text.substr(unit) == "ms") return std::chrono::milliseconds(*n);
  if (text.substr(unit) == "s") return std::chrono::seconds(*n);
  if (text.substr(unit) == "min") return std::chrono::minutes(*n);
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

bool assign(scenario& s, const field& f, std::string_view value) {
  switch (f.what) {
    case kind::count:
    case kind::rate: {
      auto n = number(value);
      if (!n || (f.what == kind::rate && *n > 1000)) return false;
      s.*std::get<std::uint64_t scenario::*>(f.where) = *n;
      return true;
    }
    case kind::interval:
    case kind::time: {
      auto t = time(value);
      if (!t) return false;
      s.*std::get<duration scenario::*>(f.where) = *t;
      return true;
    }
    case kind::flag:
      if (value != "yes" && value != "no") return false;
      s.*std::get<bool scenario::*>(f.where) = value == "yes";
      return true;
  }
  return false;
}
}  // namespace

result<scenario, std::string> parse_scenario(std::string_view text) {
  scenario s;
  for (std::size_t line_number = 1; !text.empty(); ++line_number) {
    auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    auto space = line.find_first_of(" \t");
    auto name = line.substr(0, space);
    auto value = space == std::string_view::npos ? std::string_view{} : trimmed(line.substr(space));
    bool known = true, good = !value.empty();
    if (name == "must") {
      s.must.emplace_back(value);
    } else if (name == "bug") {
      s.bug = value;
    } else {
      const field* found = nullptr;
      for (const auto& f : fields)
        if (f.name == name) found = &f;
      known = found != nullptr;
      good = good && known && assign(s, *found, value);
    }
    if (!known) return failure(fmt::format("line {}: there is nothing called '{}' in a scenario", line_number, name));
    if (!good) return failure(fmt::format("line {}: '{}' cannot be the value of {}", line_number, value, name));
  }
  if (s.agents == 0 || s.topics == 0 || s.partitions == 0) return failure(std::string("a scenario has agents, topics and partitions"));
  return s;
}

scenario varied(const scenario& most, simulated_chance& chance) {
  scenario s = most;
  if (!most.vary) return s;
  auto drawn = chance.next();
  for (const auto& f : fields) {
    // By its name: a scenario and a seed mean the same when there are other fields.
    auto dice = simulated_chance(drawn ^ hash_of(f.name)).below(4);
    if (f.what == kind::rate) {
      auto& rate = s.*std::get<std::uint64_t scenario::*>(f.where);
      rate = dice == 0 ? 0 : dice == 1 ? (rate + 3) / 4 : rate;
    } else if (f.what == kind::interval) {
      auto& interval = s.*std::get<duration scenario::*>(f.where);
      interval = dice == 0 ? duration(0) : dice == 1 ? interval * 4 : interval;
    }
  }
  auto either = [&]<class T>(T& value, T other) {
    if (chance.below(3) == 0) value = other;
  };
  either(s.flush_interval, duration(5ms));
  either(s.flush_interval, duration(250ms));
  either(s.flush_bytes, std::uint64_t(4 << 10));
  either(s.cache_bytes, std::uint64_t(32 << 10));
  either(s.snapshot_entries, std::uint64_t(40));
  either(s.buffer_bytes, std::uint64_t(40 << 10));
  either(s.stale_after, duration(2s));
  return s;
}
}  // namespace yaks::sim

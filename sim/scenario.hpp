// What happens in a run: who is there, what goes wrong and how often. A small text file, one `name value` a line, `#` begins a
// comment:
//
//     agents 3
//     kill 4s              # mean time between two of them; 0: never
//     put_late 20          # of 1,000 calls
//     must an append committed after its retry
//
// Rates in the file are the most that a run may have: unless it says `vary no`, the seed decides for each run which faults it
// has and how many, so that runs differ in character.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "runtime/simulated_runtime.hpp"

namespace yaks::sim {
struct scenario {
  // Who is there.
  std::uint64_t agents = 3, idempotent_producers = 3, plain_producers = 2, consumers = 2, admins = 1;
  std::uint64_t tenants = 0;  // who make topics, fill, read, cut and delete them, and make others of the same names
  std::uint64_t topics = 2, partitions = 3;
  std::uint64_t groups = 0, members = 4;  // members: of each
  std::uint64_t operations = 3000;  // of all clients together, until the faults stop
  duration think{};                 // clients rest for up to so long between two requests, besides what else they wait for
  bool peers = false;               // agents give each other what they have cached
  bool vary = true;

  // What happens to processes and connections: mean times between two of a kind.
  duration kill{}, stop{}, pause{}, cut{}, half_open{}, slow_link{}, clock_jump{}, log_outage{}, objects_outage{};
  duration pause_most = 5s, outage_most = 5s, down_most = 2s, clock_jump_most = 600s;
  duration upgrade{};  // of one agent after the other from an older version; 0: all are new
  // An agent's own end at one of the points that its code names (runtime::passing), of 1,000 passages.
  std::uint64_t kill_at_point = 0;

  // What happens to members of groups: they die, leave, stand still.
  duration member_change{}, member_pause = 100ms;  // pause: between two polls

  // What happens to calls, of 1,000.
  std::uint64_t put_failed = 0, put_slow_down = 0, put_slow = 0, put_lost = 0, put_answer_lost = 0, put_late = 0;
  std::uint64_t get_failed = 0, get_slow = 0, get_corrupt = 0, get_truncated = 0;
  std::uint64_t append_failed = 0, append_lost = 0, append_answer_lost = 0, append_late = 0, append_twice = 0;
  std::uint64_t read_failed = 0, log_slow = 0, notification_lost = 0;
  duration slow_most = 3s, late_most = 5s;

  // The agents' settings.
  duration flush_interval = 50ms, upload_deadline = 30s, stale_after = 10s, heartbeat = 1s, lease = 4s, request_timeout = 5s;
  std::uint64_t flush_bytes = 64 << 10, buffer_bytes = 1 << 20, cache_bytes = 1 << 20, fetch_bytes = 4 << 20,
                snapshot_entries = 300, value_bytes = 200, chunk_ranges = 0;  // 0: the default
  // What is not kept. Where there is a sweep_interval, what nobody refers to must be gone in the end.
  std::uint64_t retention_bytes = 0;  // of every second topic; 0: all is kept
  duration retention_time{};          // of the others; 0: all is kept
  duration merge_interval{}, merge_age = 10s;  // 0: nothing is merged
  std::uint64_t merge_object_bytes = 32 << 10;
  duration backfill_age = 60s;  // older objects are read as history, long runs with one GET each
  std::uint64_t backfill_window = 8 << 20;
  duration retention_interval = 5s, delete_grace = 60s, sweep_interval{};

  // How long after the faults everything must have come to its end.
  duration patience = 120s;
  std::uint64_t seed = 0;  // of a past bug: what is run where no other is asked for; 0: none
  std::uint64_t suite_seeds = 0;  // scripts/simulate runs no more of them than this; 0: as many as of the others
  std::vector<std::string> must;  // marks that some run of this scenario has to reach
  std::string bug;                // one that is planted in a store, for tests of the checkers (stores.hpp)
};

// A sentence where the text is no scenario.
result<scenario, std::string> parse_scenario(std::string_view text);
// The scenario of one run.
scenario varied(const scenario& most, simulated_chance& chance);
}  // namespace yaks::sim

// What one agent says of itself to whoever shows the whole cluster: the interface between the dashboard, the peer
// server that serves it to other agents, and the peer client that fetches theirs.
//
//   GET /numbers?step=SECONDS&since=MS&topics=1        200  one JSON object, described in console/README.md
//
// Nobody between the two agents looks into the object: the page in the browser adds them up. So a newer agent may say
// more, and an older one less. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace yaks::console {
inline constexpr std::string_view numbers_path = "/numbers";
// An hour of the finest steps with 200 topics is about 150 KB.
inline constexpr std::uint64_t numbers_bytes_max = 2 << 20;

struct numbers_request {
  unsigned step_s = 5;        // a multiple of 5, at most 60
  std::int64_t since_ms = 0;  // points of the history that end after this wall clock
  bool with_topics = false;   // the busiest ones
  bool operator==(const numbers_request&) const = default;
};
// "step=5&since=0&topics=0"
std::string query_of(const numbers_request& request);
// Nothing where a value is out of range or no number. Names that are not known are ignored.
std::optional<numbers_request> parse_query(std::string_view query);

class agent_numbers {
 public:
  virtual ~agent_numbers() = default;
  // From memory, at once.
  virtual std::string numbers(const numbers_request& request) = 0;
};
}  // namespace yaks::console

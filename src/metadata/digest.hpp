// The digest of a state: the sum, modulo 2^64, of a hash of each item that it holds. Order does not matter, and an item
// that changes costs two hashes. It finds replicas that have drifted apart; it is no defence against an adversary.
#pragma once
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/uuid.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
class item_hash {
 public:
  explicit item_hash(std::string_view kind) { text(kind); }
  item_hash& number(std::uint64_t n) {
    // A multiply and a fold per word (the step of wyhash): no two words cancel.
    auto product = static_cast<unsigned __int128>(value_ ^ n ^ 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
    value_ = std::uint64_t(product) ^ std::uint64_t(product >> 64);
    return *this;
  }
  item_hash& number(std::int64_t n) { return number(std::uint64_t(n)); }
  item_hash& text(std::string_view s) {
    number(std::uint64_t(s.size()));
    for (std::size_t i = 0; i < s.size(); i += 8) {
      std::uint64_t word = 0;
      for (std::size_t j = i; j < s.size() && j < i + 8; ++j) word = word << 8 | std::uint8_t(s[j]);
      number(word);
    }
    return *this;
  }
  item_hash& id(const uuid& u);
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0x2545f4914f6cdd1dull;
};

std::uint64_t hash_of(const topic& t);                          // its name and settings, not its partitions' contents
std::uint64_t hash_of(topic_partition at, const partition& p);  // its watermarks
std::uint64_t hash_of(topic_partition at, const range& r);
std::uint64_t hash_of(topic_partition at, producer_id id, const producer_state& p);
std::uint64_t hash_of(object_number number, const object& o);
std::uint64_t hash_of_released(object_number number, const object& o);
std::uint64_t hash_of_trim(topic_partition at, offset to);
std::uint64_t hash_of_drop(topic_id id);
std::uint64_t hash_of_format(std::uint32_t enabled);
std::uint64_t hash_of_merge(object_number number, const std::vector<merged_part>& parts);
std::uint64_t hash_of(const upkeep_term& t);
std::uint64_t hash_of(std::string_view group, topic_partition at, const committed_offset& o);
std::uint64_t hash_of(std::string_view group, const config_values& set);
std::uint64_t hash_of(incarnation id, const agent& a);
std::uint64_t hash_of(const std::pair<std::string, std::uint16_t>& address, node_id broker);
std::uint64_t hash_of(std::pair<node_id, std::uint32_t> agent_thread, log_sequence came_or_went);
std::uint64_t hash_of_counters(producer_id next_producer, object_number next_object);
}  // namespace yaks::metadata

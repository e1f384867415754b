#include "membership/routing.hpp"

#include "base/check.hpp"
#include "base/endian.hpp"

namespace yaks::membership {
namespace {
// The finaliser of splitmix64: every bit of the input moves every bit of the output.
std::uint64_t mix(std::uint64_t n) {
  n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ull;
  n = (n ^ n >> 27) * 0x94d049bb133111ebull;
  return n ^ n >> 31;
}
}  // namespace

std::vector<broker> within_zone(std::span<const broker> all, std::string_view zone) {
  std::vector<broker> found;
  if (!zone.empty())
    for (const auto& b : all)
      if (b.zone == zone) found.push_back(b);
  if (found.empty()) found.assign(all.begin(), all.end());
  return found;
}

const broker& favourite(std::span<const broker> among, std::uint64_t key) {
  YAKS_CHECK(!among.empty(), "an agent knows at least itself");
  const broker* best = nullptr;
  std::uint64_t best_score = 0;
  for (const auto& b : among) {
    auto score = mix(key ^ mix(std::uint64_t(b.id.value()) + 0x9e3779b97f4a7c15ull));
    if (!best || score > best_score) best = &b, best_score = score;
  }
  return *best;
}

std::uint64_t routing_key(topic_partition p) {
  const auto& id = p.topic.value().bytes;
  return mix(load_big_endian<std::uint64_t>(id.data()) ^ mix(load_big_endian<std::uint64_t>(id.data() + 8) + std::uint64_t(p.partition.value())));
}

std::uint64_t routing_key(std::string_view group) {
  std::uint64_t key = 0xcbf29ce484222325ull;  // FNV-1a
  for (char c : group) key = (key ^ std::uint8_t(c)) * 0x100000001b3ull;
  return mix(key);
}

std::string_view zone_of_client(std::string_view client_id) {
  constexpr std::string_view name = "yaks_az=";
  auto at = client_id.find(name);
  if (at == std::string_view::npos) return {};
  auto zone = client_id.substr(at + name.size());
  return zone.substr(0, zone.find_first_of(" ,;&"));
}
}  // namespace yaks::membership

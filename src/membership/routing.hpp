// Which agent a client is sent to. Any agent serves everything; that each partition has a favourite makes caches effective.
//
// Rendezvous hashing (Thaler and Ravishankar, 1998): each broker gets a score for each partition, the highest wins. A broker
// that comes takes its share from all others, one that goes gives its own to all others, and nothing else moves. Pure.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.hpp"

namespace yaks::membership {
struct broker {
  node_id id;
  std::string host;
  std::uint16_t port = 0;
  std::string zone;
  bool operator==(const broker&) const = default;
};

// The brokers of `zone`, or all where it is "" or nobody is in it.
std::vector<broker> within_zone(std::span<const broker> all, std::string_view zone);
// There must be one.
const broker& favourite(std::span<const broker> among, std::uint64_t key);
std::uint64_t routing_key(topic_partition partition);
std::uint64_t routing_key(std::string_view group);
// The zone that a client names in its client id: "app yaks_az=eu-1a" is in "eu-1a"; "" where it names none.
std::string_view zone_of_client(std::string_view client_id);
}  // namespace yaks::membership

// Answers other agents: what they ask for from memory, or from the object store. On the agent's executor only.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "metrics/registry.hpp"
#include "net/http_server.hpp"
#include "peers/protocol.hpp"

namespace yaks::peers {
class peer_server {
 public:
  // More bytes than this in answers that are not sent yet are refused: whoever asks has the object store.
  static constexpr std::uint64_t held_bytes_max = std::uint64_t(128) << 20;
  peer_server(range_source& from, std::string secret, metrics::registry& metrics);
  // Another page that agents show each other, for those who know the secret.
  void add(std::string path, http::handler page) { pages_.emplace(std::move(path), std::move(page)); }
  // For http::server; the settings go with it.
  http::server_response answer(const http::server_request& request);
  static http::server_settings settings();

 private:
  http::server_response send(std::vector<shared_bytes> bytes, std::shared_ptr<void> keep);
  range_source& from_;
  std::map<std::string, http::handler, std::less<>> pages_;
  std::string secret_;
  std::shared_ptr<std::uint64_t> held_;  // shared with answers, which may end after this
  metrics::counter &served_, &served_bytes_, &refused_, &strangers_;
};
}  // namespace yaks::peers

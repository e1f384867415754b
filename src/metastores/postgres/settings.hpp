// Where the PostgreSQL of the metadata log is, and how patient we are with it.
#pragma once
#include <cstdint>
#include <string>

#include "runtime/runtime.hpp"

namespace yaks::metastores {
struct postgres_settings {
  std::string host =
      "localhost";  // a name, an address, a list "a,b" of which the writable one is used, or a socket's folder
  std::uint16_t port = 5432;
  std::string user, password, database;
  std::string sslmode = "disable";  // libpq's word
  bool run_migrations = false;

  duration connect_timeout = 5s;                 // one attempt
  duration open_patience = 5s;                   // open() tries that long while the server is away or starting
  duration call_patience = 2s;                   // a call waits that long for a connection, then it is `unavailable`
  duration retry_first = 50ms, retry_most = 1s;  // between attempts, with full jitter
  // A server that has vanished (no FIN, no RST) is noticed after about this time, idle or not.
  duration dead_after = 20s;
  // The time whose entries share a notification: this for each live agent, within these limits.
  duration notify_per_agent = 500us, notify_interval = 2ms, notify_interval_most = 50ms;
};
}  // namespace yaks::metastores

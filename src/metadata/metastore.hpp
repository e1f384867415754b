// What holds the metadata log, and the little else that agents must agree on before they can read it.
#pragma once
#include <memory>
#include <stdexcept>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "metadata/commands.hpp"
#include "metadata/log_store.hpp"
#include "metadata/range_index.hpp"
#include "metadata/read_model.hpp"
#include "model/ids.hpp"

namespace yaks::metadata {
// Opening failed for a reason that an operator must remove; what() is a sentence that says how.
struct metastore_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What an agent says of itself when it renews its lease: for the others, and for people who look into the table.
struct lease {
  incarnation who;
  register_agent what;
  log_sequence applied;  // it has read the log so far, and nothing in it still reads what an earlier state said
};

// Where a snapshot of the state lies in the object store.
struct snapshot_record {
  log_position at;
  std::string key;
  std::uint64_t bytes = 0;
  std::uint64_t digest = 0;  // of the state in it
  bool operator==(const snapshot_record&) const = default;
};

class metastore {
 public:
  virtual ~metastore() = default;
  // Connects, checks the schema (applies migrations where the settings ask for it) and reads the cluster id. Throws
  // metastore_error. Called once, before anything else.
  virtual awaitable<void> open() = 0;
  // Made by the first migration, the same for ever: 22 characters of URL-safe base64, as Kafka's.
  virtual const std::string& cluster_id() const = 0;
  // What agents of this log show each other; made once by the first that opens the store. Empty where only one process can
  // be here. Not to be logged.
  virtual const std::string& peer_secret() const = 0;
  // Takes the node id for this process, waiting at most `patience` for a holder that is dying; throws metastore_error
  // that names the holder where it stays taken. The hold ends with the process (session lock, file lock).
  virtual awaitable<void> hold_node_id(node_id id, duration patience) = 0;
  // False after the hold was lost (its session broke) and somebody else has it now. Stores re-take it by themselves.
  virtual bool holds_node_id() const = 0;
  // The node ids that are held at this moment, by whomever. An agent's is missing from the moment when its process died, long before
  // its lease lapses; and for a while after its session broke, so that this is a reason to look elsewhere, not to fence.
  virtual awaitable<result<std::set<node_id>, log_error>> held_node_ids() = 0;
  virtual log_store& log() = 0;
  // Renews this agent's lease for `ttl` and answers whose leases are live, by the store's clock, this one's included. An
  // agent whose lease lapses is dead to the others; one that only lost its way renews, or finds itself fenced.
  virtual awaitable<result<std::vector<incarnation>, log_error>> renew_lease(lease mine, duration ttl) = 0;
  // How far each agent has reported to have read the log (lease::applied), those whose leases have lapsed included.
  virtual awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, log_error>> reports() = 0;
  // Gives the lease back, at a clean end. What goes wrong is left to the clock.
  virtual awaitable<void> end_lease(incarnation who) = 0;
  // The newest snapshots, newest first, at most two.
  virtual awaitable<result<std::vector<snapshot_record>, log_error>> snapshots() = 0;
  // Adds one whose object is stored, unless there is one as new. Only the newest two are kept, and the log is trimmed up to
  // the older of them: whoever reads the newest, and finds it damaged, still has the one before and all that follows it.
  // Answers the keys of those that are not kept: their objects may go.
  virtual awaitable<result<std::vector<std::string>, log_error>> add_snapshot(snapshot_record made) = 0;
  virtual range_index& index() = 0;
  virtual metadata::read_model& read_model() = 0;
  // Where the data lies, for people: "PostgreSQL testdb at localhost:5432", "SQLite file ./yaks-data/metadata.db".
  virtual std::string description() const = 0;
  // Ends background tasks and connections. Nothing may be outstanding.
  virtual awaitable<void> close() = 0;
};
}  // namespace yaks::metadata

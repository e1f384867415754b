// Answers fetches, without knowing the wire: from the state machine (what is where), the block cache and the object
// store (the bytes), and long polls in between. On the agent's executor only.
//
// Limits are Kafka's (KIP-74): the first batch of the first partition that has data is returned even if it is larger
// than the limits; every later partition gets what the remaining budget has room for. Batches are whole, also the first
// one when the fetch offset lies inside it: clients skip what they did not ask for.
#pragma once
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "fetch/byte_budget.hpp"
#include "fetch/index_reader.hpp"
#include "fetch/range_reader.hpp"
#include "fetch/waiters.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"
#include "runtime/turnstile.hpp"

namespace yaks::fetch {
enum class fetch_error {
  none,
  unknown_topic_or_partition,
  offset_out_of_range,
  storage,  // the bytes cannot be read now, or this agent has not heard from the log for too long: retriable
};

struct partition_fetch {
  topic_partition where;
  offset from;
  std::uint32_t bytes_max = 0;
};

struct fetch_request {
  std::vector<partition_fetch> partitions;  // in the client's order
  std::uint32_t bytes_min = 1, bytes_max = 0;
  duration wait_max{};
  // Where answers leave in an order: memory is taken when this turn comes, and the turn is passed then.
  turnstile::turn* memory_turn = nullptr;
};

struct partition_data {
  fetch_error error = fetch_error::none;
  offset high_watermark{-1}, last_stable_offset{-1}, log_start{-1};
  std::vector<shared_bytes> batches;  // slices of the cache's memory, ready to be sent
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  // Where the batches end, and the newest timestamp in the last of them.
  offset end{-1};
  timestamp_ms newest = no_timestamp;
};

struct fetch_result {
  std::vector<partition_data> partitions;  // in the request's order
  byte_budget::lease lease;                // keep it until the answer is sent
};

class fetcher {
 public:
  fetcher(runtime& rt, metadata::replica& log, range_reader& reader, index_reader& index, waiters& waiting,
          byte_budget& memory, std::uint32_t response_bytes_max);
  awaitable<fetch_result> fetch(fetch_request request);

 private:
  struct survey {  // what the state says of a request
    std::vector<partition_data> partitions;
    std::uint64_t bytes = 0;  // that could be returned, not counting limits
    bool has_error = false;
    bool is_denial = false;  // an error that a newer state might not give
  };
  survey look(const fetch_request& request) const;
  // `is_gone`: set where an object or a chunk of the index was not where this agent's state said: it may be behind.
  awaitable<fetch_result> read(fetch_request request, survey seen, bool& is_gone);

  runtime& rt_;
  metadata::replica& log_;
  range_reader& reader_;
  index_reader& index_;
  waiters& waiting_;
  byte_budget& memory_;
  std::uint32_t response_bytes_max_;
};
}  // namespace yaks::fetch

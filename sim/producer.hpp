// A producer of a simulated world: acks all, several requests in flight, and the retries of real ones.
//
//   queue of a partition   batches in the order of their records: waiting, in flight, or to be sent again
//   idempotent             a producer id and sequences: what is sent again is stored once, in order
//   plain                  what is sent again may be stored again; some of what surely failed is given up
//
// Two manners of sending again, by seed: only the first batch of the queue, until it is stored (the Java client), or all of
// them in order as soon as nothing is in flight (librdkafka). Now and then a producer begins anew, as an application that
// restarts, and leaves what it had sent to its fate.
#pragma once
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "records/batch.hpp"
#include "sim/client.hpp"

namespace yaks::sim {
class producer : public client {
 public:
  producer(client_world& all, std::string name, bool idempotent);
  // Until the world stops and everything is acknowledged.
  awaitable<void> run();

 private:
  struct batch {
    std::vector<record_name> records;
    std::vector<std::byte> bytes;
    std::int32_t base_sequence = -1;
    bool is_proved = false;  // a later one of its producer has been acknowledged
    unsigned sends = 0;
    bool in_flight = false, may_be_stored = false;
  };
  struct slot {
    std::string topic;
    std::int32_t partition = 0;
    topic_partition where;
    std::deque<std::shared_ptr<batch>> queue;  // shared with the requests that they travel in
    std::int32_t next_sequence = 0;
    std::int32_t at_broker = -1;  // where its batches in flight are
    std::size_t in_flight = 0;
    time_point not_before{};
  };
  struct request {
    std::shared_ptr<connection> over;
    std::vector<std::pair<slot*, std::shared_ptr<batch>>> batches;
    std::uint64_t session = 0;
  };
  awaitable<bool> begin_session();
  void begin_slots();
  void make_batch(slot& s);
  std::shared_ptr<batch> next_of(slot& s, std::int32_t leader);
  awaitable<bool> send_some();
  awaitable<void> exchange(request r, std::shared_ptr<connection::waiting> sent);
  void take_answer(slot& s, const std::shared_ptr<batch>& b, wire::error_code code, std::int64_t base_offset);
  void remove(slot& s, const std::shared_ptr<batch>& b);
  std::size_t unsent() const;
  bool is_idle() const;

  bool idempotent_, resends_all_;
  std::uint64_t in_flight_max_, queue_max_;
  duration think_most_;
  records::compression_type compression_;
  std::uint64_t incarnation_ = 0;  // counts sessions: answers of an older one mean nothing any more
  std::uint32_t session_ = 0;
  producer_id id_ = no_producer;
  std::int16_t epoch_ = -1;
  std::deque<slot> slots_;
  std::map<std::int32_t, std::size_t> requests_in_flight_;  // per broker
  bool metadata_are_stale_ = true;
  event changed_;
};
}  // namespace yaks::sim

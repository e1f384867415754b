#include "sim/tenant.hpp"

#include <fmt/format.h>

#include "records/builder.hpp"

namespace yaks::sim {
using wire::error_code;

std::vector<std::byte> tenant::make_batch(std::uint32_t session, topic_partition where,
                                          std::vector<record_name>& names) {
  records::batch_builder builder(records::batch_settings{});
  for (auto n = 1 + below(5); n > 0; --n) {
    names.push_back(all_.check.send(session, where));
    builder.add(all_.rt.wall_clock(), std::nullopt, value_of(names.back(), 1 + below(2 * all_.w.what.value_bytes)));
  }
  return builder.build();
}

namespace {
wire::produce_request request_of(const std::string& topic, std::int32_t partition,
                                 const std::vector<std::byte>& batch) {
  wire::produce_request request{.acks = -1, .timeout_ms = 5000};
  request.topic_data.push_back({.name = topic});
  request.topic_data.back().partition_data.push_back({partition, wire::blob{batch}});
  return request;
}

const wire::produce_response::topic_entry::partition_entry* only_one_of(
    const std::optional<wire::produce_response>& answer) {
  return answer && answer->responses.size() == 1 && answer->responses[0].partition_responses.size() == 1
             ? &answer->responses[0].partition_responses[0]
             : nullptr;
}
}  // namespace

awaitable<void> tenant::fill(std::string topic) {
  auto session = all_.check.begin_session(false);
  for (auto batches = 1 + below(12); batches > 0; --batches) {
    auto partition = std::int32_t(below(std::uint64_t(partitions_)));
    std::vector<record_name> names;
    auto batch = make_batch(session, {id_, partition_index(partition)}, names);
    for (bool again = false;; again = true) {
      if (again) {
        co_await back_off();
        (void)co_await refresh({topic});
        for (auto name : names) all_.check.sent_again(name);
      }
      // A broker that is behind may know an older topic of that name, with fewer.
      const auto* known = find(topic, partition);
      auto over = known ? co_await to(known->leader) : nullptr;
      if (!over) {
        if (any_ && one_of(2)) any_->close();
        continue;
      }
      auto answer = co_await over->ask(9, request_of(topic, partition, batch), 7s);
      const auto* said = only_one_of(answer);
      if (!said) {
        is_clean_ = false;
        continue;
      }
      all_.did_one();
      if (said->error_code == error_code::none) {
        for (std::size_t i = 0; i < names.size(); ++i)
          all_.check.acknowledged(names[i], said->base_offset + std::int64_t(i));
        break;
      }
      // It may still be stored.
      if (said->error_code == error_code::request_timed_out) is_clean_ = false;
      if (!wire::is_retriable(said->error_code) || said->error_code == error_code::unknown_topic_or_partition)
        all_.w.violation(fmt::format("wrong answer: {} produces to {}, which is there, and is answered with {}", name_,
                                     topic, wire::name(said->error_code)));
    }
    co_await all_.think();
  }
}

awaitable<void> tenant::last_words(std::string topic, std::uint32_t session) {
  struct counted {
    tenant& self;
    explicit counted(tenant& of) : self(of) { ++self.speaking_; }
    ~counted() {
      --self.speaking_;
      self.spoken_.notify_all();
    }
  } here(*this);
  auto partition = std::int32_t(below(std::uint64_t(partitions_)));
  const auto* known = find(topic, partition);
  if (!known) co_return;
  auto leader = known->leader;
  std::vector<record_name> names;
  auto batch = make_batch(session, {id_, partition_index(partition)}, names);
  auto over = co_await to(leader);
  if (!over) co_return;
  auto answer = co_await over->ask(9, request_of(topic, partition, batch), 7s);
  const auto* said = only_one_of(answer);
  if (!said || said->error_code == error_code::request_timed_out) {
    is_clean_ = false;
    co_return;
  }
  all_.did_one();
  if (said->error_code == error_code::none)
    for (std::size_t i = 0; i < names.size(); ++i)
      all_.check.acknowledged(names[i], said->base_offset + std::int64_t(i));
  else if (said->error_code == error_code::unknown_topic_or_partition)
    all_.w.reached("a produce that found its topic deleted");
  else if (!wire::is_retriable(said->error_code))
    all_.w.violation(fmt::format("wrong answer: {} produces to {} and is answered with {}", name_, topic,
                                 wire::name(said->error_code)));
}

awaitable<void> tenant::cut(std::string topic, bool is_ours) {
  const auto* known = find(topic, std::int32_t(below(std::uint64_t(std::max(partitions(topic), 1)))));
  if (!known) co_return;
  auto where = known->where;
  if (is_ours) where.topic = id_;
  if (is_ours && where.partition.value() >= partitions_) co_return;
  auto start = all_.check.log_start(where), end = all_.check.end_known(where);
  // Also what is cut off already, and all there is.
  auto to = one_of(8)   ? -1
            : one_of(8) ? 0
                        : start + std::int64_t(below(std::uint64_t(std::max<std::int64_t>(end - start, 0)) + 1));
  for (;;) {
    auto c = co_await to_any();
    if (c) {
      wire::delete_records_request request{.timeout_ms = 5000};
      request.topics.push_back({.name = topic});
      request.topics.back().partitions.push_back({.partition_index = where.partition.value(), .offset = to});
      auto answer = co_await c->ask(2, request, 8s);
      if (!answer || answer->topics.size() != 1 || answer->topics[0].partitions.size() != 1) {
        is_clean_ = false;
      } else {
        all_.did_one();
        const auto& said = answer->topics[0].partitions[0];
        if (said.error_code == error_code::none) {
          all_.w.reached("records deleted by an administrator");
          auto least = to < 0 ? end : to;
          if (said.low_watermark < least)
            all_.w.violation(
                fmt::format("wrong answer: {} deletes records of {} up to {} and is told that it begins at {}", name_,
                            topic, least, said.low_watermark));
          all_.check.told_start(c->host(), where, said.low_watermark, 0);
          co_return;
        }
        if (said.error_code == error_code::request_timed_out)
          is_clean_ = false;
        else if (!wire::is_retriable(said.error_code) || said.error_code == error_code::unknown_topic_or_partition)
          all_.w.violation(fmt::format("wrong answer: {} deletes records of {} up to {} and is answered with {}", name_,
                                       topic, to, wire::name(said.error_code)));
      }
    }
    co_await back_off();
    if (any_ && one_of(2)) any_->close();
  }
}

awaitable<void> tenant::run() {
  for (std::uint64_t made = 0; !all_.stopping;) {
    // Names come again; but not where a request for the topic may still be on its way.
    auto topic = fmt::format("{}-{}", name_, made);
    is_clean_ = true;
    std::map<std::string, std::string> configs;
    if (one_of(2)) configs["retention.ms"] = std::to_string(1000 + below(20'000));
    if (one_of(2)) configs["retention.bytes"] = std::to_string(below(20'000));
    partitions_ = 1 + std::int32_t(below(3));
    bool clean = co_await make_topic(topic, partitions_, configs);
    // A broker that is behind may still know the one before, as in Kafka.
    while (!co_await refresh({topic}) || all_.check.was_given(find(topic, 0)->where.topic)) {
      co_await back_off();
      if (any_ && one_of(2)) any_->close();
    }
    id_ = find(topic, 0)->where.topic;
    all_.check.topic_id_given(id_);
    all_.w.note(topic + " is made");
    for (auto rounds = 1 + below(3); rounds > 0; --rounds) {
      co_await fill(topic);
      if (one_of(2)) co_await cut(topic, true);
      if (one_of(2)) co_await reader_.read_to_end(topic, id_);
      if (one_of(3)) {
        const auto& other = all_.topics[below(all_.topics.size())];
        if (co_await refresh({other})) {
          bool was_clean = is_clean_;
          co_await cut(other, false);
          is_clean_ = was_clean;
        }
        while (!co_await refresh({topic})) co_await back_off();
      }
      co_await all_.think();
    }
    auto session = all_.check.begin_session(false);
    for (auto words = below(3); words > 0; --words) all_.tasks.spawn(last_words(topic, session));
    all_.w.note(topic + " is to go");
    clean = co_await delete_topic(topic) && clean;
    all_.w.note(topic + " is gone");
    while (speaking_ > 0) co_await spoken_.wait();
    forget(topic);
    if (clean && is_clean_)
      all_.w.reached("a topic's name used again");
    else
      ++made;
    co_await all_.think();
  }
  reader_.close();
  close();
}
}  // namespace yaks::sim

#include "sim/admin.hpp"

#include <fmt/format.h>

namespace yaks::sim {
using wire::error_code;

awaitable<bool> admin::make_topic(std::string name, std::int32_t partitions, std::map<std::string, std::string> configs) {
  bool again = false;
  for (;; again = true) {
    if (again) co_await back_off();
    auto c = co_await to_any();
    if (!c) continue;
    wire::create_topics_request request{.timeout_ms = 5000};
    request.topics.push_back({.name = name, .num_partitions = partitions, .replication_factor = 1});
    for (const auto& [key, value] : configs) request.topics.back().configs.push_back({.name = key, .value = value});
    auto answer = co_await c->ask(7, request, 8s);
    if (!answer || answer->topics.size() != 1) continue;
    all_.did_one();
    auto code = answer->topics[0].error_code;
    // "Exists" may be the first attempt, whose answer was lost.
    if (code == error_code::none || (again && code == error_code::topic_already_exists)) break;
    if (code == error_code::topic_already_exists)
      all_.w.violation(fmt::format("wrong denial: topic {} is said to exist, and nobody has made it", name));
    else if (code != error_code::request_timed_out && !wire::is_retriable(code))
      all_.w.violation(fmt::format("wrong answer: making topic {} is answered with {}", name, wire::name(code)));
  }
  all_.check.topic_made(name, partitions);
  co_return !again;
}

awaitable<bool> admin::delete_topic(std::string name) {
  all_.check.topic_deleted(name);  // from now on nobody is promised that it is there
  bool again = false;
  for (;; again = true) {
    if (again) co_await back_off();
    auto c = co_await to_any();
    if (!c) continue;
    wire::delete_topics_request request{.timeout_ms = 5000};
    request.topic_names.push_back(name);
    auto answer = co_await c->ask(4, request, 8s);
    if (!answer || answer->responses.size() != 1) continue;
    all_.did_one();
    auto code = answer->responses[0].error_code;
    if (code == error_code::none || (again && code == error_code::unknown_topic_or_partition)) break;
    if (code == error_code::unknown_topic_or_partition)
      all_.w.violation(fmt::format("unseen: topic {} cannot be deleted, it is said not to be there", name));
    else if (code != error_code::request_timed_out && !wire::is_retriable(code))
      all_.w.violation(fmt::format("wrong answer: deleting topic {} is answered with {}", name, wire::name(code)));
  }
  co_return !again;
}

// Whatever broker answers: it must know. One that cannot know says so, and is asked again.
awaitable<void> admin::look_for(std::string name, bool is_there) {
  for (;;) {
    if (any_) any_->close();  // another broker
    auto c = co_await to_any();
    if (c) {
      wire::metadata_request request{.allow_auto_topic_creation = false};
      request.topics.emplace().push_back({.name = name});
      if (all_.is_behind(c->host())) all_.w.reached("a broker asked for what it has not heard of yet");
      auto answer = co_await c->ask(12, request, 4s);
      if (answer && answer->topics.size() == 1) {
        all_.did_one();
        auto code = answer->topics[0].error_code;
        if (code == error_code::none || code == error_code::unknown_topic_or_partition) {
          if ((code == error_code::none) != is_there)
            all_.w.violation(fmt::format("unseen: topic {} was {} before, and a broker that is asked says otherwise", name, is_there ? "made" : "deleted"));
          co_return;
        }
      }
    }
    co_await back_off();
  }
}

awaitable<void> admin::use(std::string name) {
  for (;;) {
    if (any_) any_->close();  // another broker
    auto c = co_await to_any();
    if (c) {
      std::optional<error_code> code;
      if (one_of(2)) {
        wire::offset_commit_request request{.group_id = name_};
        request.topics.push_back({.name = name, .partitions = {{.partition_index = 0, .committed_offset = 1}}});
        auto answer = co_await c->ask(8, request, 12s);
        if (answer && answer->topics.size() == 1 && answer->topics[0].partitions.size() == 1) code = answer->topics[0].partitions[0].error_code;
      } else {
        constexpr std::int8_t a_topic = 2;
        wire::incremental_alter_configs_request request;
        request.resources.push_back({.resource_type = a_topic, .resource_name = name, .configs = {{.name = "segment.ms", .value = "7000"}}});
        auto answer = co_await c->ask(1, request, 12s);
        if (answer && answer->responses.size() == 1) code = answer->responses[0].error_code;
      }
      if (code) {
        all_.did_one();
        if (*code == error_code::none) co_return;
        if (*code == error_code::unknown_topic_or_partition)
          all_.w.violation(fmt::format("unseen: topic {} was made before, and what is asked for by its name is refused", name));
        else if (*code != error_code::request_timed_out && !wire::is_retriable(*code))
          all_.w.violation(fmt::format("wrong answer: what is asked for by the name of topic {} is answered with {}", name, wire::name(*code)));
      }
    }
    co_await back_off();
  }
}

awaitable<void> admin::run() {
  while (!all_.stopping) {
    // Names come again, their topics do not; but where a request was repeated, an older one may still arrive, as in Kafka.
    auto name = fmt::format("{}-{}", name_, made_);
    bool clean = co_await make_topic(name, 1 + std::int32_t(below(3)));
    if (one_of(2))
      co_await look_for(name, true);
    else
      co_await use(name);
    co_await all_.rt.sleep_for(all_.w.time.chance.between(0ms, 1s));
    clean = co_await delete_topic(name) && clean;
    if (clean) all_.w.reached("a topic's name used again");
    if (!clean) ++made_;
    // A stale agent may be asked: it must not deny what it has not heard of, but it may still show what is gone, as in Kafka.
    co_await all_.rt.sleep_for(all_.w.time.chance.between(0ms, 300ms));
  }
  close();
}
}  // namespace yaks::sim

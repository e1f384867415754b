// DeleteTopics (20): by name in topic_names, from version 6 on by name or id in topics (KIP-516).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct delete_topics_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::delete_topics;
  static constexpr versions valid{1, 6}, flexible = since(4);

  struct topic_entry {
    static constexpr bool is_described = true;

    std::optional<std::string_view> name;
    uuid topic_id;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("TopicId", m.topic_id);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::vector<topic_entry> topics;
  std::vector<std::string_view> topic_names;
  std::int32_t timeout_ms = 0;

  static constexpr void describe(auto& m, auto& field) {
    field("Topics", m.topics, {.in = since(6)});
    field("TopicNames", m.topic_names, {.in = until(5)});
    field("TimeoutMs", m.timeout_ms);
  }
  bool operator==(const delete_topics_request&) const = default;
};

struct delete_topics_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::delete_topics;
  static constexpr versions valid{1, 6}, flexible = since(4);

  struct topic_entry {
    static constexpr bool is_described = true;

    std::optional<std::string> name;
    uuid topic_id;
    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name, {.null = since(6)});
      field("TopicId", m.topic_id, {.in = since(6)});
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message, {.in = since(5)});
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> responses;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Responses", m.responses);
  }
  bool operator==(const delete_topics_response&) const = default;
};

}  // namespace yaks::wire

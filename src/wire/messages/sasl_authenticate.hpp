// SaslAuthenticate (36): one step of the mechanism that a SaslHandshake has agreed on (KIP-152, KIP-368).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct sasl_authenticate_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::sasl_authenticate;
  static constexpr versions valid{0, 2}, flexible = since(2);

  octets_view auth_bytes;

  static constexpr void describe(auto& m, auto& field) { field("AuthBytes", m.auth_bytes); }
  bool operator==(const sasl_authenticate_request&) const = default;
};

struct sasl_authenticate_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::sasl_authenticate;
  static constexpr versions valid{0, 2}, flexible = since(2);

  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  octets auth_bytes;
  std::int64_t session_lifetime_ms = 0;

  static constexpr void describe(auto& m, auto& field) {
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("AuthBytes", m.auth_bytes);
    field("SessionLifetimeMs", m.session_lifetime_ms, {.in = since(1)});
  }
  bool operator==(const sasl_authenticate_response&) const = default;
};

}  // namespace yaks::wire

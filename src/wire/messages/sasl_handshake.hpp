// SaslHandshake (17): by which mechanism a client wants to authenticate; the answer names those that there are (KIP-43, KIP-152).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct sasl_handshake_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::sasl_handshake;
  static constexpr versions valid{0, 1}, flexible = never;

  std::string_view mechanism;

  static constexpr void describe(auto& m, auto& field) { field("Mechanism", m.mechanism); }
  bool operator==(const sasl_handshake_request&) const = default;
};

struct sasl_handshake_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::sasl_handshake;
  static constexpr versions valid{0, 1}, flexible = never;

  wire::error_code error_code = wire::error_code::none;
  std::vector<std::string> mechanisms;

  static constexpr void describe(auto& m, auto& field) {
    field("ErrorCode", m.error_code);
    field("Mechanisms", m.mechanisms);
  }
  bool operator==(const sasl_handshake_response&) const = default;
};

}  // namespace yaks::wire

// DescribeUserScramCredentials (50): which users have a password, of which mechanism and iterations (KIP-554). users =
// null asks for all.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_user_scram_credentials_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_user_scram_credentials;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct user_name {
    static constexpr bool is_described = true;

    std::string_view name;

    static constexpr void describe(auto& m, auto& field) { field("Name", m.name); }
    bool operator==(const user_name&) const = default;
  };

  std::optional<std::vector<user_name>> users;

  static constexpr void describe(auto& m, auto& field) { field("Users", m.users); }
  bool operator==(const describe_user_scram_credentials_request&) const = default;
};

struct describe_user_scram_credentials_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_user_scram_credentials;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct result {
    static constexpr bool is_described = true;

    struct credential {
      static constexpr bool is_described = true;

      std::int8_t mechanism = 0;
      std::int32_t iterations = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("Mechanism", m.mechanism);
        field("Iterations", m.iterations);
      }
      bool operator==(const credential&) const = default;
    };

    std::string user;
    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;
    std::vector<credential> credential_infos;

    static constexpr void describe(auto& m, auto& field) {
      field("User", m.user);
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
      field("CredentialInfos", m.credential_infos);
    }
    bool operator==(const result&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::vector<result> results;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("Results", m.results);
  }
  bool operator==(const describe_user_scram_credentials_response&) const = default;
};

}  // namespace yaks::wire

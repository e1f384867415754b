// Goal: no description differs from Kafka's own field lists. Method: both are brought into one form and compared for
// every valid version, field by field: names, order, types, who may be null, tags, defaults. Kafka's lists (the JSON
// files of clients/src/main/resources/common/message, without comments) are not part of this project: the test takes
// them from YAKS_KAFKA_MESSAGES_DIR or from beside the checkout, and says so when they are not there.
#include <gtest/gtest.h>

#include <boost/json/src.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "wire/wire_testing.hpp"

namespace yaks::wire {
namespace {
namespace json = boost::json;

struct field_spec {
  std::string name;
  std::string type;  // of Kafka's list, structs as "struct": "int32", "[]struct"
  versions in, null;
  int tag = -1;
  bool never_compact = false;
  std::optional<std::string> default_value;  // not compared when absent
  std::vector<field_spec> fields;
};

// ---- ours ----

template <class T>
struct type_name;
template <>
struct type_name<bool> {
  static std::string get() { return "bool"; }
};
template <>
struct type_name<std::int8_t> {
  static std::string get() { return "int8"; }
};
template <>
struct type_name<std::int16_t> {
  static std::string get() { return "int16"; }
};
template <>
struct type_name<std::uint16_t> {
  static std::string get() { return "uint16"; }
};
template <>
struct type_name<double> {
  static std::string get() { return "float64"; }
};
template <>
struct type_name<std::int32_t> {
  static std::string get() { return "int32"; }
};
template <>
struct type_name<std::int64_t> {
  static std::string get() { return "int64"; }
};
template <>
struct type_name<error_code> {
  static std::string get() { return "int16"; }
};
template <>
struct type_name<uuid> {
  static std::string get() { return "uuid"; }
};
template <>
struct type_name<std::string> {
  static std::string get() { return "string"; }
};
template <>
struct type_name<std::string_view> {
  static std::string get() { return "string"; }
};
template <>
struct type_name<blob> {
  static std::string get() { return "records"; }
};
template <>
struct type_name<record_segments> {
  static std::string get() { return "records"; }
};
template <>
struct type_name<octets_view> {
  static std::string get() { return "bytes"; }
};
template <>
struct type_name<octets> {
  static std::string get() { return "bytes"; }
};
template <described T>
struct type_name<T> {
  static std::string get() { return "struct"; }
};
template <class T>
struct type_name<std::vector<T>> {
  static std::string get() { return "[]" + type_name<T>::get(); }
};

template <class T>
struct element {
  using type = T;
};
template <class T>
struct element<std::vector<T>> {
  using type = T;
};
template <class T>
struct strip {
  using type = T;
};
template <class T>
struct strip<std::optional<T>> {
  using type = T;
};

template <class T>
std::optional<std::string> default_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_same_v<T, error_code>)
    return std::to_string(std::int16_t(value));
  else if constexpr (std::is_integral_v<T>)
    return std::to_string(value);
  else if constexpr (std::is_convertible_v<T, std::string_view>)
    return std::string(value);
  else if constexpr (std::is_same_v<T, std::optional<record_segments>>)
    return std::nullopt;  // ours is empty: fetch.hpp
  else if constexpr (requires { value.has_value(); })
    return value ? "a value" : "null";
  else
    return std::nullopt;
}

template <described T>
std::vector<field_spec> our_fields();

struct collector {
  std::vector<field_spec>& fields;
  template <class T>
  void operator()(std::string_view name, const T& value, rules r = {}) {
    using plain = typename strip<T>::type;
    using inner = typename element<plain>::type;
    field_spec spec{std::string(name), type_name<plain>::get(), r.in, std::is_same_v<T, plain> ? never : r.null, r.tag,
                    r.never_compact,   default_of(value),       {}};
    if constexpr (described<inner>) spec.fields = our_fields<inner>();
    fields.push_back(std::move(spec));
  }
};
template <described T>
std::vector<field_spec> our_fields() {
  std::vector<field_spec> fields;
  collector collect{fields};
  T fresh{};
  T::describe(std::as_const(fresh), collect);
  return fields;
}

// ---- Kafka's ----

versions parse_versions(std::string_view text) {
  if (text.empty() || text == "none") return never;
  std::string copy(text);
  auto first = std::int16_t(std::stoi(copy));
  if (copy.back() == '+') return since(first);
  auto dash = copy.find('-');
  return {first, dash == std::string::npos ? first : std::int16_t(std::stoi(copy.substr(dash + 1)))};
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* found = object.if_contains(key);
  if (found == nullptr) return "";
  if (found->is_string()) return std::string(found->as_string());
  std::ostringstream out;
  out << *found;
  return out.str();
}

std::vector<field_spec> kafka_fields(const json::array& list, const json::object& message) {
  std::vector<field_spec> fields;
  for (const auto& item : list) {
    const auto& object = item.as_object();
    field_spec spec{text_of(object, "name"),
                    text_of(object, "type"),
                    parse_versions(text_of(object, "versions")),
                    parse_versions(text_of(object, "nullableVersions")),
                    -1,
                    text_of(object, "flexibleVersions") == "none",
                    std::nullopt,
                    {}};
    if (const auto* tag = object.if_contains("tag")) {
      spec.tag = int(tag->as_int64());
      // A field can be tagged in some versions only; none of ours is.
      EXPECT_EQ(parse_versions(text_of(object, "taggedVersions")), spec.in) << spec.name;
    }
    std::string prefix = spec.type.starts_with("[]") ? "[]" : "";
    auto inner = spec.type.substr(prefix.size());
    bool is_null_by_default = text_of(object, "default") == "null";
    bool is_number = inner.starts_with("int");
    if (std::isupper(inner.front())) {
      spec.type = prefix + "struct";
      if (const auto* own = object.if_contains("fields"))
        spec.fields = kafka_fields(own->as_array(), message);
      else
        for (const auto& common : message.at("commonStructs").as_array())
          if (text_of(common.as_object(), "name") == inner)
            spec.fields = kafka_fields(common.as_object().at("fields").as_array(), message);
      EXPECT_FALSE(spec.fields.empty()) << spec.name;
    } else if (is_null_by_default)
      spec.default_value = "null";
    else if (prefix.empty() && is_number) {
      auto text = text_of(object, "default");
      spec.default_value = text.empty() ? "0" : std::to_string(std::stoll(text, nullptr, 0));
    } else if (prefix.empty() && inner == "bool")
      spec.default_value = text_of(object, "default") == "true" ? "true" : "false";
    else if (prefix.empty() && inner == "string" && spec.null == never)
      spec.default_value = text_of(object, "default");
    fields.push_back(std::move(spec));
  }
  return fields;
}

// ---- compared ----

void expect_same(const std::vector<field_spec>& ours, const std::vector<field_spec>& kafka, std::int16_t version,
                 const std::string& path) {
  auto present = [version](const std::vector<field_spec>& all) {
    std::vector<const field_spec*> fields;
    for (const auto& field : all)
      if (field.in.has(version)) fields.push_back(&field);
    return fields;
  };
  auto left = present(ours), right = present(kafka);
  ASSERT_EQ(left.size(), right.size()) << path << " version " << version;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto &a = *left[i], &b = *right[i];
    SCOPED_TRACE(path + "." + b.name + " version " + std::to_string(version));
    ASSERT_EQ(a.name, b.name);
    ASSERT_EQ(a.type, b.type);
    EXPECT_EQ(a.null.has(version), b.null.has(version)) << "null";
    EXPECT_EQ(a.tag, b.tag);
    EXPECT_EQ(a.never_compact, b.never_compact);
    if (a.default_value && b.default_value) EXPECT_EQ(*a.default_value, *b.default_value) << "default";
    if (b.tag >= 0 && b.type != "struct" && !b.type.starts_with("[]") && b.type != "uuid")
      EXPECT_TRUE(a.default_value && b.default_value) << "the default of a tagged field was not compared";
    expect_same(a.fields, b.fields, version, path + "." + b.name);
  }
}

std::filesystem::path kafka_messages() {
  if (const char* given = std::getenv("YAKS_KAFKA_MESSAGES_DIR")) return given;
  return std::filesystem::path(YAKS_SOURCE_DIR) / "../shared/kafka-protocol/messages";
}

template <message T>
void compare(const std::string& name, std::size_t& versions_compared) {
  SCOPED_TRACE(name);
  std::ifstream file(kafka_messages() / (name + ".json"));
  ASSERT_TRUE(file) << "no field list " << kafka_messages() / (name + ".json");
  std::stringstream text;
  text << file.rdbuf();
  auto parsed = json::parse(text.str());
  const auto& kafka = parsed.as_object();

  auto valid = parse_versions(text_of(kafka, "validVersions"));
  // Version 3 of Fetch is not in Kafka 4 any more (fetch.hpp).
  if (name.starts_with("Fetch"))
    EXPECT_EQ(T::valid, (versions{3, valid.last}));
  else
    EXPECT_EQ(T::valid, valid);
  EXPECT_EQ(T::flexible, parse_versions(text_of(kafka, "flexibleVersions")));
  if constexpr (requires { T::api; })
    if (const auto* key = kafka.if_contains("apiKey")) EXPECT_EQ(std::int16_t(T::api), key->as_int64());

  auto ours = our_fields<T>();
  auto theirs = kafka_fields(kafka.at("fields").as_array(), kafka);
  for (auto version = valid.first; version <= valid.last; ++version, ++versions_compared)
    expect_same(ours, theirs, version, name);
}

TEST(description, equals_kafkas_field_lists) {
  if (!std::filesystem::exists(kafka_messages()))
    GTEST_SKIP() << "Kafka's field lists are not at " << kafka_messages()
                 << ": set YAKS_KAFKA_MESSAGES_DIR to compare the descriptions with them";
  std::size_t compared = 0;
  for_each_api([&]<class Request, class Response>() {
    compare<Request>(name_of(Request::api) + "Request", compared);
    compare<Response>(name_of(Response::api) + "Response", compared);
  });
  compare<request_header>("RequestHeader", compared);
  compare<response_header>("ResponseHeader", compared);
  // Every version of every message, but for Fetch 3, which Kafka does not have any more.
  std::size_t versions = 0;
  for (const auto& codec : all_codecs()) versions += std::size_t(codec.valid.last - codec.valid.first + 1);
  EXPECT_EQ(compared, versions - 2);
}

// A description could bind a name to the wrong member of the same type, which no comparison of names or bytes sees.
TEST(description, binds_every_name_to_the_member_of_that_name) {
  std::regex line(R"rx(field\("(\w+)", m\.(\w+))rx"), humps("([a-z0-9])([A-Z])");
  std::size_t seen = 0;
  auto check = [&](const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    auto source = text.str();
    for (std::sregex_iterator at(source.begin(), source.end(), line), end; at != end; ++at, ++seen) {
      auto member = std::regex_replace((*at)[1].str(), humps, "$1_$2");
      std::ranges::transform(member, member.begin(), [](unsigned char c) { return std::tolower(c); });
      EXPECT_EQ(member, (*at)[2].str()) << path;
    }
  };
  for (const auto& entry : std::filesystem::directory_iterator(YAKS_SOURCE_DIR "/src/wire/messages"))
    if (entry.path().extension() == ".hpp") check(entry.path());
  check(YAKS_SOURCE_DIR "/src/wire/frame.hpp");
  EXPECT_GT(seen, 250u);
}

}  // namespace
}  // namespace yaks::wire

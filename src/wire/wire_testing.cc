#include "wire/wire_testing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace yaks::wire {
namespace {
template <message T>
codec_of_message codec_of(std::string name) {
  auto run = [](byte_view bytes, std::int16_t version) {
    outcome result;
    reader in(bytes);
    T first;
    result.why = decode(in, version, first);
    if (result.why != fault::none) return result;
    result.left_bytes = in.left().size();
    result.again = encoded(first, version);
    reader in_again(as_bytes(result.again));
    T second;
    result.is_the_same = decode(in_again, version, second) == fault::none && in_again.left().empty() && first == second;
    return result;
  };
  return {std::move(name), T::valid, run};
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    bytes.push_back(char(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  return bytes;
}
}  // namespace

const std::vector<codec_of_message>& all_codecs() {
  static const auto codecs = [] {
    std::vector<codec_of_message> all;
    for_each_api([&]<class Request, class Response>() {
      all.push_back(codec_of<Request>(name_of(Request::api) + "Request"));
      all.push_back(codec_of<Response>(name_of(Response::api) + "Response"));
    });
    all.push_back(codec_of<request_header>("RequestHeader"));
    all.push_back(codec_of<response_header>("ResponseHeader"));
    return all;
  }();
  return codecs;
}

const codec_of_message& codec_named(const std::string& name) {
  auto found = std::ranges::find(all_codecs(), name, &codec_of_message::name);
  YAKS_CHECK(found != all_codecs().end(), "golden bytes of a message that is not in the table");
  return *found;
}

std::string testdata_path(const std::string& file) {
  return std::string(YAKS_SOURCE_DIR "/src/wire/testdata/") + file;
}

const std::vector<golden>& all_golden() {
  static const auto lines = [] {
    std::vector<golden> all;
    for (const auto* file : {"kafka-4.3.1.txt", "kafka-4.3.1-groups.txt", "kafka-4.3.1-sasl.txt", "kafka-3.9.1.txt", "franz-go-kmsg-1.15.1.txt", "franz-go-kmsg-1.15.1-groups.txt"}) {
      std::ifstream in(testdata_path(file));
      EXPECT_TRUE(in) << "cannot open " << testdata_path(file);
      for (std::string text; std::getline(in, text);) {
        golden line;
        std::string hex;
        std::istringstream fields(text);
        fields >> line.message >> line.version >> line.kind >> hex;  // a message without fields has no bytes
        line.bytes = from_hex(hex);
        all.push_back(std::move(line));
      }
    }
    return all;
  }();
  return lines;
}
}  // namespace yaks::wire

// What the tests of this folder share: golden bytes, and a message that is known by its name only.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace yaks::wire {

template <message T>
std::string encoded(const T& what, std::int16_t version) {
  std::string bytes(measure(what, version).total(), '\0');
  writer out(std::as_writable_bytes(std::span(bytes)));
  encode(out, version, what);
  YAKS_CHECK(out.full(), "a message was encoded into more memory than it needed");
  return bytes;
}

struct outcome {
  fault why = fault::none;
  std::size_t left_bytes = 0;
  std::string again;         // what was decoded, encoded; empty after a fault
  bool is_the_same = false;  // and what that decodes to equals it
};
using codec_function = std::function<outcome(byte_view, std::int16_t version)>;

struct codec_of_message {
  std::string name;  // Kafka's: "FetchRequest"
  versions valid;
  codec_function run;
};
const std::vector<codec_of_message>& all_codecs();
const codec_of_message& codec_named(const std::string& name);

struct golden {
  std::string message;
  std::int16_t version;
  std::string kind;  // "full", "sparse" or "newer_tags": testdata/README.md
  std::string bytes;
};
// Of src/wire/testdata.
const std::vector<golden>& all_golden();
std::string testdata_path(const std::string& file);

}  // namespace yaks::wire

// Any bytes as the payload of an entry of the metadata log. What decodes must encode, and decode to the same again.
#include "base/check.hpp"
#include "metadata/entry_codec.hpp"

namespace yaks::metadata {
namespace {
shared_bytes encoded(const std::vector<command>& commands) {
  entry_writer writer;
  for (const auto& c : commands) writer.add(c);
  return writer.take();
}
}  // namespace
}  // namespace yaks::metadata

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  using namespace yaks::metadata;
  std::vector<command> commands;
  try {
    commands = decode_entry(std::as_bytes(std::span(data, size)));
  } catch (const log_format_error&) {
    return 0;
  }
  // Not the commands themselves: a batch whose producer is "none" may have come with an epoch, which is not written again.
  auto once = encoded(commands);
  auto again = decode_entry(once.view());
  YAKS_CHECK(again.size() == commands.size(), "as many commands as before");
  auto twice = encoded(again);
  YAKS_CHECK(std::ranges::equal(once.view(), twice.view()), "what was encoded decodes to the same again");
  return 0;
}

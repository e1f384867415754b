// The bytes of a log entry's payload, format 1:
//
//   u8 format = 1
//   section*         each: uvarint kind << 1 | required, uvarint length, `length` bytes
//
// A command is a section. A reader that does not know a section's kind skips it where `required` is 0 and must stop
// where it is 1; every command so far is required. Integers are varints, zigzag where they may be negative; strings and
// lists are a length and their contents; UUIDs are 16 bytes. Fields may be appended to a section: a reader ignores what
// follows the fields that it knows.
//
//   commit_object:  location (0: a range of an object), object id, object bytes, first max timestamp,
//                   topics: topic id, partitions: Δ partition index, batches:
//                     uvarint bytes << 1 | has_producer, record count, Δ max timestamp,
//                     if has_producer: Δ producer id, epoch, base sequence
//
// which is about 40 bytes an entry, 18 a topic and 8 to 20 a batch.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "metadata/commands.hpp"

namespace yaks::metadata {
inline constexpr std::uint8_t entry_format = 1;

// The log holds something that this version cannot read. The agent must stop serving and leave the log alone.
struct log_format_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Collects commands into one payload.
class entry_writer {
 public:
  entry_writer();
  void add(const command& c);
  void add_section(std::string_view section);  // of encode_section()
  std::size_t bytes() const { return buffer_.size(); }
  std::size_t commands() const { return commands_; }
  shared_bytes take();

 private:
  std::string buffer_;
  std::size_t commands_ = 0;
};

// The command as a section, ready for a payload. An entry's overhead beside its sections is one byte.
std::string encode_section(const command& c);

// Throws log_format_error for an unknown format or required section, and for bytes that are no entry.
std::vector<command> decode_entry(byte_view payload);
}  // namespace yaks::metadata

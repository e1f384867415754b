// Goal: every message in every version is read and written as others do it, and nothing that a peer
// can send breaks the reader. Method: bytes written by Kafka's Java classes and by franz-go (testdata/README.md) are
// decoded and encoded again, cut short at every byte, and damaged at random; what still decodes must survive a round
// trip.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "wire/wire_testing.hpp"

namespace yaks::wire {
namespace {

TEST(golden, covers_every_version_of_every_message) {
  std::set<std::pair<std::string, std::int16_t>> full, sparse;
  for (const auto& line : all_golden()) (line.kind == "sparse" ? sparse : full).insert({line.message, line.version});
  for (const auto& codec : all_codecs())
    for (auto version = codec.valid.first; version <= codec.valid.last; ++version) {
      EXPECT_TRUE(full.contains({codec.name, version})) << codec.name << " " << version;
      EXPECT_TRUE(sparse.contains({codec.name, version})) << codec.name << " " << version;
    }
}

TEST(golden, decodes_and_encodes_to_the_same_bytes) {
  for (const auto& line : all_golden()) {
    auto result = codec_named(line.message).run(as_bytes(line.bytes), line.version);
    SCOPED_TRACE(line.message + " " + std::to_string(line.version) + " " + line.kind);
    EXPECT_EQ(result.why, fault::none) << name(result.why);
    EXPECT_EQ(result.left_bytes, 0u);
    // Tagged fields of a later version are skipped, so they are not written again.
    if (line.kind == "newer_tags")
      EXPECT_LT(result.again.size(), line.bytes.size());
    else
      EXPECT_EQ(result.again, line.bytes);
    EXPECT_TRUE(result.is_the_same);
  }
}

TEST(golden, every_truncated_prefix_is_refused) {
  for (const auto& line : all_golden())
    for (std::size_t bytes = 0; bytes < line.bytes.size(); ++bytes) {
      // A copy of exactly these bytes, so that the address sanitizer sees a read past them.
      std::vector<char> prefix(line.bytes.begin(), line.bytes.begin() + std::ptrdiff_t(bytes));
      auto result = codec_named(line.message).run(as_bytes({prefix.data(), prefix.size()}), line.version);
      ASSERT_NE(result.why, fault::none) << line.message << " " << line.version << " cut to " << bytes;
    }
}

TEST(golden, versions_beyond_the_valid_ones_are_refused) {
  for (const auto& codec : all_codecs())
    for (int version : {-32768, -1, codec.valid.first - 1, codec.valid.last + 1, 32767})
      if (!codec.valid.has(std::int16_t(version)))
        EXPECT_EQ(codec.run({}, std::int16_t(version)).why, fault::unsupported_version) << codec.name << " " << version;
}

TEST(golden, damaged_bytes_are_refused_or_survive_a_round_trip) {
  std::mt19937 random(20251);
  std::size_t decoded = 0, refused = 0;
  for (const auto& line : all_golden()) {
    const auto& codec = codec_named(line.message);
    for (int round = 0; round < 60; ++round) {
      auto bytes = line.bytes;
      for (auto changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
        auto at = random() % bytes.size();
        switch (random() % 4) {
          case 0:
            bytes[at] = char(random());
            break;
          case 1:
            bytes[at] = char(random() % 3);
            break;
          case 2:
            bytes.insert(at, 1, char(random()));
            break;
          case 3:
            bytes.erase(at, 1 + random() % 4);
            break;
        }
      }
      auto result = codec.run(as_bytes(bytes), line.version);
      if (result.why == fault::none) {
        ++decoded;
        ASSERT_TRUE(result.is_the_same) << line.message << " " << line.version;
      } else {
        ++refused;
      }
    }
  }
  // Both happen often, or the damage is too little or too much to show anything.
  EXPECT_GT(decoded, 1000u);
  EXPECT_GT(refused, 1000u);
}

TEST(golden, random_bytes_never_crash) {
  std::mt19937 random(7);
  std::size_t refused = 0;
  for (const auto& codec : all_codecs())
    for (auto version = codec.valid.first; version <= codec.valid.last; ++version)
      for (int round = 0; round < 200; ++round) {
        std::string bytes(random() % 64, '\0');
        // Mostly small numbers: larger ones end the decoding at the first length.
        for (auto& byte : bytes) byte = char(random() % 4 > 0 ? random() % 5 : random());
        auto result = codec.run(as_bytes(bytes), version);
        if (result.why != fault::none)
          ++refused;
        else
          ASSERT_TRUE(result.is_the_same) << codec.name << " " << version;
      }
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace yaks::wire

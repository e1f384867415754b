// Goal: what one agent writes, every agent reads as the same commands, for ever; what is no entry is refused, never
// guessed at; an entry stays as small as promised. Method: round trips of random commands with edge values
// (rapidcheck), every cut of an entry, sections made by hand, and one entry in hexadecimal.
#include "metadata/entry_codec.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <random>

#include "base/varint.hpp"
#include "metadata/log_store.hpp"

namespace yaks::metadata {
namespace {
// Commands whose every field is often at an edge of its type. From a seed rather than from generators within
// generators: those take seconds per command.
class command_maker {
 public:
  explicit command_maker(std::uint64_t seed) : random_(seed) {}

 private:
  template <class T>
  T number() {
    using limits = std::numeric_limits<T>;
    switch (random_() % 8) {
      case 0:
        return limits::min();
      case 1:
        return limits::max();
      case 2:
        return T(limits::min() + 1);
      case 3:
        return T(-1);
      case 4:
        return T(0);
      case 5:
        return T(random_() % 300);
      default:
        return T(random_());
    }
  }
  template <class Strong>
  Strong id() {
    if constexpr (std::is_same_v<typename Strong::representation, uuid>) {
      uuid u;
      for (auto& byte : u.bytes) byte = std::byte(number<std::uint8_t>());
      return Strong(u);
    } else {
      return Strong(number<typename Strong::representation>());
    }
  }
  std::string text() {
    std::string out(random_() % 5 == 0 ? 200 : random_() % 4, '\0');
    for (auto& c : out) c = char(random_());
    return out;
  }
  std::optional<std::string> optional_text() { return random_() % 2 == 0 ? std::nullopt : std::optional(text()); }
  template <class Make>
  auto list(Make make) {
    std::vector<decltype(make())> out;
    for (auto n = random_() % 5; n > 0; --n) out.push_back(make());
    return out;
  }
  std::vector<config_value> configs() {
    return list([&] { return config_value{text(), random_() % 2 == 0 ? std::nullopt : std::optional(text())}; });
  }
  batch_commit batch() {
    batch_commit b{number<std::uint32_t>(), number<std::uint32_t>(), id<timestamp_ms>(),
                   id<producer_id>(),       number<std::int16_t>(),  number<std::int32_t>()};
    if (b.producer == no_producer) b.producer_epoch = -1, b.base_sequence = -1;  // they mean nothing then
    return b;
  }
  std::mt19937_64 random_;

 public:
  command any() {
    switch (random_() % 25) {
      case 0:
        return register_agent{id<node_id>(),
                              number<std::uint32_t>(),
                              number<std::uint32_t>(),
                              number<std::int64_t>(),
                              text(),
                              text(),
                              number<std::uint16_t>(),
                              text(),
                              id<log_sequence>(),
                              text(),
                              number<std::uint16_t>()};
      case 1:
        return fence_agent{id<incarnation>()};
      case 2:
        return create_topic{id<topic_id>(), text(), number<std::int32_t>(), configs()};
      case 3:
        return delete_topic{id<topic_id>()};
      case 4:
        return create_partitions{id<topic_id>(), number<std::int32_t>()};
      case 5:
        return alter_topic_configs{id<topic_id>(), configs()};
      case 16:
        return alter_group_configs{text(), configs()};
      case 17:
        return move_log_start{id<topic_id>(), id<partition_index>(), id<offset>()};
      case 6:
        return allocate_producer_ids{number<std::uint32_t>()};
      case 7:
        return commit_group_offsets{text(), list([&] {
                                      return offset_commit{id<topic_id>(), id<partition_index>(), id<offset>(),
                                                           number<std::int32_t>(), text()};
                                    }), text(), optional_text(), number<std::int32_t>(), number<std::int64_t>()};
      case 8:
        return join_group{text(), text(), text(), optional_text(), text(), text(), number<std::int32_t>(), number<std::int32_t>(),
                          text(), list([&] { return group_protocol{text(), text()}; }), random_() % 2 == 0, random_() % 2 == 0,
                          number<std::uint64_t>(), number<std::uint32_t>(), number<std::uint32_t>()};
      case 9:
        return sync_group{text(), text(), optional_text(), number<std::int32_t>(), optional_text(), optional_text(),
                          list([&] { return group_assignment{text(), text()}; }), number<std::uint64_t>()};
      case 10:
        return leave_group{text(), list([&] { return leaving_member{text(), optional_text()}; })};
      case 11:
        return move_home{text(), text()};
      case 12:
        return expire_member{text(), text(), number<std::uint64_t>()};
      case 13:
        return fire_group_timer{text(), number<std::uint64_t>()};
      case 15: {
        auto names = [&]() -> std::optional<std::vector<std::string>> {
          if (random_() % 2 == 0) return std::nullopt;
          return list([&] { return text(); });
        };
        consumer_heartbeat c{text(), text(), number<std::int32_t>(), optional_text(), optional_text(), number<std::int32_t>(), names(),
                             optional_text(), names(), optional_text(), std::nullopt, text(), text(), number<std::int32_t>(), number<std::uint32_t>()};
        if (random_() % 2 == 0) c.owned = list([&] { return topic_partition{id<topic_id>(), id<partition_index>()}; });
        return c;
      }
      case 14:
        return remove_group_data{text(), group_removal(random_() % 3),
                                 list([&] { return topic_partition{id<topic_id>(), id<partition_index>()}; }), number<std::int64_t>()};
      case 18:
        return take_upkeep{number<std::uint64_t>()};
      case 19:
        return trim_partitions{number<std::uint64_t>(), list([&] {
                                 return partition_trim{id<topic_id>(), id<partition_index>(), id<offset>(), id<offset>(),
                                                       id<offset>(),   number<std::uint64_t>()};
                               })};
      case 20:
        return settle_upkeep{number<std::uint64_t>(), list([&] {
                               return std::pair(topic_partition{id<topic_id>(), id<partition_index>()}, id<offset>());
                             }),
                             list([&] { return id<topic_id>(); }), list([&] { return number<std::uint64_t>(); }),
                             list([&] { return number<std::uint64_t>(); })};
      case 23:
        return merge_object{number<std::uint64_t>(), id<object_id>(), number<std::uint64_t>(), list([&] {
                              return merged_part{id<topic_id>(), id<partition_index>(), number<std::uint32_t>(), id<offset>(),
                                                 id<offset>(),   number<std::uint64_t>(), number<std::uint64_t>()};
                            })};
      case 21:
        return sweep{id<timestamp_ms>()};
      case 22:
        return enable_format{number<std::uint32_t>()};
      default:
        return commit_object{id<object_id>(), number<std::uint64_t>(), list([&] {
                               return topic_commit{id<topic_id>(), list([&] {
                                                     return partition_commit{id<partition_index>(),
                                                                             list([&] { return batch(); })};
                                                   })};
                             })};
    }
  }
};

std::vector<command> commands_from(const std::vector<std::uint64_t>& seeds) {
  std::vector<command> commands;
  for (auto seed : seeds) commands.push_back(command_maker(seed).any());
  return commands;
}

shared_bytes entry_of(const std::vector<command>& commands) {
  entry_writer writer;
  for (const auto& c : commands) writer.add(c);
  return writer.take();
}

RC_GTEST_PROP(entry_codec, every_command_comes_back_as_it_was, (const std::vector<std::uint64_t>& seeds)) {
  auto commands = commands_from(seeds);
  RC_ASSERT(decode_entry(entry_of(commands).view()) == commands);
}

RC_GTEST_PROP(entry_codec, a_cut_entry_is_refused_or_holds_fewer_whole_commands,
              (const std::vector<std::uint64_t>& seeds)) {
  auto commands = commands_from({seeds.begin(), seeds.begin() + std::min<std::ptrdiff_t>(5, std::ssize(seeds))});
  auto whole = entry_of(commands);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    auto cut = shared_bytes::copy_of(whole.view().first(size));  // on the heap: ASan sees every read beyond it
    try {
      auto read = decode_entry(cut.view());
      RC_ASSERT(read.size() < commands.size());
      RC_ASSERT(std::equal(read.begin(), read.end(), commands.begin()));
    } catch (const log_format_error&) {
    }
  }
}

RC_GTEST_PROP(entry_codec, damaged_bytes_are_refused_or_read_never_worse,
              (const std::vector<std::uint64_t>& seeds, const std::vector<std::uint32_t>& hits)) {
  auto payload = entry_of(commands_from(seeds));
  for (auto hit : hits) payload.writable()[hit % payload.size()] = std::byte(hit >> 24);
  try {
    // What is read can be written again: no reader makes of it what another one does not.
    auto read = decode_entry(payload.view());
    RC_ASSERT(decode_entry(entry_of(read).view()) == read);
  } catch (const log_format_error&) {
  }
}

TEST(entry_codec, an_entry_without_bytes_is_refused) {
  EXPECT_THROW(decode_entry({}), log_format_error);
}

TEST(entry_codec, an_entry_without_commands_is_one) {
  EXPECT_TRUE(decode_entry(entry_of({}).view()).empty());
}

TEST(entry_codec, unknown_formats_are_refused) {
  for (std::string format : {std::string(1, '\0'), std::string("\2"), std::string("\xff")})
    EXPECT_THROW(decode_entry(as_bytes(format)), log_format_error) << int(format[0]);
}

// A section by hand: kind, whether readers must know it, contents.
std::string section(std::uint64_t kind, bool required, std::string_view contents) {
  std::string out;
  for (auto n : {kind << 1 | (required ? 1u : 0u), std::uint64_t(contents.size())}) {
    std::byte buffer[varint_bytes_max];
    auto size = store_uvarint(buffer, n);
    out += as_text({buffer, size});
  }
  return out.append(contents);
}

TEST(entry_codec, unknown_sections_are_skipped_unless_they_are_required) {
  auto known = encode_section(allocate_producer_ids{7});
  for (std::uint64_t kind : {std::uint64_t(0), std::uint64_t(200), std::uint64_t(300), ~std::uint64_t(0) >> 1}) {
    auto optional = "\1" + known + section(kind, false, "from tomorrow") + known;
    EXPECT_EQ(decode_entry(as_bytes(optional)),
              (std::vector<command>{allocate_producer_ids{7}, allocate_producer_ids{7}}));
    auto required = "\1" + known + section(kind, true, "from tomorrow") + known;
    EXPECT_THROW(decode_entry(as_bytes(required)), log_format_error);
  }
}

TEST(entry_codec, fields_appended_to_a_section_are_ignored) {
  std::string payload = "\1" + section(8, true, "\7 and more");
  EXPECT_EQ(decode_entry(as_bytes(payload)), std::vector<command>{allocate_producer_ids{7}});
}

TEST(entry_codec, bytes_at_an_unknown_kind_of_place_are_refused) {
  auto known = encode_section(commit_object{.object = object_id(uuid::v4(1, 2)), .object_bytes = 3, .topics = {}});
  ASSERT_EQ(known[2], 0);  // kind, length, location
  known[2] = 1;
  EXPECT_THROW(decode_entry(as_bytes("\1" + known)), log_format_error);
}

// A count is believed as far as its elements can be there: 40 bytes must not make a reader allocate gigabytes.
TEST(entry_codec, counts_beyond_the_entry_are_refused) {
  std::string id(16, 'i'), huge = "\xff\xff\xff\xff\x0f";  // 2^32 - 1
  for (auto contents : {section(7, true, std::string(1, '\0') + id + "\1" + std::string(1, '\0') + huge),
                        section(9, true, "\1g" + huge), section(6, true, id + huge), section(3, true, id + huge)})
    EXPECT_THROW(decode_entry(as_bytes("\1" + contents)), log_format_error);
}

// ---- size ----------------------------------------------------------------------------------------------------------

// Like what an agent commits: ids of producers and timestamps that are near each other, sequences anywhere.
commit_object busy_commit(std::int32_t partitions, std::int32_t topics, bool idempotent) {
  commit_object c{.object = object_id(uuid::v7(1'700'000'000'123, 1, 2)), .object_bytes = 64 << 20, .topics = {}};
  for (std::int32_t t = 0; t < topics; ++t) {
    topic_commit topic{topic_id(uuid::v4(std::uint64_t(t), 77)), {}};
    for (std::int32_t p = t; p < partitions; p += topics) {
      batch_commit b{.bytes = 16'000'000 + std::uint32_t(p),
                     .record_count = 1000 + std::uint32_t(p),
                     .max_timestamp = timestamp_ms(1'700'000'000'000 + p * 7919 % 600'000)};
      if (idempotent) {
        b.producer = producer_id(1'000'000 + std::int64_t(p) * 7919 % 500'000);
        b.producer_epoch = std::int16_t(p % 300);
        b.base_sequence = std::numeric_limits<std::int32_t>::max() - p;
      }
      topic.partitions.push_back({partition_index(p * 3), {b}});
    }
    c.topics.push_back(std::move(topic));
  }
  return c;
}

TEST(entry_codec, a_commit_takes_what_was_promised_and_no_more) {
  for (auto partitions : {1, 100, 1'000, 10'000})
    for (auto topics : {1, 10}) {
      if (topics > partitions) continue;
      auto bytes = entry_of({busy_commit(partitions, topics, true)}).size();
      RecordProperty("bytes_" + std::to_string(partitions) + "_partitions_" + std::to_string(topics) + "_topics",
                     int(bytes));
      EXPECT_LE(bytes, 100u + 20u * unsigned(topics) + 24u * unsigned(partitions)) << partitions << " in " << topics;
      EXPECT_LT(bytes, entry_bytes_max);
    }
}

// ---- golden --------------------------------------------------------------------------------------------------------

std::string hex(byte_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (auto b : bytes) {
    out += digits[std::to_integer<unsigned>(b) >> 4];
    out += digits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

// Logs that were written once must be readable for ever: where this fails, the format has changed, and the old one must
// stay readable under its number.
TEST(entry_codec, the_bytes_of_format_1) {
  uuid one = uuid::v4(0x0102030405060708, 0x1112131415161718), two = uuid::v7(1'700'000'000'000, 3, 4);
  std::vector<command> commands{
      register_agent{.node = node_id(5),
                     .thread = 1,
                     .format_max = 1,
                     .upload_deadline_ms = 600'000,
                     .version = "0.1",
                     .host = "a",
                     .port = 9092,
                     .zone = "z",
                     .as_of = log_sequence(300)},
      fence_agent{incarnation(one)},
      create_topic{.id = topic_id(one), .name = "t", .partitions = 3, .configs = {{"retention.ms", "1"}, {"x", {}}}},
      delete_topic{topic_id(one)},
      create_partitions{topic_id(one), 200},
      alter_topic_configs{topic_id(one), {{"y", "2"}}},
      commit_object{.object = object_id(two),
                    .object_bytes = 1000,
                    .topics = {{topic_id(one),
                                {{partition_index(2),
                                  {{.bytes = 100, .record_count = 1, .max_timestamp = timestamp_ms(1'700'000'000'000)},
                                   {.bytes = 200,
                                    .record_count = 2,
                                    .max_timestamp = timestamp_ms(1'699'999'999'999),
                                    .producer = producer_id(70),
                                    .producer_epoch = 0,
                                    .base_sequence = 64}}},
                                 {partition_index(0),
                                  {{.bytes = 700,
                                    .record_count = 300,
                                    .max_timestamp = no_timestamp,
                                    .producer = producer_id(69),
                                    .producer_epoch = 1,
                                    .base_sequence = 0}}}}}}},
      allocate_producer_ids{1000},
      commit_group_offsets{"g", {{topic_id(one), partition_index(1), offset(-1), 0, "m"}}},
      alter_group_configs{"g", {{"x", "1"}}},
      move_log_start{topic_id(one), partition_index(1), offset(300)},
  };
  EXPECT_EQ(hex(entry_of(commands).view()),
            "01"
            "03120a0101809f4903302e3101618447017aac02"
            "051001020304050647089112131415161718"
            "072701020304050647089112131415161718017403020c726574656e74696f6e2e6d73010131017800"
            "091001020304050647089112131415161718"
            "0b1201020304050647089112131415161718c801"
            "0d1601020304050647089112131415161718010179010132"
            "0f4900018bcfe5680070038000000000000004e80780a0abfef9620101020304050647089112131415161718020402c8"
            "010100910302018c010080010301f90aac02ff9fabfef962010200"
            "1102e807"
            "131801670101020304050647089112131415161718010100016d"
            "29080167010178010131"
            "2b130102030405064708911213141516171802d804");
  EXPECT_EQ(decode_entry(entry_of(commands).view()), commands);
}

TEST(entry_codec, the_bytes_of_a_merge) {
  uuid one = uuid::v4(0x0102030405060708, 0x1112131415161718), two = uuid::v7(1'700'000'000'000, 3, 4);
  std::vector<command> commands{
      merge_object{3, object_id(two), 1000, {{topic_id(one), partition_index(2), 5, offset(100), offset(400), 0, 700},
                                             {topic_id(one), partition_index(4), 0, offset(0), offset(9), 700, 300}}},
      settle_upkeep{.term = 3, .trims = {}, .drops = {}, .objects = {7}, .merges = {300, 302}},
      settle_upkeep{.term = 3, .trims = {}, .drops = {}, .objects = {7}, .merges = {}}};  // as it was before there were merges
  EXPECT_EQ(hex(entry_of(commands).view()),
            "01"
            "454503018bcfe5680070038000000000000004e807"
            "02010203040506470891121314151617180405c801d80400bc05"
            "0102030405064708911213141516171808000012bc05ac02"
            "4109030000010e02d80404"
            "4105030000010e");
  EXPECT_EQ(decode_entry(entry_of(commands).view()), commands);
}

TEST(entry_codec, the_bytes_of_group_commands) {
  uuid one = uuid::v4(0x0102030405060708, 0x1112131415161718);
  std::vector<command> commands{
      join_group{"g", "m", "n", "i", "c", "/h", 45'000, 300'000, "consumer", {{"range", "abc"}}, true, false, 7, 3000, 100},
      sync_group{"g", "m", std::nullopt, 3, "consumer", "range", {{"m", "xyz"}}, 8},
      leave_group{"g", {{"m", std::nullopt}, {"", "i"}}},
      move_home{"g", "m"},
      expire_member{"g", "m", 300},
      fire_group_timer{"g", 301},
      remove_group_data{"g", group_removal::offsets, {{topic_id(one), partition_index(1)}}, 5},
      commit_group_offsets{"g", {{topic_id(one), partition_index(1), offset(1), -1, ""}}, "m", std::nullopt, 3, -1}};
  EXPECT_EQ(hex(entry_of(commands).view()), 
            "01172d0167016d016e0101690163022f6890bf05c0cf2408636f6e73756d6572010572616e6765036162630107b81764191f0167016d00060108636f6e73756d"
            "6572010572616e676501016d0378797a081b0a016702016d00000101691d040167016d1f060167016dac0221040167ad02231601670101010203040506470891"
            "12131415161718020a131c0167010102030405064708911213141516171801020100016d000601");
  EXPECT_EQ(decode_entry(entry_of(commands).view()), commands);
}
}  // namespace
}  // namespace yaks::metadata

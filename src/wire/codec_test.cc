// Goal: the spellings that no message of ours uses, the defaults of tagged fields, and the bound on memory. Method:
// small messages made for the purpose, with bytes written by hand; allocations of the whole program are counted while
// frames that lie about lengths are decoded.
#include "wire/codec.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "wire/wire_testing.hpp"

namespace {
thread_local std::size_t live_bytes = 0, peak_bytes = 0, allocations = 0;
}
void* operator new(std::size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  ++allocations;
  live_bytes += malloc_usable_size(memory);
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  operator delete(memory);
}

namespace yaks::wire {
// Everything that Kafka's vocabulary has and the messages of ours lack.
struct odd_message {
  static constexpr bool is_described = true;
  static constexpr versions valid{0, 3}, flexible = since(2);

  struct point {
    static constexpr bool is_described = true;
    std::int16_t x = 0;
    static constexpr void describe(auto& m, auto& field) { field("X", m.x); }
    bool operator==(const point&) const = default;
  };
  double ratio = 0;
  std::optional<point> place;
  std::int64_t epoch = -1;
  std::optional<std::string> note;
  std::int32_t limit = 7;

  static constexpr void describe(auto& m, auto& field) {
    field("Ratio", m.ratio);
    field("Place", m.place, {.null = since(1)});
    field("Epoch", m.epoch, {.in = since(2), .tag = 0});
    field("Note", m.note, {.in = since(2), .tag = 5});
    field("Limit", m.limit, {.in = since(3), .tag = 300});
  }
  bool operator==(const odd_message&) const = default;
};
YAKS_WIRE_MESSAGE(odd_message);

namespace {
std::string bytes_of(std::initializer_list<int> values) {
  std::string bytes;
  for (int value : values) bytes.push_back(char(value));
  return bytes;
}
template <message T>
fault read(std::string_view bytes, std::int16_t version, T& into) {
  reader in(as_bytes(bytes));
  return decode(in, version, into);
}
constexpr auto one_half = {0x3f, 0xe0, 0, 0, 0, 0, 0, 0};

TEST(codec, float64_and_nullable_struct) {
  odd_message message{.ratio = 0.5, .place = odd_message::point{258}};
  EXPECT_EQ(encoded(message, 1), bytes_of(one_half) + bytes_of({1, 1, 2}));
  EXPECT_EQ(encoded(message, 0), bytes_of(one_half) + bytes_of({1, 2}));  // version 0 cannot say null: no prefix
  message.place.reset();
  EXPECT_EQ(encoded(message, 1), bytes_of(one_half) + bytes_of({255}));
  EXPECT_EQ(encoded(message, 0), bytes_of(one_half) + bytes_of({0, 0}));
  odd_message back;
  ASSERT_EQ(read(encoded(message, 1), 1, back), fault::none);
  EXPECT_EQ(back, message);
}

TEST(codec, a_tagged_field_is_left_out_when_it_has_the_default_of_its_own) {
  odd_message message;
  auto plain = encoded(message, 3);
  EXPECT_EQ(plain.back(), 0);  // no tagged fields
  message.epoch = 0;           // T{} is not its default
  message.limit = 0;
  auto tagged = encoded(message, 3);
  EXPECT_EQ(tagged.substr(plain.size() - 1), bytes_of({2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0xac, 0x02, 4, 0, 0, 0, 0}));
  odd_message back;
  ASSERT_EQ(read(tagged, 3, back), fault::none);
  EXPECT_EQ(back, message);
  ASSERT_EQ(read(plain, 3, back), fault::none);
  EXPECT_EQ(back.epoch, -1);
  EXPECT_EQ(back.limit, 7);
}

TEST(codec, defaults_of_tagged_structs_and_lists) {
  fetch_response::topic_entry::partition_entry partition;
  fetch_response response{.responses = {{.partitions = {partition}}}};
  auto without = encoded(response, 12).size();
  response.responses[0].partitions[0].current_leader = {.leader_id = 0, .leader_epoch = 0};
  EXPECT_EQ(encoded(response, 12).size(), without + 2 + 4 + 4 + 1);  // tag, bytes, two int32, no tags inside
  EXPECT_EQ(encoded(fetch_response{}, 16).size() + 1 + 1 + 1 + (4 + 1 + 4 + 1 + 1),
            encoded(fetch_response{.node_endpoints = {{}}}, 16).size());
}

TEST(codec, unknown_tagged_fields_are_skipped_and_leftovers_inside_known_ones_refused) {
  odd_message message;
  auto plain = encoded(message, 2);
  plain.pop_back();
  EXPECT_EQ(read(plain + bytes_of({1, 77, 3, 1, 2, 3}), 2, message), fault::none);
  EXPECT_EQ(message, odd_message{});
  EXPECT_EQ(read(plain + bytes_of({1, 5, 2, 2, 'a'}), 2, message), fault::none);
  EXPECT_EQ(message.note, "a");
  EXPECT_EQ(read(plain + bytes_of({1, 5, 3, 2, 'a', 'b'}), 2, message), fault::bad_length);
  EXPECT_EQ(read(plain + bytes_of({1, 5, 1, 2, 'a'}), 2, message), fault::bad_length);
  EXPECT_EQ(read(plain + bytes_of({1, 5, 9, 2, 'a'}), 2, message), fault::short_input);
  // Tag 300 is of version 3; in version 2 it is unknown.
  EXPECT_EQ(read(plain + bytes_of({1, 0xac, 2, 4, 0, 0, 0, 1}), 2, message), fault::none);
  EXPECT_EQ(message.limit, 7);
}

TEST(codec, each_fault_has_its_name) {
  metadata_request request;
  EXPECT_EQ(read(bytes_of({0, 0, 0}), 0, request), fault::short_input);
  EXPECT_EQ(read(bytes_of({0xff, 0xff, 0xff, 0xfe}), 0, request), fault::bad_length);
  EXPECT_EQ(read(bytes_of({0xff, 0xff, 0xff, 0xff}), 0, request), fault::unexpected_null);
  EXPECT_EQ(read(bytes_of({0xff, 0xff, 0xff, 0xff}), 1, request), fault::none);
  EXPECT_FALSE(request.topics.has_value());
  EXPECT_EQ(read(bytes_of({0, 0, 0, 1, 0xff, 0xff}), 1, request), fault::unexpected_null);
  EXPECT_EQ(read(bytes_of({0xff, 0xff, 0xff, 0xff, 0x1f}), 9, request), fault::bad_varint);
  EXPECT_EQ(read(bytes_of({0x80, 0x80, 0x80, 0x80, 0x80, 0x01}), 9, request), fault::bad_varint);
  find_coordinator_request coordinator;
  // A compact string above 32767 bytes, all of them there.
  EXPECT_EQ(read(bytes_of({0x81, 0x80, 0x02}) + std::string(32768, 'x') + bytes_of({0, 0}), 3, coordinator),
            fault::bad_length);
  EXPECT_EQ(read(bytes_of({0x80, 0x80, 0x02}) + std::string(32767, 'x') + bytes_of({0, 0}), 3, coordinator),
            fault::none);
  for (auto why : {fault::none, fault::short_input, fault::bad_length, fault::bad_varint, fault::unexpected_null,
                   fault::over_budget, fault::unsupported_version})
    EXPECT_NE(name(why), "unknown");
}

TEST(codec, text_that_no_kafka_string_can_hold_is_cut) {
  produce_response response{.responses = {{.partition_responses = {{.error_message = std::string(40000, 'e')}}}}};
  produce_response back;
  for (std::int16_t version : {8, 11}) {
    ASSERT_EQ(read(encoded(response, version), version, back), fault::none);
    EXPECT_EQ(back.responses[0].partition_responses[0].error_message->size(), 32767u);
  }
}

TEST(codec, produce_borrows_its_records_and_allocates_per_topic_only) {
  std::string records(1000, 'r');
  produce_request request{.acks = -1, .topic_data = {{.name = "topic", .partition_data = {}}}};
  for (int i = 0; i < 100; ++i) request.topic_data[0].partition_data.push_back({i, blob{as_bytes(records)}});
  for (std::int16_t version : {3, 9, 11}) {
    auto frame = encoded(request, version);
    produce_request back;
    auto before = allocations;
    ASSERT_EQ(read(frame, version, back), fault::none);
    EXPECT_EQ(allocations - before, 2u);  // the topics, and the partitions of the one topic
    EXPECT_EQ(back, request);
    const auto* from = back.topic_data[0].partition_data[50].records->bytes.data();
    EXPECT_TRUE(from >= as_bytes(frame).data() && from < as_bytes(frame).data() + frame.size());
  }
}

// ---- memory ----

std::size_t budget_of(std::size_t frame_bytes) {
  return reader::budget_floor_bytes + reader::budget_per_frame_byte * frame_bytes;
}
// Decodes and answers how much memory was live at the worst moment.
template <message T>
std::size_t peak_of(std::string_view bytes, std::int16_t version, fault& why) {
  auto before = live_bytes;
  peak_bytes = before;
  T into;
  why = read(bytes, version, into);
  return peak_bytes - before;
}

TEST(codec, lying_lengths_allocate_next_to_nothing) {
  std::size_t tried = 0;
  for_each_api([&]<class Request, class Response>() {
    for (const auto& line : all_golden()) {
      if (line.message != name_of(Request::api) + "Request") continue;
      for (std::size_t at = 0; at < line.bytes.size(); ++at)
        for (const auto& lie : {bytes_of({0x7f, 0xff, 0xff, 0xff}), bytes_of({0, 0xff, 0xff, 0xff}),
                                bytes_of({0xff, 0xff, 0xff, 0xff, 7}), bytes_of({0xff, 0x7f})}) {
          auto bytes = line.bytes.substr(0, at) + lie;
          if (at + lie.size() < line.bytes.size()) bytes += line.bytes.substr(at + lie.size());
          fault why;
          auto peak = peak_of<Request>(bytes, line.version, why);
          // Far below the budget: a count that does not fit into what is left is found out first.
          ASSERT_LE(peak, 40 * bytes.size() + 1024) << line.message << " " << line.version << " at " << at;
          ++tried;
        }
    }
  });
  EXPECT_GT(tried, 10000u);
}

TEST(codec, many_tiny_elements_end_at_the_budget) {
  constexpr std::size_t topics = 2'000'000;
  std::string bytes;
  std::byte count[varint_bytes_max];
  bytes += as_text({count, store_uvarint(count, topics + 1)});
  for (std::size_t i = 0; i < topics; ++i) bytes += bytes_of({1, 0});  // empty name, no tagged fields
  bytes += bytes_of({1, 0, 0, 0});
  fault why;
  auto peak = peak_of<metadata_request>(bytes, 9, why);
  EXPECT_EQ(why, fault::over_budget);
  EXPECT_LE(peak, budget_of(bytes.size()));

  // Many small lists, none too large by itself, are charged together.
  constexpr std::size_t groups = 200'000;
  bytes.assign(as_text({count, store_uvarint(count, groups + 1)}));
  for (std::size_t i = 0; i < groups; ++i)
    bytes += bytes_of({1, 2, 1, 1, 0, 0});  // "", one topic "" without partitions
  bytes += bytes_of({0, 0});
  peak = peak_of<offset_fetch_request>(bytes, 8, why);
  EXPECT_EQ(why, fault::over_budget);
  EXPECT_LE(peak, budget_of(bytes.size()));
}

TEST(codec, large_honest_requests_are_within_the_budget) {
  std::vector<std::string> names;
  for (int i = 0; i < 100'000; ++i) names.push_back("topic-" + std::to_string(i));
  metadata_request metadata{.topics = std::vector<metadata_request::topic_entry>{}};
  fetch_request fetch;
  for (const auto& name : names) {
    metadata.topics->push_back({.name = name});
    fetch.topics.push_back({.topic = name, .partitions = {{.partition = 1, .partition_max_bytes = 1}}});
  }
  for (std::int16_t version : {1, 9, 12}) {
    metadata_request back;
    ASSERT_EQ(read(encoded(metadata, version), version, back), fault::none) << version;
  }
  for (std::int16_t version : {3, 11, 12}) {
    fetch_request back;
    ASSERT_EQ(read(encoded(fetch, version), version, back), fault::none) << version;
  }
}
}  // namespace
}  // namespace yaks::wire

// Goal: what other people's clients send is accepted and understood to the last byte, in every compression.
// Method: record sets captured from seven clients (testdata/README.md), each with the same five records: validated,
// walked, decompressed, searched by timestamp, cut at every length, flipped in every bit, and built again by our
// builder.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "records/builder.hpp"
#include "records/compression.hpp"
#include "records/record.hpp"
#include "records/timestamp_search.hpp"
#include "records/validate.hpp"

namespace yaks::records {
namespace {
constexpr std::size_t plain_bytes_max = 1 << 20;
constexpr std::int64_t start = 1700000000000;

struct expected_record {
  std::optional<std::string> key, value;
  std::int64_t timestamp;
  std::vector<std::pair<std::string, std::string>> headers;
};

std::vector<expected_record> expected_records() {
  std::string long_value;
  for (int i = 0; i < 400; ++i) long_value += "yaks carry ";
  return {{"key-0", "value-0", start, {}},
          {std::nullopt, "no key", start + 5, {}},
          {"headers", "value-2", start + 3, {{"first", "1"}, {"empty", ""}, {"f\u00fcnf", std::string("\0\xff", 2)}}},
          {"tombstone", std::nullopt, start + 9, {}},
          {"long", long_value, start + 9, {}}};
}

struct capture {
  std::string client, compression;
  friend void PrintTo(const capture& c, std::ostream* out) { *out << c.client << '-' << c.compression; }
};

class golden : public testing::TestWithParam<capture> {
 protected:
  void SetUp() override {
    std::string path = "src/records/testdata/" + GetParam().client + "-" + GetParam().compression + ".bin";
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file) << path << " (tests run in the top folder of the sources)";
    std::string content{std::istreambuf_iterator<char>(file), {}};
    auto view = as_bytes(content);
    bytes_.assign(view.begin(), view.end());
  }
  // By default, that is, or asked to be.
  bool is_idempotent() const {
    return GetParam().client != "aiokafka" && GetParam().client != "sarama" && GetParam().client != "kafka-go";
  }
  std::vector<std::byte> bytes_;
};

TEST_P(golden, is_accepted_with_all_that_it_says) {
  auto info = validate_produced(bytes_, {});
  ASSERT_TRUE(info) << info.error().text;
  EXPECT_EQ(info->bytes, bytes_.size());
  EXPECT_EQ(info->record_count, 5u);
  EXPECT_EQ(info->max_timestamp, timestamp_ms(start + 9));
  EXPECT_EQ(name_of(info->compression), GetParam().compression);
  EXPECT_FALSE(info->is_transactional);
  EXPECT_EQ(info->crc32c, crc32c(bytes_));
  EXPECT_EQ(info->producer, is_idempotent() ? producer_id(4711) : no_producer);
  EXPECT_EQ(info->producer_epoch, is_idempotent() ? 3 : -1);
  EXPECT_EQ(info->base_sequence, is_idempotent() ? 0 : -1);

  auto batch = batch_view::parse(bytes_);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->base_offset(), offset(0));
  EXPECT_EQ(batch->last_offset_delta(), 4);
  EXPECT_EQ(batch->base_timestamp(), timestamp_ms(start));
  EXPECT_EQ(batch->max_timestamp(), timestamp_ms(start + 9));
  EXPECT_FALSE(batch->is_log_append_time() || batch->is_control() || batch->has_delete_horizon());
}

TEST_P(golden, has_the_records_that_were_sent) {
  auto batch = batch_view::parse(bytes_);
  ASSERT_TRUE(batch);
  auto body = plain_body::open(*batch, plain_bytes_max);
  ASSERT_TRUE(body) << text_of(body.error());
  record_reader reader(body->bytes());
  record_view record;
  int index = 0;
  for (const auto& expected : expected_records()) {
    ASSERT_TRUE(reader.next(record)) << index;
    EXPECT_EQ(record.offset_delta, index++);
    EXPECT_EQ(record.timestamp(batch->base_timestamp()), timestamp_ms(expected.timestamp));
    ASSERT_EQ(record.key.has_value(), expected.key.has_value());
    if (record.key) EXPECT_EQ(as_text(*record.key), *expected.key);
    ASSERT_EQ(record.value.has_value(), expected.value.has_value());
    if (record.value) EXPECT_EQ(as_text(*record.value), *expected.value);
    auto headers = record.headers();
    for (const auto& [key, value] : expected.headers) {
      auto header = headers.next();
      ASSERT_TRUE(header);
      EXPECT_EQ(header->key, key);
      ASSERT_TRUE(header->value);
      EXPECT_EQ(as_text(*header->value), value);
    }
    EXPECT_FALSE(headers.next());
  }
  EXPECT_FALSE(reader.next(record));
  EXPECT_FALSE(reader.broken());
  EXPECT_TRUE(reader.at_end());
}

TEST_P(golden, is_searched_by_timestamp) {
  auto batch = batch_view::parse(bytes_);
  ASSERT_TRUE(batch);
  auto find = [&](std::int64_t target, std::int64_t not_before) {
    auto found = find_timestamp(*batch, offset(100), timestamp_ms(target), offset(not_before), plain_bytes_max);
    EXPECT_TRUE(found);
    return found.value_or(std::nullopt);
  };
  using found = std::optional<found_record>;
  EXPECT_EQ(find(0, 0), found({offset(100), timestamp_ms(start)}));
  EXPECT_EQ(find(start, 0), found({offset(100), timestamp_ms(start)}));
  EXPECT_EQ(find(start + 1, 0), found({offset(101), timestamp_ms(start + 5)}));
  EXPECT_EQ(find(start + 1, 102), found({offset(102), timestamp_ms(start + 3)}));
  EXPECT_EQ(find(start + 6, 0), found({offset(103), timestamp_ms(start + 9)}));
  EXPECT_EQ(find(start + 9, 104), found({offset(104), timestamp_ms(start + 9)}));
  EXPECT_EQ(find(start + 10, 0), std::nullopt);
  EXPECT_EQ(find(start, 105), std::nullopt);
  EXPECT_EQ(find_max_timestamp(*batch, offset(100), offset(0), plain_bytes_max).value(),
            found({offset(103), timestamp_ms(start + 9)}));
}

TEST_P(golden, is_refused_when_cut_anywhere) {
  for (std::size_t size = 0; size < bytes_.size(); ++size) {
    // A copy of exactly that size, so that a sanitizer sees a read beyond it.
    std::vector<std::byte> cut(bytes_.begin(), bytes_.begin() + std::ptrdiff_t(size));
    auto info = validate_produced(cut, {});
    ASSERT_FALSE(info) << size;
    ASSERT_EQ(info.error().fault, size ? batch_fault::truncated : batch_fault::no_batch) << size;
  }
}

TEST_P(golden, body_is_refused_when_cut_anywhere) {
  auto batch = batch_view::parse(bytes_);
  ASSERT_TRUE(batch);
  if (*batch->compression() == compression_type::none) return;
  auto whole = decompress(*batch->compression(), batch->body(), plain_bytes_max);
  ASSERT_TRUE(whole);
  bool is_framed_snappy = as_text(batch->body()).starts_with("\x82SNAPPY");
  for (std::size_t size = 0; size < batch->body().size(); ++size) {
    std::vector<std::byte> cut(batch->body().begin(), batch->body().begin() + std::ptrdiff_t(size));
    auto plain = decompress(*batch->compression(), cut, plain_bytes_max);
    // Snappy's framing has no end: what is cut just after the header is a whole stream of nothing.
    if (is_framed_snappy && size == 16)
      ASSERT_TRUE(plain && plain->empty());
    else
      ASSERT_FALSE(plain) << size;
  }
}

TEST_P(golden, is_refused_with_any_bit_flipped) {
  for (std::size_t bit = 0; bit < bytes_.size() * 8; ++bit) {
    auto flipped = bytes_;
    flipped[bit / 8] ^= std::byte(1 << bit % 8);
    auto info = validate_produced(flipped, {});
    bool is_leader_epoch = bit / 8 >= layout::leader_epoch && bit / 8 < layout::magic;
    // The leader epoch is the broker's to set, and covered by nothing.
    ASSERT_EQ(info.has_value(), is_leader_epoch) << bit;
    if (bit / 8 >= layout::crc) ASSERT_TRUE(info.error().fault == batch_fault::wrong_crc) << bit;
  }
}

TEST_P(golden, builder_makes_the_same_uncompressed_bytes) {
  auto batch = batch_view::parse(bytes_);
  ASSERT_TRUE(batch);
  batch_settings settings;
  settings.compression = *batch->compression();
  settings.producer = batch->producer();
  settings.producer_epoch = batch->producer_epoch();
  settings.base_sequence = batch->base_sequence();
  settings.leader_epoch = batch->leader_epoch();
  batch_builder builder(settings);
  for (const auto& expected : expected_records()) {
    std::vector<record_header> headers;
    for (const auto& [key, value] : expected.headers) headers.push_back({key, as_bytes(value)});
    builder.add(timestamp_ms(expected.timestamp), expected.key, expected.value, headers);
  }
  auto built = builder.build();
  if (settings.compression == compression_type::none) {
    EXPECT_EQ(built, bytes_);
    return;
  }
  // Compressors differ; the records must not.
  auto built_batch = batch_view::parse(built);
  ASSERT_TRUE(built_batch);
  auto ours = plain_body::open(*built_batch, plain_bytes_max), theirs = plain_body::open(*batch, plain_bytes_max);
  ASSERT_TRUE(ours && theirs);
  EXPECT_EQ(as_text(ours->bytes()), as_text(theirs->bytes()));
  EXPECT_TRUE(validate_produced(built, {}));
}

INSTANTIATE_TEST_SUITE_P(clients, golden, testing::ValuesIn([] {
                           std::vector<capture> all;
                           for (const char* client : {"java", "confluent-kafka", "kafka-python", "aiokafka", "sarama",
                                                      "franz-go", "kafka-go"})
                             for (const char* compression : {"none", "gzip", "snappy", "lz4", "zstd"})
                               all.push_back({client, compression});
                           return all;
                         }()),
                         [](const auto& info) {
                           std::string name = info.param.client + "_" + info.param.compression;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });
}  // namespace
}  // namespace yaks::records

// Goal: nothing is stored that a consumer could not read, and each refusal has its reason.
// Method: a good batch, broken in one way at a time with its checksum made right again; bodies written by hand; random
// bytes behind a true checksum, so that the record walk sees them.
#include <gtest/gtest.h>
// gtest first: rapidcheck's header needs it.
#include <rapidcheck/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "records/builder.hpp"
#include "records/compression.hpp"
#include "records/timestamp_search.hpp"
#include "records/validate.hpp"

namespace yaks::records {
namespace {
using bytes = std::vector<std::byte>;

batch_builder three_records(batch_settings settings = {}) {
  batch_builder builder(settings);
  builder.add(timestamp_ms(1000), "a", "1")
      .add(timestamp_ms(3000), "b", "22")
      .add(timestamp_ms(2000), "c", std::nullopt);
  return builder;
}
template <class T>
bytes with(bytes batch, std::size_t at, T value) {
  store_big_endian(batch.data() + at, value);
  reseal(batch);
  return batch;
}
// An uncompressed batch of `count` records around a body written by hand.
bytes with_body(std::int32_t count, const std::vector<int>& body) {
  auto batch = three_records().build();
  batch.resize(batch_header_bytes);
  for (int b : body) batch.push_back(std::byte(b));
  store_big_endian(batch.data() + layout::length, std::int32_t(batch.size() - batch_length_overhead));
  store_big_endian(batch.data() + layout::last_offset_delta, count - 1);
  return with(batch, layout::record_count, count);
}
std::optional<batch_fault> fault(const bytes& batch, const produce_rules& rules = {}) {
  auto info = validate_produced(batch, rules);
  if (info) return std::nullopt;
  EXPECT_TRUE(info.error().text.starts_with(text_of(info.error().fault)));
  return info.error().fault;
}

TEST(validate_produced, describes_what_it_accepts) {
  auto batch = three_records().build();
  auto info = validate_produced(batch, {});
  ASSERT_TRUE(info) << info.error().text;
  batch_info expected;
  expected.bytes = std::uint32_t(batch.size());
  expected.record_count = 3;
  expected.max_timestamp = timestamp_ms(3000);
  expected.crc32c = crc32c(batch);
  EXPECT_EQ(*info, expected);

  batch_settings settings;
  settings.compression = compression_type::lz4;
  settings.producer = producer_id(7);
  settings.producer_epoch = 0;
  settings.base_sequence = 0x7fffffff;
  settings.is_transactional = true;
  batch = three_records(settings).build();
  info = validate_produced(batch, {});
  ASSERT_TRUE(info) << info.error().text;
  expected.bytes = std::uint32_t(batch.size());
  expected.crc32c = crc32c(batch);
  expected.compression = compression_type::lz4;
  expected.producer = producer_id(7);
  expected.producer_epoch = 0;
  expected.base_sequence = 0x7fffffff;
  expected.is_transactional = true;
  EXPECT_EQ(*info, expected);
}

TEST(validate_produced, believes_the_records_about_their_timestamps) {
  auto wrong = with(three_records().build(), layout::max_timestamp, std::int64_t(-1));
  EXPECT_EQ(validate_produced(wrong, {})->max_timestamp, timestamp_ms(3000));
  batch_settings zstd;
  zstd.compression = compression_type::zstd;
  wrong = with(three_records(zstd).build(), layout::max_timestamp, std::int64_t(-1));
  EXPECT_EQ(validate_produced(wrong, {})->max_timestamp, timestamp_ms(1000)) << "at least the first record's";
}

TEST(validate_produced, refuses_other_than_one_batch) {
  auto batch = three_records().build();
  EXPECT_EQ(fault({}), batch_fault::no_batch);
  auto two = batch;
  two.insert(two.end(), batch.begin(), batch.end());
  EXPECT_EQ(fault(two), batch_fault::several_batches);
  two.pop_back();
  EXPECT_EQ(fault(two), batch_fault::trailing_bytes);
  batch.push_back(std::byte(0));
  EXPECT_EQ(fault(batch), batch_fault::trailing_bytes);
}

TEST(validate_produced, refuses_each_wrong_header_field) {
  auto good = three_records().build();
  EXPECT_EQ(fault(good), std::nullopt);
  EXPECT_EQ(fault(with(good, layout::base_offset, std::int64_t(1))), batch_fault::base_offset_not_zero);
  EXPECT_EQ(fault(with(good, layout::magic, std::int8_t(0))), batch_fault::old_magic);
  EXPECT_EQ(fault(with(good, layout::magic, std::int8_t(1))), batch_fault::old_magic);
  EXPECT_EQ(fault(with(good, layout::magic, std::int8_t(3))), batch_fault::unknown_magic);
  auto corrupt = good;
  corrupt.back() ^= std::byte(1);
  EXPECT_EQ(fault(corrupt), batch_fault::wrong_crc);
  for (std::int16_t code : {5, 6, 7})
    EXPECT_EQ(fault(with(good, layout::attributes, code)), batch_fault::unknown_compression);
  EXPECT_EQ(fault(with(good, layout::attributes, attribute_control)), batch_fault::control_batch);
  EXPECT_EQ(fault(with(good, layout::attributes, attribute_log_append_time)), batch_fault::log_append_time);
  for (std::int32_t count : {0, -1, 2, 4, 0x7fffffff})
    EXPECT_EQ(fault(with(good, layout::record_count, count)), batch_fault::wrong_offset_range) << count;
  for (std::int32_t delta : {-1, 1, 3, 0x7fffffff})
    EXPECT_EQ(fault(with(good, layout::last_offset_delta, delta)), batch_fault::wrong_offset_range) << delta;
  // No records, consistently.
  EXPECT_EQ(fault(with(with(good, layout::record_count, 0), layout::last_offset_delta, -1)),
            batch_fault::wrong_offset_range);
}

TEST(validate_produced, wants_epoch_and_sequence_with_a_producer_id) {
  auto batch = with(three_records().build(), layout::producer_id, std::int64_t(0));
  EXPECT_EQ(fault(batch), batch_fault::missing_sequence);
  batch = with(batch, layout::producer_epoch, std::int16_t(0));
  EXPECT_EQ(fault(batch), batch_fault::missing_sequence);
  batch = with(batch, layout::base_sequence, 0);
  EXPECT_EQ(fault(batch), std::nullopt);
  EXPECT_EQ(fault(with(batch, layout::producer_epoch, std::int16_t(-1))), batch_fault::missing_sequence);
  // Without one, the other two mean nothing.
  auto info = validate_produced(with(batch, layout::producer_id, std::int64_t(-2)), {});
  ASSERT_TRUE(info);
  EXPECT_EQ(info->producer, no_producer);
  EXPECT_EQ(info->producer_epoch, -1);
  EXPECT_EQ(info->base_sequence, -1);
}

TEST(validate_produced, keeps_to_the_topics_rules) {
  auto batch = three_records().build();
  produce_rules rules;
  rules.batch_bytes_max = std::uint32_t(batch.size());
  EXPECT_EQ(fault(batch, rules), std::nullopt);
  --rules.batch_bytes_max;
  EXPECT_EQ(fault(batch, rules), batch_fault::batch_too_large);

  batch_settings zstd;
  zstd.compression = compression_type::zstd;
  EXPECT_EQ(fault(three_records(zstd).build(), {.allows_zstd = true}), std::nullopt);
  EXPECT_EQ(fault(three_records(zstd).build(), {.allows_zstd = false}), batch_fault::zstd_too_early);

  EXPECT_EQ(fault(batch, {.requires_keys = true}), std::nullopt);
  auto keyless = three_records().add(timestamp_ms(0), std::nullopt, "x").build();
  EXPECT_EQ(fault(keyless), std::nullopt);
  auto failed = validate_produced(keyless, {.requires_keys = true});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().fault, batch_fault::missing_key);
  EXPECT_EQ(failed.error().record_index, 3);

  EXPECT_EQ(fault(batch, {.timestamp_min = timestamp_ms(1000), .timestamp_max = timestamp_ms(3000)}), std::nullopt);
  failed = validate_produced(batch, {.timestamp_max = timestamp_ms(2999)});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().fault, batch_fault::timestamp_out_of_range);
  EXPECT_EQ(failed.error().record_index, 1);
  EXPECT_EQ(fault(batch, {.timestamp_min = timestamp_ms(1001)}), batch_fault::timestamp_out_of_range);
  EXPECT_EQ(fault(three_records(zstd).build(), {.timestamp_max = timestamp_ms(2999)}),
            batch_fault::timestamp_out_of_range);
  auto timeless = batch_builder().add(no_timestamp, "k", "v").build();
  EXPECT_EQ(fault(timeless, {.timestamp_min = timestamp_ms(0)}), std::nullopt);
}

TEST(validate_produced, reports_what_kafka_would_report_first) {
  // Wrong in three ways: too large, wrong checksum, wrong count.
  auto batch = three_records().build();
  store_big_endian(batch.data() + layout::record_count, 9);
  EXPECT_EQ(fault(batch, {.batch_bytes_max = 10}), batch_fault::batch_too_large);
  EXPECT_EQ(fault(batch), batch_fault::wrong_crc);
  reseal(batch);
  EXPECT_EQ(fault(batch), batch_fault::wrong_offset_range);
}

TEST(validate_produced, walks_uncompressed_records) {
  // length, attributes, timestamp delta, offset delta, key length, value length, header count; all zigzag
  const std::vector<int> one{12, 0, 0, 0, 1, 1, 0};
  EXPECT_EQ(fault(with_body(1, one)), std::nullopt);
  EXPECT_EQ(fault(with_body(2, {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0})), std::nullopt);
  EXPECT_EQ(fault(with_body(1, {16, 0, 0, 0, 2, 'k', 2, 'v', 0})), std::nullopt);
  EXPECT_EQ(fault(with_body(1, {20, 0, 0, 0, 1, 1, 2, 2, 'h', 2, 'v'})), std::nullopt);

  EXPECT_EQ(fault(with_body(1, {})), batch_fault::wrong_record_count);
  EXPECT_EQ(fault(with_body(2, one)), batch_fault::wrong_record_count);
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 1, 1, 0, 0})), batch_fault::wrong_record_count) << "bytes are left over";
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 1, 1, 0})), batch_fault::wrong_record_count);
  EXPECT_EQ(fault(with_body(0x7fffffff, one)), batch_fault::wrong_record_count);

  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 2, 1, 1, 0})), batch_fault::wrong_offset_delta);
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 1, 1, 1, 0})), batch_fault::wrong_offset_delta) << "negative";
  EXPECT_EQ(fault(with_body(2, {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0})), batch_fault::wrong_offset_delta);

  auto broken = batch_fault::broken_record;
  EXPECT_EQ(fault(with_body(1, {0})), broken) << "no room for anything";
  EXPECT_EQ(fault(with_body(1, {1, 0, 0, 0, 1, 1, 0})), broken) << "negative length";
  EXPECT_EQ(fault(with_body(1, {14, 0, 0, 0, 1, 1, 0})), broken) << "longer than the batch";
  EXPECT_EQ(fault(with_body(1, {10, 0, 0, 0, 1, 1, 0})), broken) << "shorter than its fields";
  EXPECT_EQ(fault(with_body(1, {14, 0, 0, 0, 1, 1, 0, 0})), broken) << "longer than its fields";
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 3, 1, 0})), broken) << "key of length -2";
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 8, 1, 0})), broken) << "key longer than the record";
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 1, 8, 0})), broken) << "value longer than the record";
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 1, 1, 1})), broken) << "-1 headers";
  EXPECT_EQ(fault(with_body(1, {12, 0, 0, 0, 1, 1, 2})), broken) << "a header that is not there";
  EXPECT_EQ(fault(with_body(1, {16, 0, 0, 0, 1, 1, 2, 1, 0})), broken) << "a header without a key";
  EXPECT_EQ(fault(with_body(1, {20, 0, 0, 0, 1, 1, 4, 2, 'h', 2, 'v'})), broken) << "one header of two";
  EXPECT_EQ(fault(with_body(1, {22, 0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0})), broken) << "2^31 headers";
  EXPECT_EQ(fault(with_body(1, {0x80, 0x80, 0x80, 0x80, 0x80, 0x00})), broken) << "varint of six bytes";
  EXPECT_EQ(fault(with_body(1, {0xff, 0xff, 0xff, 0xff, 0x1f})), broken) << "varint of 33 bits";
  EXPECT_EQ(fault(with_body(1, {0x80})), broken) << "varint without an end";

  auto failed = validate_produced(with_body(2, {12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 2, 3, 1, 0}), {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().record_index, 1);
}

TEST(validate_produced, survives_timestamps_that_overflow) {
  auto batch = with(three_records().build(), layout::base_timestamp, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(validate_produced(batch, {})->max_timestamp, timestamp_ms(std::numeric_limits<std::int64_t>::max()));
}

TEST(validate_produced, does_not_decompress) {
  batch_settings gzip;
  gzip.compression = compression_type::gzip;
  auto batch = three_records(gzip).build();
  batch[batch_header_bytes] = std::byte(0);
  reseal(batch);
  EXPECT_EQ(fault(batch), std::nullopt);
  EXPECT_EQ(plain_body::open(*batch_view::parse(batch), 1000).error(), batch_fault::broken_compression);
  batch.resize(batch_header_bytes);
  store_big_endian(batch.data() + layout::length, std::int32_t(batch_header_bytes - batch_length_overhead));
  reseal(batch);
  EXPECT_EQ(fault(batch), batch_fault::wrong_record_count);
}

RC_GTEST_PROP(validate_produced, accepts_what_the_builder_makes, ()) {
  batch_settings settings;
  settings.compression = compression_type(*rc::gen::inRange(0, 5));
  batch_builder builder(settings);
  struct entry {
    std::int64_t timestamp;
    rc::Maybe<std::string> key, value;
    std::vector<std::string> headers;
  };
  auto entries = *rc::gen::nonEmpty(rc::gen::container<std::vector<entry>>(
      rc::gen::build<entry>(rc::gen::set(&entry::timestamp), rc::gen::set(&entry::key), rc::gen::set(&entry::value),
                            rc::gen::set(&entry::headers))));
  auto optional = [](const rc::Maybe<std::string>& maybe) {
    return maybe ? std::optional<std::string_view>(*maybe) : std::nullopt;
  };
  for (const auto& e : entries) {
    std::vector<record_header> headers;
    for (const auto& h : e.headers) headers.push_back({h, h.empty() ? std::optional<byte_view>() : as_bytes(h)});
    builder.add(timestamp_ms(e.timestamp), optional(e.key), optional(e.value), headers);
  }
  auto batch = builder.build();
  auto info = validate_produced(batch, {});
  RC_ASSERT(info.has_value());
  RC_ASSERT(info->record_count == entries.size());
  RC_ASSERT(info->crc32c == crc32c(batch));

  auto view = *batch_view::parse(batch);
  auto body = plain_body::open(view, builder.plain_bytes());
  RC_ASSERT(body.has_value());
  record_reader reader(body->bytes());
  record_view record;
  for (const auto& e : entries) {
    RC_ASSERT(reader.next(record));
    RC_ASSERT(record.timestamp(view.base_timestamp()) == timestamp_ms(e.timestamp));
    auto same = [](std::optional<byte_view> read, const rc::Maybe<std::string>& written) {
      return read ? bool(written) && as_text(*read) == *written : !written;
    };
    RC_ASSERT(same(record.key, e.key));
    RC_ASSERT(same(record.value, e.value));
    auto headers = record.headers();
    for (const auto& h : e.headers) {
      auto header = headers.next();
      RC_ASSERT((header && header->key == h));
      RC_ASSERT((header->value ? as_text(*header->value) == h : h.empty()));
    }
    RC_ASSERT(!headers.next());
  }
  RC_ASSERT(reader.at_end());
}

// The plain definition of the searches, over all records.
RC_GTEST_PROP(timestamp_search, finds_what_a_scan_finds, ()) {
  batch_settings settings;
  settings.compression = compression_type(*rc::gen::inRange(0, 5));
  batch_builder builder(settings);
  auto times = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(-3, 20)));
  for (int time : times) builder.add(timestamp_ms(time), std::nullopt, "v");
  auto batch = builder.build();
  auto view = *batch_view::parse(batch);
  const auto base = offset(*rc::gen::inRange(0, 1000));
  const auto not_before = base + *rc::gen::inRange(-2, int(times.size()) + 2);
  const auto target = timestamp_ms(*rc::gen::inRange(-4, 22));

  std::optional<found_record> first, max;
  for (std::size_t i = 0; i < times.size(); ++i) {
    found_record record{base + std::int64_t(i), timestamp_ms(times[i])};
    if (record.at < not_before) continue;
    if (!first && record.timestamp >= target) first = record;
    if (!max || record.timestamp > max->timestamp) max = record;
  }
  RC_ASSERT(find_timestamp(view, base, target, not_before, 1 << 20).value() == first);
  RC_ASSERT(find_max_timestamp(view, base, not_before, 1 << 20).value() == max);

  // With log append time, all records have the batch's.
  set_log_append_time(batch, timestamp_ms(10));
  std::optional<found_record> appended;
  if (not_before < base + std::int64_t(times.size()))
    appended = found_record{std::max(base, not_before), timestamp_ms(10)};
  RC_ASSERT(find_max_timestamp(view, base, not_before, 1 << 20).value() == appended);
  RC_ASSERT(find_timestamp(view, base, target, not_before, 1 << 20).value() ==
            (target <= timestamp_ms(10) ? appended : std::nullopt));
}

TEST(timestamp_search, reports_what_it_cannot_read) {
  batch_settings gzip;
  gzip.compression = compression_type::gzip;
  auto batch = three_records(gzip).build();
  auto find = [&](std::size_t limit) {
    return find_timestamp(*batch_view::parse(batch), offset(0), timestamp_ms(9999), offset(0), limit);
  };
  EXPECT_EQ(find(1000).value(), std::optional<found_record>());
  EXPECT_EQ(find(10).error(), batch_fault::decompressed_too_large);
  store_big_endian(batch.data() + layout::record_count, 4);
  EXPECT_EQ(find(1000).error(), batch_fault::wrong_record_count);
  batch[batch_header_bytes] = std::byte(0);
  EXPECT_EQ(find(1000).error(), batch_fault::broken_compression);
  batch[layout::attributes + 1] = std::byte(0);
  EXPECT_EQ(find(1000).error(), batch_fault::broken_record);
  batch[layout::attributes + 1] = std::byte(7);
  EXPECT_EQ(find(1000).error(), batch_fault::unknown_compression);
}

RC_GTEST_PROP(validate_produced, random_bodies_are_safe,
              (const std::vector<std::uint8_t>& body, std::int16_t attributes)) {
  auto batch = three_records().build();
  batch.resize(batch_header_bytes);
  for (auto b : body) batch.push_back(std::byte(b));
  batch.shrink_to_fit();
  store_big_endian(batch.data() + layout::length, std::int32_t(batch.size() - batch_length_overhead));
  batch = with(batch, layout::attributes, std::int16_t(attributes & attribute_compression));
  auto info = validate_produced(batch, {});
  if (info) RC_ASSERT(info->record_count == 3u);
  auto view = batch_view::parse(batch);
  auto found = find_timestamp(*view, offset(0), timestamp_ms(5000), offset(0), 100000);
  RC_CLASSIFY(found.has_value());
}
}  // namespace
}  // namespace yaks::records

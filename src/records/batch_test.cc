// Goal: batches are found, and changed, without touching more than is meant.
// Method: built batches against the layout; every change of the header against a checksum that is computed anew.
#include <gtest/gtest.h>
// gtest first: rapidcheck's header needs it.
#include <rapidcheck/gtest.h>

#include <vector>

#include "records/batch.hpp"
#include "records/builder.hpp"

namespace yaks::records {
namespace {
std::vector<std::byte> sample(std::size_t value_bytes = 100) {
  batch_settings settings;
  settings.producer = producer_id(0x1122334455667788);
  settings.producer_epoch = 0x1234;
  settings.base_sequence = 0x12345678;
  settings.is_transactional = true;
  return batch_builder(settings)
      .add(timestamp_ms(1000), "a", std::string(value_bytes, 'v'))
      .add(timestamp_ms(2000), std::nullopt, "b")
      .build();
}

TEST(batch_view, reads_every_field) {
  auto bytes = sample();
  set_base_offset(bytes, offset(0x0102030405060708));
  set_leader_epoch(bytes, 0x0a0b0c0d);
  bytes.push_back(std::byte(9));  // of whatever follows
  auto batch = batch_view::parse(bytes);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size_bytes(), bytes.size() - 1);
  EXPECT_EQ(batch->base_offset(), offset(0x0102030405060708));
  EXPECT_EQ(batch->last_offset(), offset(0x0102030405060709));
  EXPECT_EQ(batch->next_offset(), offset(0x010203040506070a));
  EXPECT_EQ(batch->leader_epoch(), 0x0a0b0c0d);
  EXPECT_EQ(batch->last_offset_delta(), 1);
  EXPECT_EQ(batch->base_timestamp(), timestamp_ms(1000));
  EXPECT_EQ(batch->max_timestamp(), timestamp_ms(2000));
  EXPECT_EQ(batch->producer(), producer_id(0x1122334455667788));
  EXPECT_EQ(batch->producer_epoch(), 0x1234);
  EXPECT_EQ(batch->base_sequence(), 0x12345678);
  EXPECT_EQ(batch->record_count(), 2);
  EXPECT_EQ(batch->compression(), compression_type::none);
  EXPECT_TRUE(batch->is_transactional());
  EXPECT_FALSE(batch->is_control() || batch->is_log_append_time() || batch->has_delete_horizon());
  EXPECT_TRUE(batch->crc_matches()) << "base offset and leader epoch are outside the checksum";
}

TEST(batch_view, knows_all_attributes) {
  auto bytes = sample();
  auto with = [&](std::int16_t attributes) {
    store_big_endian(bytes.data() + layout::attributes, attributes);
    return *batch_view::parse(bytes);
  };
  for (int code = 0; code < 8; ++code) {
    auto compression = with(std::int16_t(code)).compression();
    ASSERT_EQ(compression.has_value(), code <= 4);
    if (compression) EXPECT_EQ(int(*compression), code);
  }
  EXPECT_TRUE(with(8).is_log_append_time());
  EXPECT_TRUE(with(16).is_transactional());
  EXPECT_TRUE(with(32).is_control());
  EXPECT_TRUE(with(64).has_delete_horizon());
}

TEST(batch_view, says_what_is_wrong_with_the_structure) {
  auto fault_with = [](std::int32_t length, int magic, std::size_t size) {
    std::vector<std::byte> bytes(size);
    if (size >= 12) store_big_endian(bytes.data() + layout::length, length);
    if (size > layout::magic) bytes[layout::magic] = std::byte(magic);
    auto batch = batch_view::parse(bytes);
    EXPECT_FALSE(batch);
    return batch ? batch_fault::no_batch : batch.error();
  };
  EXPECT_EQ(fault_with(49, 2, 0), batch_fault::no_batch);
  EXPECT_EQ(fault_with(49, 2, 11), batch_fault::truncated);
  EXPECT_EQ(fault_with(49, 2, 16), batch_fault::truncated);
  EXPECT_EQ(fault_with(49, 2, 60), batch_fault::truncated);
  EXPECT_EQ(fault_with(50, 2, 61), batch_fault::truncated);
  EXPECT_EQ(fault_with(0x7fffffff, 2, 100), batch_fault::truncated);
  EXPECT_EQ(fault_with(48, 2, 100), batch_fault::length_too_small);
  EXPECT_EQ(fault_with(13, 0, 100), batch_fault::length_too_small);
  EXPECT_EQ(fault_with(0, 2, 100), batch_fault::length_too_small);
  EXPECT_EQ(fault_with(-1, 2, 100), batch_fault::length_too_small);
  EXPECT_EQ(fault_with(-0x7fffffff, 2, 100), batch_fault::length_too_small);
  EXPECT_EQ(fault_with(14, 0, 26), batch_fault::old_magic);
  EXPECT_EQ(fault_with(49, 1, 100), batch_fault::old_magic);
  EXPECT_EQ(fault_with(49, 3, 100), batch_fault::unknown_magic);
  EXPECT_EQ(fault_with(49, 0xff, 100), batch_fault::unknown_magic);
}

TEST(batch_reader, walks_batches_and_stops_where_one_is_cut) {
  auto first = sample(10), second = sample(1000);
  auto bytes = first;
  bytes.insert(bytes.end(), second.begin(), second.end());
  batch_reader reader(bytes);
  EXPECT_EQ(reader.next()->size_bytes(), first.size());
  EXPECT_EQ(reader.position(), first.size());
  EXPECT_EQ(reader.next()->size_bytes(), second.size());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.fault());
  EXPECT_EQ(reader.position(), bytes.size());

  batch_reader cut(byte_view(bytes).first(bytes.size() - 1));
  EXPECT_TRUE(cut.next());
  EXPECT_FALSE(cut.next());
  EXPECT_EQ(cut.fault(), batch_fault::truncated);
  EXPECT_EQ(cut.position(), first.size());
  EXPECT_FALSE(cut.next());
  EXPECT_FALSE(batch_reader({}).next());
}

RC_GTEST_PROP(batch_changes, keep_the_checksum_true, (std::int64_t base, std::int32_t epoch, std::int64_t time)) {
  auto bytes = sample(*rc::gen::inRange<std::size_t>(0, 5000));
  auto before = bytes;
  auto view = *batch_view::parse(bytes);

  set_base_offset(bytes, offset(base));
  set_leader_epoch(bytes, epoch);
  RC_ASSERT(view.crc_matches());
  RC_ASSERT(view.crc_of_all_bytes() == crc32c(bytes));

  set_max_timestamp(bytes, timestamp_ms(time));
  RC_ASSERT(view.crc_matches());
  RC_ASSERT(view.max_timestamp() == timestamp_ms(time));
  RC_ASSERT(!view.is_log_append_time());

  set_log_append_time(bytes, timestamp_ms(~time));
  RC_ASSERT(view.crc_matches());
  RC_ASSERT(view.max_timestamp() == timestamp_ms(~time));
  RC_ASSERT(view.is_log_append_time());
  RC_ASSERT(view.is_transactional());
  RC_ASSERT(view.crc_of_all_bytes() == crc32c(bytes));

  // Nothing else has changed.
  store_big_endian(before.data() + layout::base_offset, base);
  store_big_endian(before.data() + layout::leader_epoch, epoch);
  store_big_endian(before.data() + layout::max_timestamp, ~time);
  before[layout::attributes + 1] |= std::byte(8);
  reseal(before);
  RC_ASSERT(before == bytes);
}

TEST(batch_changes, do_not_hide_corruption) {
  auto bytes = sample();
  bytes.back() ^= std::byte(1);
  set_log_append_time(bytes, timestamp_ms(5));
  EXPECT_FALSE(batch_view::parse(bytes)->crc_matches());
}

TEST(batch_changes, combine_an_objects_checksum_from_its_batches) {
  std::vector<std::byte> object;
  std::uint32_t combined = 0;
  for (std::size_t size : {1, 100, 5000, 70000}) {
    auto bytes = sample(size);
    auto batch = batch_view::parse(bytes);
    combined = crc32c_combine(combined, batch->crc_of_all_bytes(), batch->size_bytes());
    object.insert(object.end(), bytes.begin(), bytes.end());
  }
  EXPECT_EQ(combined, crc32c(object));
}
}  // namespace
}  // namespace yaks::records

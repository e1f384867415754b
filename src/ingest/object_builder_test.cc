// Goal: an object is exactly its batches, sorted, with a footer that describes them and a checksum that is right; the PUT budget
// neither exceeds its rate nor keeps a lone record waiting.
// Method: random batches of all sizes; the object is put together and read back from its bytes alone.
#include "ingest/object_builder.hpp"

#include <gtest/gtest.h>

#include "ingest/put_budget.hpp"
#include "records/builder.hpp"
#include "records/validate.hpp"

namespace yaks::ingest {
namespace {
produced_batch batch_for(topic_partition where, std::string_view value, std::int32_t sequence = -1) {
  records::batch_settings settings;
  if (sequence >= 0) settings.producer = producer_id(7), settings.producer_epoch = 0, settings.base_sequence = sequence;
  records::batch_builder builder(settings);
  builder.add(timestamp_ms(1'700'000'000'000), "key", value);
  auto bytes = shared_bytes::copy_of(builder.build());
  auto info = records::validate_produced(bytes.view(), {});
  EXPECT_TRUE(info);
  return {.where = where,
          .bytes = bytes,
          .info = {.bytes = info->bytes, .record_count = info->record_count, .max_timestamp = info->max_timestamp,
                   .producer = info->producer, .producer_epoch = info->producer_epoch, .base_sequence = info->base_sequence},
          .crc32c = info->crc32c};
}

topic_partition at(std::uint64_t topic, std::int32_t partition) { return {topic_id(uuid::v4(topic, 1)), partition_index(partition)}; }

TEST(object_builder, lays_batches_out_by_topic_and_partition) {
  std::vector<produced_batch> batches;
  for (int i = 0; i < 60; ++i)
    batches.push_back(batch_for(at(std::uint64_t(i) % 3, i % 5), std::string(std::size_t(1) << (i % 15), char('a' + i % 26)), i));
  auto id = object_id(uuid::v7(1'700'000'000'000, 1, 2));
  auto built = build_object(id, batches);

  std::string bytes;
  for (const auto& s : built.segments) bytes += as_text(s.view());
  ASSERT_EQ(bytes.size(), built.bytes);
  EXPECT_EQ(records::crc32c(as_bytes(bytes)), built.crc32c);

  auto footer = read_footer(as_bytes(bytes));
  ASSERT_TRUE(footer);
  EXPECT_EQ(*footer, built.commit);
  EXPECT_EQ(footer->object, id);

  std::size_t position = 0, i = 0;
  std::optional<topic_partition> last;
  for (const auto& t : footer->topics)
    for (const auto& p : t.partitions) {
      topic_partition here{t.topic, p.partition};
      EXPECT_TRUE(!last || *last < here);
      last = here;
      std::size_t last_arrival = 0;
      for (const auto& b : p.batches) {
        auto arrival = built.order[i];
        EXPECT_TRUE(&b == &p.batches.front() || arrival > last_arrival);  // in order of arrival within a partition
        last_arrival = arrival;
        EXPECT_EQ(batches[arrival].where, here);
        EXPECT_EQ(bytes.substr(position, b.bytes), as_text(batches[arrival].bytes.view()));
        EXPECT_EQ(as_text(built.stored[i].view()), as_text(batches[arrival].bytes.view()));
        position += b.bytes;
        ++i;
      }
    }
  EXPECT_EQ(i, batches.size());
  EXPECT_EQ(position, footer->object_bytes);
}

TEST(object_builder, copies_only_small_batches) {
  auto big = batch_for(at(1, 0), std::string(100'000, 'x'));
  auto small = batch_for(at(1, 1), "x");
  auto built = build_object(object_id(uuid::v7(1, 1, 1)), {big, small});
  EXPECT_EQ(built.stored[0].data(), big.bytes.data());
  EXPECT_NE(built.stored[1].data(), small.bytes.data());
}

TEST(object_builder, a_damaged_or_cut_footer_is_none) {
  auto built = build_object(object_id(uuid::v7(1, 1, 1)), {batch_for(at(1, 0), "value")});
  auto footer = built.segments.back();
  ASSERT_TRUE(read_footer(footer.view()));
  for (std::size_t i = 0; i < footer.size(); ++i) {
    auto damaged = shared_bytes::copy_of(footer.view());
    damaged.writable()[i] ^= std::byte(0x20);
    EXPECT_FALSE(read_footer(damaged.view())) << i;
  }
  for (std::size_t size = 0; size < footer.size(); ++size) EXPECT_FALSE(read_footer(footer.view().last(size))) << size;
}

TEST(put_budget, a_lone_record_finds_a_token_and_a_stream_keeps_the_rate) {
  time_point now{};
  put_budget budget(250ms, 2, now);
  int puts = 0;
  for (; now < time_point(100s); now += 1ms)  // something waits at every moment
    if (budget.available_at(now) <= now) budget.take(now), ++puts;
  EXPECT_GE(puts, 400);
  EXPECT_LE(puts, 402);
  now += 250ms;
  EXPECT_EQ(budget.available_at(now), now);
}

TEST(put_budget, an_interval_of_zero_never_waits) {
  put_budget budget(0ms, 2, time_point{});
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(budget.available_at(time_point{}), time_point{});
    budget.take(time_point{});
  }
}
}  // namespace
}  // namespace yaks::ingest

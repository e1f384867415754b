// The field's nouns as types: pure values, no behaviour.
#pragma once
#include <cstdint>

#include "base/strong.hpp"
#include "base/uuid.hpp"

namespace yaks {
struct topic_id_tag { static constexpr bool is_countable = false; };
struct partition_index_tag { static constexpr bool is_countable = false; };
struct offset_tag { static constexpr bool is_countable = true; };
struct producer_id_tag { static constexpr bool is_countable = true; };
struct node_id_tag { static constexpr bool is_countable = false; };
struct object_id_tag { static constexpr bool is_countable = false; };
struct incarnation_tag { static constexpr bool is_countable = false; };
struct log_sequence_tag { static constexpr bool is_countable = true; };
struct timestamp_ms_tag { static constexpr bool is_countable = true; };

// Never reused: a topic that is deleted and created again has another one (KIP-516).
using topic_id = strong<topic_id_tag, uuid>;
using partition_index = strong<partition_index_tag, std::int32_t>;
// Position of a record in its partition. The high watermark is the offset that the next record gets.
using offset = strong<offset_tag, std::int64_t>;
using producer_id = strong<producer_id_tag, std::int64_t>;
using node_id = strong<node_id_tag, std::int32_t>;
// Name of an immutable object: a version 7 UUID whose time is the database's clock.
using object_id = strong<object_id_tag, uuid>;
// One life of an agent (or of one of its threads): made at start, fenced at its end, never used twice.
using incarnation = strong<incarnation_tag, uuid>;
// Place of an entry in the metadata log. The first entry is 1; 0 means "nothing applied yet".
using log_sequence = strong<log_sequence_tag, std::int64_t>;
// Unix time in milliseconds, of a record or of the database's clock; -1 where Kafka says "none".
using timestamp_ms = strong<timestamp_ms_tag, std::int64_t>;

inline constexpr producer_id no_producer{-1};
inline constexpr timestamp_ms no_timestamp{-1};
inline constexpr std::int32_t leader_epoch = 0;  // constant: there is no leader to change

struct topic_partition {
  topic_id topic;
  partition_index partition;
  constexpr auto operator<=>(const topic_partition&) const = default;
};
}  // namespace yaks

template <>
struct std::hash<yaks::topic_partition> {
  std::size_t operator()(const yaks::topic_partition& p) const noexcept {
    return std::hash<yaks::topic_id>{}(p.topic) * 31 + std::size_t(p.partition.value());
  }
};

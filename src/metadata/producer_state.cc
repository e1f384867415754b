#include "metadata/producer_state.hpp"

#include <algorithm>

namespace yaks::metadata {
batch_outcome producer_state::check(const batch_commit& batch) const {
  if (count_ == 0) return {};
  if (batch.producer_epoch < epoch_) return {.error = apply_error::invalid_producer_epoch};
  if (batch.producer_epoch > epoch_) {
    if (batch.base_sequence == 0) return {};
    return {.error = apply_error::out_of_order_sequence};
  }
  std::int32_t last = advance_sequence(batch.base_sequence, batch.record_count - 1);
  for (std::size_t i = 0; i < count_; ++i)
    if (batches_[i].first_sequence == batch.base_sequence && batches_[i].last_sequence == last)
      return {.duplicate = true, .base_offset = batches_[i].base_offset, .append_time = batches_[i].append_time};
  if (batch.base_sequence == advance_sequence(batches_[count_ - 1].last_sequence, 1)) return {};
  return {.error = apply_error::out_of_order_sequence};
}

void producer_state::add(const batch_commit& batch, offset base_offset, timestamp_ms append_time) {
  if (batch.producer_epoch != epoch_) {
    epoch_ = batch.producer_epoch;
    count_ = 0;
  }
  if (count_ == window) {
    std::move(batches_.begin() + 1, batches_.end(), batches_.begin());
    --count_;
  }
  batches_[count_++] = {batch.base_sequence, advance_sequence(batch.base_sequence, batch.record_count - 1), base_offset,
                        append_time};
  last_write_ = append_time;
}
}  // namespace yaks::metadata

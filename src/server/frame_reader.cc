#include "server/frame_reader.hpp"

#include <algorithm>
#include <bit>

#include "base/endian.hpp"

namespace yaks {
namespace {
constexpr std::size_t length_bytes = 4;
constexpr std::size_t small_bytes_min = 4096, small_bytes_max = 65536;
// Less space than this at the end of a chunk is not worth a read.
constexpr std::size_t read_bytes_min = 512;
// A large frame's chunk may be so many times as large as what has arrived of it.
constexpr std::size_t ahead = 4;
}  // namespace

frame_reader::state frame_reader::take(shared_bytes& frame) {
  std::size_t have = buffered();
  if (have < length_bytes) return state::partial;
  auto length = load_big_endian<std::int32_t>(chunk_->data() + at_);
  if (length <= 0) return state::malformed;
  std::size_t bytes = std::size_t(length);
  if (bytes > frame_bytes_max_) return state::oversized;
  if (have - length_bytes < bytes) return state::partial;

  byte_view view(chunk_->data() + at_ + length_bytes, bytes);
  at_ += length_bytes + bytes;
  largest_frame_ = std::max(largest_frame_, bytes);
  unfinished_.charge(0);
  if (is_own_chunk_) {
    frame = shared_bytes(std::move(chunk_), view);
    chunk_ = nullptr;
    at_ = filled_ = 0;
    is_own_chunk_ = false;
  } else {
    frame = shared_bytes(chunk_, view);
  }
  return state::frame;
}

awaitable<void> frame_reader::fill() {
  if (buffered() > 0) {
    unfinished_.charge(buffered());
    co_await unfinished_.wait_for_room();
    if (unfinished_.is_evicted()) throw boost::system::system_error(asio::error::no_memory);
  }
  make_space();
  std::size_t space = chunk_->size() - filled_;
  std::size_t read = co_await from_.read_some({chunk_->data() + filled_, space});
  filled_ += read;
  bytes_received_ += read;
  largest_read_ = std::max(largest_read_, read);
  was_filled_ = read == space && 2 * space >= chunk_->size();
}

// Of the frame that has begun, as far as known: its length field, or all of it.
std::size_t frame_reader::wanted() const {
  if (buffered() < length_bytes) return length_bytes;
  return length_bytes + std::size_t(load_big_endian<std::int32_t>(chunk_->data() + at_));
}

void frame_reader::make_space() {
  std::size_t have = buffered(), want = wanted();
  if (want > small_bytes_max) {
    if (is_own_chunk_ && filled_ < chunk_->size()) return;
    // A length costs its sender 4 bytes, so it must not cost us 100 MB. A client that has sent a frame of this size
    // before gets the whole chunk at once, and nothing but the frame's head is copied. One that has not gets four times
    // what has arrived, again and again: its first large frame is copied once more, a third of it on average.
    std::size_t trusted = std::max({ahead * have, largest_frame_ + length_bytes, small_bytes_max});
    move_to(std::min(want, trusted));
    is_own_chunk_ = true;
    return;
  }
  if (chunk_) {
    bool grows = was_filled_ && small_bytes_ < small_bytes_max;
    if (have == 0 && chunk_.use_count() == 1) at_ = filled_ = 0;  // nobody looks at it any more
    // Of a frame whose length is not known yet, one hopes for more than the length.
    std::size_t needed = have < length_bytes ? read_bytes_min : want - have;
    if (!grows && filled_ + needed <= chunk_->size()) return;
    // Grows with what the client sends, because each read should bring all that is there; shrinks, because a slice pins
    // its whole chunk, and an idle connection holds one.
    if (grows)
      small_bytes_ = std::min(small_bytes_ * 4, small_bytes_max);
    else if (largest_read_ * 8 < small_bytes_)
      small_bytes_ = std::max(small_bytes_ / 2, small_bytes_min);
  }
  small_bytes_ = std::max(small_bytes_, std::bit_ceil(want));
  move_to(small_bytes_);
}

// Goes on in a new chunk, with what has begun at its front.
void frame_reader::move_to(std::size_t bytes) {
  auto next = chunk::make(bytes);
  std::size_t have = buffered();
  if (have > 0) std::memcpy(next->data(), chunk_->data() + at_, have);
  chunk_ = std::move(next);
  at_ = 0;
  filled_ = have;
  largest_read_ = 0;
  was_filled_ = false;
}
}  // namespace yaks

// Cuts a byte stream into frames: int32 length, then so many bytes. One read brings as many frames as the client has
// sent; a frame is a slice of the chunk that was read into, and only the head of one that outgrows its chunk is copied.
//
// Memory: chunks for small frames have 4 KiB while the client sends little, and up to 64 KiB when it sends much. A
// larger frame is received into a chunk of its own; how much of that is allocated ahead of its arrival is bounded (see
// the body).
#pragma once
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "net/network.hpp"
#include "server/receive_budget.hpp"

namespace yaks {
class frame_reader {
 public:
  // `from` and `unfinished` outlive the reader.
  frame_reader(byte_stream& from, receive_budget::account& unfinished, std::size_t frame_bytes_max)
      : from_(from), unfinished_(unfinished), frame_bytes_max_(frame_bytes_max) {}

  enum class state {
    frame,      // there was one
    partial,    // fill() first
    malformed,  // a length of 0 or less
    oversized,  // a length above frame_bytes_max
  };
  // Takes the next frame out of what is buffered. Once malformed or oversized, always so.
  state take(shared_bytes& frame);
  // Receives more. Throws what the stream throws (eof at its end), also when the budget gave the frame up.
  awaitable<void> fill();
  // Bytes of the frame that has begun; 0 between frames.
  std::size_t buffered() const { return filled_ - at_; }
  // What follows the last frame: the reason why it was refused, for the log.
  byte_view rest() const { return chunk_ ? byte_view(chunk_->data() + at_, filled_ - at_) : byte_view{}; }
  std::uint64_t bytes_received() const { return bytes_received_; }
  // Memory that is held for what comes next.
  std::size_t allocated() const { return chunk_ ? chunk_->size() : 0; }

 private:
  std::size_t wanted() const;
  void make_space();
  void move_to(std::size_t bytes);

  byte_stream& from_;
  receive_budget::account& unfinished_;
  std::size_t frame_bytes_max_;
  std::shared_ptr<chunk> chunk_;     // null before the first read, and after a large frame
  std::size_t at_ = 0, filled_ = 0;  // of chunk_: [at_, filled_) is not taken yet
  bool is_own_chunk_ = false;        // chunk_ belongs to one large frame
  std::size_t small_bytes_ = 4096;   // of the next chunk for small frames
  bool was_filled_ = false;          // by the last read
  std::size_t largest_read_ = 0;     // into this chunk
  std::size_t largest_frame_ = 0;    // that was ever complete
  std::uint64_t bytes_received_ = 0;
};
}  // namespace yaks

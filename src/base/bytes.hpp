// Bytes: views, and slices that share ownership of the memory they show.
//
// Record bytes are received once into a `chunk` and never copied again: the write buffer, the upload and the block cache
// all hold `shared_bytes` slices of it. A chunk may be written to only by its one owner at that time: first the connection
// that receives into it, later the block cache, which patches base offsets before it serves the bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace yaks {
using byte_view = std::span<const std::byte>;
using mutable_byte_view = std::span<std::byte>;

inline byte_view as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view as_text(byte_view bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// A block of uninitialised memory of fixed size. Not thread-safe beyond the reference count of the pointer that holds it.
class chunk {
 public:
  static std::shared_ptr<chunk> make(std::size_t bytes) { return std::make_shared<chunk>(bytes); }
  explicit chunk(std::size_t bytes) : memory_(new std::byte[bytes]), size_(bytes) {}
  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> memory_;  // new[] of std::byte leaves it uninitialised: a frame is overwritten anyway
  std::size_t size_;
};

// A slice of a chunk that keeps the chunk alive. The pointer is shared by every slice of the same chunk.
class shared_bytes {
 public:
  shared_bytes() = default;
  shared_bytes(std::shared_ptr<chunk> owner, byte_view view) : owner_(std::move(owner)), view_(view) {}
  static shared_bytes copy_of(byte_view bytes) {
    auto owner = chunk::make(bytes.size());
    if (!bytes.empty()) std::memcpy(owner->data(), bytes.data(), bytes.size());
    byte_view view{owner->data(), bytes.size()};
    return {std::move(owner), view};
  }
  byte_view view() const { return view_; }
  const std::byte* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  shared_bytes slice(std::size_t at, std::size_t bytes) const { return {owner_, view_.subspan(at, bytes)}; }
  shared_bytes from(std::size_t at) const { return {owner_, view_.subspan(at)}; }
  // A slice for bytes that lie inside this one.
  shared_bytes covering(byte_view inside) const { return {owner_, inside}; }
  // For the one owner that may write (see above).
  mutable_byte_view writable() const { return {const_cast<std::byte*>(view_.data()), view_.size()}; }
  // What the slice keeps alive, which can be much more than it shows.
  std::size_t pinned_bytes() const { return owner_ ? owner_->size() : 0; }
  // Names the memory that the slice keeps alive: equal for slices of one chunk.
  const void* pinned() const { return owner_.get(); }

 private:
  std::shared_ptr<chunk> owner_;
  byte_view view_;
};
}  // namespace yaks

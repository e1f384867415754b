// Any bytes as what a client sends over a connection, in pieces of any size: the frame reader must cut them where a plain
// reading of the lengths does, and a frame that was handed out must not change when more arrives.
//
//   byte 0  how large the pieces are at most
//   byte 1  how many KiB of zeros follow the input, so that long frames arrive, too
#include <boost/asio/error.hpp>

#include "base/check.hpp"
#include "base/endian.hpp"
#include "runtime/simulated_runtime.hpp"
#include "scripted_stream.hpp"
#include "server/frame_reader.hpp"

namespace yaks {
namespace {
constexpr std::size_t frame_bytes_max = 200'000;
using state = frame_reader::state;

struct cut {
  std::vector<byte_view> frames;
  state end = state::partial;
};

cut plain_reading(byte_view bytes) {
  cut all;
  while (bytes.size() >= 4) {
    auto length = load_big_endian<std::int32_t>(bytes.data());
    if (length <= 0) return all.end = state::malformed, all;
    if (std::size_t(length) > frame_bytes_max) return all.end = state::oversized, all;
    if (bytes.size() - 4 < std::size_t(length)) break;
    all.frames.push_back(bytes.subspan(4, std::size_t(length)));
    bytes = bytes.subspan(4 + std::size_t(length));
  }
  return all;
}

awaitable<void> read(runtime& rt, byte_view bytes, std::size_t piece) {
  fuzz::scripted_stream stream(bytes, piece);
  receive_budget budget(rt, 1 << 20, 10s);
  receive_budget::account unfinished(budget, [] {});
  frame_reader reader(stream, unfinished, frame_bytes_max);
  auto expected = plain_reading(bytes);
  std::vector<shared_bytes> frames;
  auto end = state::partial;
  for (bool ended = false; !ended;) {
    shared_bytes frame;
    end = reader.take(frame);
    if (end == state::frame) {
      frames.push_back(std::move(frame));
      continue;
    }
    if (end != state::partial) break;
    try {
      co_await reader.fill();
    } catch (const boost::system::system_error& error) {
      YAKS_CHECK(error.code() == asio::error::eof, "nothing but the end of the input ends the reading");
      ended = true;
    }
    YAKS_CHECK(reader.allocated() <= 65536 || reader.allocated() <= 4 * reader.buffered() + 4 ||
                   reader.allocated() <= frame_bytes_max + 4,
               "memory is not taken for what has not arrived");
  }
  YAKS_CHECK(end == expected.end && frames.size() == expected.frames.size(), "the frames are where their lengths say");
  for (std::size_t i = 0; i < frames.size(); ++i)
    YAKS_CHECK(std::ranges::equal(frames[i].view(), expected.frames[i]), "a frame has the bytes that were sent");
}
}  // namespace
}  // namespace yaks

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  if (size < 2) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  bytes.append(std::size_t(data[1]) << 10, '\0');
  simulated_world world(1);
  simulated_runtime rt(world);
  // Hundreds of KiB byte by byte would take a second, and show nothing that a few do not.
  auto piece = std::max(std::size_t(1) << (data[0] % 18), bytes.size() / 256);
  rt.run(read(rt, as_bytes(bytes), piece));
  return 0;
}

// Goal: frames come out as they went in, however the network cuts them; a length alone costs no memory; what is
// buffered is not read again. Method: streams in memory that count reads and limit their size; random frames and cuts
// from a seed.
#include "server/frame_reader.hpp"

#include <random>

#include "server/test_world.hpp"

namespace yaks {
namespace {
using test::framed;
using test::manual_runtime;
using state = frame_reader::state;

struct fixture {
  explicit fixture(std::size_t frame_bytes_max = 1 << 20, std::size_t budget_bytes = 1u << 30)
      : budget(rt, budget_bytes, 1s), account(budget, [this] { server->close(); }) {
    std::tie(server, client) = test::connected();
    client->out_->capacity = SIZE_MAX;
    reader.emplace(*server, account, frame_bytes_max);
  }
  void send(std::string_view bytes) { client->out_->bytes += bytes; }
  // The next frame, after as many reads as it takes.
  awaitable<std::string> next() {
    shared_bytes frame;
    for (;;) {
      auto what = reader->take(frame);
      if (what == state::frame) co_return std::string(as_text(frame.view()));
      if (what != state::partial) co_return "<refused>";
      co_await reader->fill();
    }
  }
  manual_runtime rt;
  receive_budget budget;
  std::unique_ptr<test::memory_stream> server, client;
  receive_budget::account account;
  std::optional<frame_reader> reader;
};

TEST(frame_reader, many_frames_in_one_read) {
  fixture f;
  std::string all;
  for (int i = 0; i < 100; ++i) all += framed("request " + std::to_string(i));
  f.send(all);
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 100; ++i) EXPECT_EQ(co_await f.next(), "request " + std::to_string(i));
  };
  f.rt.run(body());
  EXPECT_EQ(f.server->reads, 1);
}

TEST(frame_reader, byte_by_byte) {
  fixture f;
  f.server->bytes_per_read_max = 1;
  f.send(framed("hello") + framed("x") + framed(std::string(70'000, 'z')));
  auto body = [&]() -> awaitable<void> {
    EXPECT_EQ(co_await f.next(), "hello");
    EXPECT_EQ(co_await f.next(), "x");
    EXPECT_EQ(co_await f.next(), std::string(70'000, 'z'));
    EXPECT_EQ(f.budget.used(), 0u);
  };
  f.rt.run(body());
}

TEST(frame_reader, random_frames_and_cuts) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    fixture f;
    std::vector<std::string> frames;
    for (int i = 0; i < 60; ++i) {
      // Mostly small, some around the sizes of chunks, some larger than any.
      std::size_t sizes[] = {1 + random() % 200, 4000 + random() % 200, 16'300 + random() % 200,
                             65'400 + random() % 300, 1 + random() % 300'000};
      frames.emplace_back(sizes[std::min<std::size_t>(random() % 12, 4)], char('a' + i % 26));
      f.send(framed(frames.back()));
    }
    std::vector<shared_bytes> taken;
    auto body = [&]() -> awaitable<void> {
      while (taken.size() < frames.size()) {
        f.server->bytes_per_read_max = random() % 3 ? 1 + random() % 5000 : SIZE_MAX;
        shared_bytes frame;
        if (f.reader->take(frame) == state::frame)
          taken.push_back(frame);
        else
          co_await f.reader->fill();
      }
    };
    f.rt.run(body());
    // All at the end: a frame must not change when its chunk is read into further.
    for (std::size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(as_text(taken[i].view()), frames[i]) << seed << ' ' << i;
    EXPECT_EQ(f.budget.used(), 0u);
  }
}

TEST(frame_reader, refuses_lengths_that_cannot_be) {
  for (auto [bytes, expected] : {std::pair(std::string("\0\0\0\0", 4), state::malformed),
                                 std::pair(std::string("\xff\xff\xff\xff", 4), state::malformed),
                                 std::pair(std::string("GET / HTTP/1.1\r\n"), state::oversized),
                                 std::pair(std::string("\x00\x10\x00\x01", 4), state::oversized)}) {
    fixture f;
    f.send(framed("good") + bytes);
    auto body = [&]() -> awaitable<void> {
      EXPECT_EQ(co_await f.next(), "good");
      EXPECT_EQ(co_await f.next(), "<refused>");
      shared_bytes none;
      EXPECT_EQ(f.reader->take(none), expected);
    };
    f.rt.run(body());
  }
  fixture f;  // the largest one is fine
  f.send(framed(std::string(1 << 20, 'a')));
  auto body = [&]() -> awaitable<void> { EXPECT_EQ((co_await f.next()).size(), 1u << 20); };
  f.rt.run(body());
}

TEST(frame_reader, a_length_alone_costs_no_memory) {
  fixture f(100 << 20);
  std::string header(4, '\0');
  store_big_endian(reinterpret_cast<std::byte*>(header.data()), std::int32_t(100 << 20));
  f.send(header + std::string(1000, 'x'));
  auto body = [&]() -> awaitable<void> {
    shared_bytes frame;
    for (std::size_t sent = 1004; sent < 8u << 20;) {
      EXPECT_EQ(f.reader->take(frame), state::partial);
      co_await f.reader->fill();
      if (f.client->out_->bytes.empty()) {
        EXPECT_LE(f.reader->allocated(), std::max<std::size_t>(65536, 4 * f.reader->buffered()));
        f.send(std::string(sent, 'x'));
        sent *= 2;
      }
    }
    EXPECT_GT(f.budget.used(), 1u << 20);  // and all that has arrived is charged
    EXPECT_LE(f.budget.used(), f.reader->buffered());
  };
  f.rt.run(body());
}

TEST(frame_reader, a_known_size_is_allocated_once_and_only_the_head_is_copied) {
  fixture f;
  std::string large(1'000'000, 'x');
  auto body = [&]() -> awaitable<void> {
    f.send(framed(large));
    EXPECT_EQ(co_await f.next(), large);
    f.send(framed(large));
    shared_bytes frame;
    EXPECT_EQ(f.reader->take(frame), state::partial);
    co_await f.reader->fill();  // into the small chunk
    EXPECT_EQ(f.reader->take(frame), state::partial);
    EXPECT_LE(f.reader->buffered(), 65536u);
    co_await f.reader->fill();
    EXPECT_EQ(f.reader->allocated(), large.size() + 4);
    while (f.reader->take(frame) == state::partial) co_await f.reader->fill();
    EXPECT_EQ(frame.pinned_bytes(), large.size() + 4);
    EXPECT_EQ(f.reader->allocated(), 0u);
  };
  f.rt.run(body());
}

TEST(frame_reader, chunks_grow_with_the_traffic_and_shrink_again) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    f.send(framed("ping"));
    EXPECT_EQ(co_await f.next(), "ping");
    EXPECT_EQ(f.reader->allocated(), 4096u);  // an idle connection holds no more
    std::string burst;
    for (int i = 0; i < 10'000; ++i) burst += framed(std::string(96, 'b'));
    f.send(burst);
    std::vector<std::string> held;
    f.server->reads = 0;
    for (int i = 0; i < 10'000; ++i) held.push_back(co_await f.next());
    EXPECT_EQ(f.reader->allocated(), 65536u);
    EXPECT_LT(f.server->reads, 25);  // 1,000,000 / 65,536 = 16, and the way there
    for (int i = 0; i < 20'000; ++i) {
      f.send(framed("small again"));
      EXPECT_EQ((co_await f.next()).size(), 11u);
    }
  };
  f.rt.run(body());
}

TEST(frame_reader, the_end_of_the_stream_is_an_exception) {
  fixture f;
  f.send(framed("whole") + "\0\0");
  f.client->shutdown_write();
  auto body = [&]() -> awaitable<void> {
    EXPECT_EQ(co_await f.next(), "whole");
    co_await f.next();
  };
  EXPECT_THROW(f.rt.run(body()), boost::system::system_error);
}
}  // namespace
}  // namespace yaks

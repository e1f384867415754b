// Goal: every object store keeps the interface's promises, so that what is tested on one holds on the others.
// Method: one contract suite on memory, directory, and two S3 servers of different makers, which the environment names
// (YAKS_TEST_S3, YAKS_TEST_S3_SECOND: see scripts/README.md).
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>

#include "net/tcp_network.hpp"
#include "objects/directory/directory_store.hpp"
#include "objects/faulty/faulty_store.hpp"
#include "objects/memory/memory_store.hpp"
#include "objects/object_store.hpp"
#include "objects/s3/s3_store.hpp"
#include "objects/s3/test_settings.hpp"
#include "records/crc32c.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks {
namespace {
shared_bytes random_bytes(std::size_t bytes, unsigned seed) {
  auto owner = chunk::make(bytes);
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < bytes; i += 8) {
    std::uint64_t word = random();
    std::memcpy(owner->data() + i, &word, std::min<std::size_t>(8, bytes - i));
  }
  return {owner, {owner->data(), bytes}};
}

struct folder {
  std::filesystem::path path;
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "yaks-objects-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path = name;
  }
  ~folder() { std::filesystem::remove_all(path); }
};

// What a parameter of the suite makes its store with.
struct surroundings {
  real_runtime rt;
  tcp_network net{rt};
  metrics::registry metrics;
  folder files;
};
struct kind {
  const char* name;
  // Null where this machine cannot run it; `why` says so.
  std::unique_ptr<object_store> (*make)(surroundings& in, std::string& why);
};
void PrintTo(const kind& k, std::ostream* out) {
  *out << k.name;
}

struct object_contract : testing::TestWithParam<kind> {
  surroundings in;
  std::unique_ptr<object_store> store;
  std::string prefix;  // tests share the servers' buckets

  void SetUp() override {
    std::string why;
    store = GetParam().make(in, why);
    if (!store) GTEST_SKIP() << why;
    prefix = "contract-" + std::to_string(in.rt.random()) + "/";
  }
  void TearDown() override {
    if (!store) return;
    auto clean = [&]() -> awaitable<void> {
      auto left = co_await store->list(prefix, soon());
      std::vector<std::string> keys;
      if (left)
        for (auto& one : *left) keys.push_back(one.key);
      if (!keys.empty()) (void)co_await store->remove(std::move(keys), soon());
    };
    in.rt.run(clean());
  }
  time_point soon() const { return in.rt.now() + 20s; }

  // The error by name, or "ok".
  awaitable<std::string> put(std::string key, std::vector<shared_bytes> body) {
    std::uint32_t crc = 0;
    for (auto& segment : body) crc = records::crc32c(segment.view(), crc);
    auto answer = co_await store->put(prefix + key, std::move(body), crc, soon());
    co_return answer ? "ok" : std::string(name(answer.error()));
  }
  awaitable<std::string> put(std::string key, std::string_view body) {
    std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(body))};
    co_return co_await put(std::move(key), std::move(segments));
  }
  awaitable<std::string> get(std::string key, std::uint64_t position, std::uint64_t bytes) {
    auto answer = co_await store->get(prefix + key, position, bytes, soon());
    co_return answer ? std::string(as_text(answer->view())) : std::string(name(answer.error()));
  }
  awaitable<std::vector<std::string>> keys(std::string below) {
    auto answer = co_await store->list(prefix + below, soon());
    std::vector<std::string> found;
    if (!answer) found.push_back(std::string(name(answer.error())));
    if (answer)
      for (auto& one : *answer) found.push_back(one.key.substr(prefix.size()));
    std::ranges::sort(found);
    co_return found;
  }
  void run(std::function<awaitable<void>(task_group&)> body) {
    task_group tasks(in.rt.executor());
    in.rt.run(run_then_close(body(tasks), tasks));
  }
};

TEST_P(object_contract, what_was_put_is_read_at_every_edge) {
  run([&](task_group&) -> awaitable<void> {
    std::vector<shared_bytes> body;
    for (std::string_view part : {"012", "", "3456", "789"}) body.push_back(shared_bytes::copy_of(as_bytes(part)));
    EXPECT_EQ(co_await put("data/ab/one", body), "ok");
    EXPECT_EQ(co_await get("data/ab/one", 0, 10), "0123456789");
    EXPECT_EQ(co_await get("data/ab/one", 0, 1), "0");
    EXPECT_EQ(co_await get("data/ab/one", 9, 1), "9");
    EXPECT_EQ(co_await get("data/ab/one", 3, 4), "3456");
    EXPECT_EQ(co_await get("data/ab/one", 5, 0), "");
    EXPECT_EQ(co_await get("data/ab/one", 9, 2), "not_found");
    EXPECT_EQ(co_await get("data/ab/one", 10, 1), "not_found");
    EXPECT_EQ(co_await get("data/ab/one", 1000, 5), "not_found");
  });
}

TEST_P(object_contract, what_is_not_there_is_not_found) {
  run([&](task_group&) -> awaitable<void> {
    EXPECT_EQ(co_await get("nothing", 0, 1), "not_found");
    EXPECT_EQ(co_await put("data/one", "x"), "ok");
    EXPECT_EQ(co_await get("data/two", 0, 1), "not_found");
    EXPECT_EQ(co_await get("data", 0, 1), "not_found");
  });
}

TEST_P(object_contract, the_same_bytes_may_be_put_again) {
  run([&](task_group&) -> awaitable<void> {
    EXPECT_EQ(co_await put("again", "same"), "ok");
    EXPECT_EQ(co_await put("again", "same"), "ok");
    EXPECT_EQ(co_await get("again", 0, 4), "same");
    EXPECT_EQ((co_await keys("")).size(), 1u);
  });
}

TEST_P(object_contract, an_empty_object_is_an_object) {
  run([&](task_group&) -> awaitable<void> {
    EXPECT_EQ(co_await put("empty", std::vector<shared_bytes>{}), "ok");
    EXPECT_EQ(co_await get("empty", 0, 0), "");
    EXPECT_EQ(co_await get("empty", 0, 1), "not_found");
    EXPECT_EQ(co_await keys(""), std::vector<std::string>{"empty"});
  });
}

TEST_P(object_contract, large_objects_of_many_segments) {
  run([&](task_group&) -> awaitable<void> {
    constexpr std::size_t size = 16 << 20;
    shared_bytes whole = random_bytes(size, 1);
    std::vector<shared_bytes> body;
    for (std::size_t at = 0, step = 1; at < size; at += step, step = step % 50'000 + 37)
      body.push_back(whole.slice(at, std::min(step, size - at)));
    EXPECT_EQ(co_await put("large", body), "ok");
    for (auto [at, bytes] : {std::pair<std::size_t, std::size_t>{0, size}, {size - 1, 1}, {1234567, 1 << 20}})
      EXPECT_TRUE(co_await get("large", at, bytes) == as_text(whole.view().subspan(at, bytes))) << at;
  });
}

TEST_P(object_contract, a_stream_is_read_piece_by_piece_and_may_be_left_at_any_byte) {
  run([&](task_group&) -> awaitable<void> {
    constexpr std::size_t size = 8 << 20;
    shared_bytes whole = random_bytes(size, 3);
    std::vector<shared_bytes> body{whole};
    EXPECT_EQ(co_await put("stream", body), "ok");
    for (std::size_t left_at : {std::size_t(0), std::size_t(1), std::size_t(1'000'000), size - 7}) {
      constexpr std::size_t begin = 7;
      auto stream = co_await store->stream(prefix + "stream", begin, size - begin, soon());
      EXPECT_TRUE(stream);
      if (!stream) co_return;
      std::size_t at = begin;
      for (std::size_t step = 1; at < begin + left_at; at += step, step = step * 3 % 300'000 + 1) {
        step = std::min(step, begin + left_at - at);
        auto got = co_await (*stream)->next(step, soon());
        EXPECT_TRUE(got && as_text(got->view()) == as_text(whole.view().subspan(at, step))) << at;
        if (!got) co_return;
      }
      // Others get on meanwhile.
      EXPECT_EQ(co_await get("stream", 5, 9), as_text(whole.view().subspan(5, 9)));
    }
  });
}

TEST_P(object_contract, many_streams_stand_still_and_hold_nobody_up) {
  run([&](task_group&) -> awaitable<void> {
    shared_bytes whole = random_bytes(4 << 20, 4);
    std::vector<shared_bytes> body{whole};
    EXPECT_EQ(co_await put("stream", body), "ok");
    std::vector<std::unique_ptr<object_stream>> open;
    for (int i = 0; i < 100; ++i) {
      auto stream = co_await store->stream(prefix + "stream", 0, 4 << 20, soon());
      EXPECT_TRUE(stream);
      if (stream) open.push_back(std::move(*stream));
    }
    EXPECT_EQ(co_await put("other", "x"), "ok");
    for (auto& stream : open) {
      auto got = co_await stream->next(1000, soon());
      EXPECT_TRUE(got && as_text(got->view()) == as_text(whole.view().subspan(0, 1000)));
    }
  });
}

TEST_P(object_contract, a_stream_of_what_is_not_there_says_so) {
  run([&](task_group&) -> awaitable<void> {
    EXPECT_EQ(co_await put("short", "0123456789"), "ok");
    for (auto [key, position] : {std::pair{"nothing", 0}, std::pair{"short", 5}, std::pair{"short", 20}}) {
      auto stream = co_await store->stream(prefix + key, std::uint64_t(position), 10, soon());
      if (!stream) {
        EXPECT_EQ(name(stream.error()), "not_found") << key << position;
        continue;
      }
      auto got = co_await (*stream)->next(10, soon());  // where streams are gets, it is known now
      EXPECT_TRUE(!got && got.error() == object_error::not_found) << key << position;
    }
  });
}

TEST_P(object_contract, a_body_that_does_not_match_its_checksum_is_refused) {
  run([&](task_group&) -> awaitable<void> {
    std::vector<shared_bytes> body{shared_bytes::copy_of(as_bytes("body"))};
    auto answer = co_await store->put(prefix + "wrong", body, 12345, soon());
    EXPECT_FALSE(answer);
    if (!answer) EXPECT_EQ(name(answer.error()), "corrupt");
    EXPECT_EQ(co_await get("wrong", 0, 4), "not_found");
    EXPECT_EQ(co_await keys(""), std::vector<std::string>{});
  });
}

TEST_P(object_contract, calls_run_at_the_same_time) {
  run([&](task_group& tasks) -> awaitable<void> {
    int right = 0;
    auto one = [&](unsigned i) -> awaitable<void> {
      shared_bytes bytes = random_bytes(10'000 + i * 1000, i);
      std::vector<shared_bytes> body{bytes};
      std::string key = "many/" + std::to_string(i % 7) + "/" + std::to_string(i);
      EXPECT_EQ(co_await put(key, body), "ok");
      right += co_await get(key, 100, 9000) == as_text(bytes.view().subspan(100, 9000));
    };
    for (unsigned i = 0; i < 100; ++i) tasks.spawn(one(i));
    while (tasks.size() > 0) co_await in.rt.sleep_for(1ms);
    EXPECT_EQ(right, 100);
    EXPECT_EQ((co_await keys("many/")).size(), 100u);
  });
}

TEST_P(object_contract, keys_with_special_characters) {
  run([&](task_group&) -> awaitable<void> {
    std::vector<std::string> names{"a b",       "a+b",     "a%20b",  "a&b=c",   "a?b#c", "\xc3\xbc\xe2\x82\xac",
                                   "~tilde_-.", "(x)'!*;", "<x>\"y", "a:b@c,d", "$x"};
    std::ranges::sort(names);
    for (const auto& one : names) EXPECT_EQ(co_await put("special/" + one, one), "ok") << one;
    for (const auto& one : names) EXPECT_EQ(co_await get("special/" + one, 0, one.size()), one);
    std::vector<std::string> expected;
    for (const auto& one : names) expected.push_back("special/" + one);
    EXPECT_EQ(co_await keys("special/"), expected);
    for (const auto& one : names)
      EXPECT_EQ(co_await keys("special/" + one), std::vector<std::string>{"special/" + one});
    std::vector<std::string> full;
    for (const auto& one : expected) full.push_back(prefix + one);
    EXPECT_TRUE(co_await store->remove(full, soon()));
    EXPECT_EQ(co_await keys(""), std::vector<std::string>{});
  });
}

TEST_P(object_contract, lists_tell_sizes_and_keep_to_the_prefix) {
  run([&](task_group&) -> awaitable<void> {
    for (const char* key : {"ab/1", "ab/22", "abc/3", "b/4"}) EXPECT_EQ(co_await put(key, key), "ok");
    EXPECT_EQ(co_await keys("ab"), (std::vector<std::string>{"ab/1", "ab/22", "abc/3"}));
    EXPECT_EQ(co_await keys("ab/"), (std::vector<std::string>{"ab/1", "ab/22"}));
    EXPECT_EQ(co_await keys("ab/2"), (std::vector<std::string>{"ab/22"}));
    EXPECT_EQ(co_await keys("none/"), std::vector<std::string>{});
    auto answer = co_await store->list(prefix, soon());
    EXPECT_TRUE(answer && answer->size() == 4);
    if (answer)
      for (auto& one : *answer) EXPECT_EQ(one.bytes, one.key.size() - prefix.size()) << one.key;
  });
}

TEST_P(object_contract, lists_and_removals_of_more_than_a_page) {
  run([&](task_group& tasks) -> awaitable<void> {
    constexpr int count = 1100;
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back(prefix + "page/" + std::to_string(i));
    int next = 0;
    auto work = [&]() -> awaitable<void> {
      while (next < count) EXPECT_EQ(co_await put("page/" + std::to_string(next++), "x"), "ok");
    };
    for (int i = 0; i < 8; ++i) tasks.spawn(work());
    while (tasks.size() > 0) co_await in.rt.sleep_for(1ms);
    EXPECT_EQ((co_await keys("page/")).size(), std::size_t(count));
    std::vector<std::string> first(all.begin(), all.begin() + 1000), rest(all.begin() + 1000, all.end());
    EXPECT_TRUE(co_await store->remove(first, soon()));
    EXPECT_EQ((co_await keys("page/")).size(), std::size_t(count - 1000));
    EXPECT_TRUE(co_await store->remove(rest, soon()));
    EXPECT_EQ((co_await keys("page/")).size(), 0u);
  });
}

TEST_P(object_contract, removing_what_is_not_there_is_fine) {
  run([&](task_group&) -> awaitable<void> {
    EXPECT_EQ(co_await put("there", "x"), "ok");
    std::vector<std::string> some{prefix + "not/there", prefix + "there"}, none;
    EXPECT_TRUE(co_await store->remove(some, soon()));
    EXPECT_TRUE(co_await store->remove(none, soon()));
    EXPECT_EQ(co_await get("there", 0, 1), "not_found");
  });
}

INSTANTIATE_TEST_SUITE_P(memory, object_contract,
                         testing::Values(kind{"memory",
                                              [](surroundings&, std::string&) -> std::unique_ptr<object_store> {
                                                return std::make_unique<memory_store>();
                                              }}));
INSTANTIATE_TEST_SUITE_P(directory, object_contract,
                         testing::Values(kind{
                             "directory", [](surroundings& in, std::string&) -> std::unique_ptr<object_store> {
                               return std::make_unique<directory_store>(in.rt, in.files.path / "a" / "b");
                             }}));
// `variable` is "endpoint=… region=… access_key=… secret_key=… bucket=…".
std::unique_ptr<object_store> s3_from(const char* variable, surroundings& in, std::string& why) {
  auto settings = s3::test_settings(variable);
  if (!settings) {
    why = std::string(variable) + " is not set: scripts/test starts the servers";
    return nullptr;
  }
  auto store = std::make_unique<s3_store>(in.rt, in.net, in.metrics, *settings);
  in.rt.run(store->open());
  return store;
}
INSTANTIATE_TEST_SUITE_P(versitygw, object_contract,
                         testing::Values(kind{"versitygw",
                                              [](surroundings& in, std::string& why) -> std::unique_ptr<object_store> {
                                                return s3_from("YAKS_TEST_S3", in, why);
                                              }}));
INSTANTIATE_TEST_SUITE_P(seaweedfs, object_contract,
                         testing::Values(kind{"seaweedfs",
                                              [](surroundings& in, std::string& why) -> std::unique_ptr<object_store> {
                                                return s3_from("YAKS_TEST_S3_SECOND", in, why);
                                              }}));
}  // namespace
}  // namespace yaks

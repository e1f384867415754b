// Goal: what each store has beyond the contract. Memory refuses what yaks must never do; the directory survives
// leftovers, folders that vanish and full disks; the faulty one injects what it is told to. Method: direct calls on the
// real runtime, files in a temporary folder.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include "objects/directory/directory_store.hpp"
#include "objects/faulty/faulty_store.hpp"
#include "objects/memory/memory_store.hpp"
#include "records/crc32c.hpp"
#include "runtime/real_runtime.hpp"

namespace yaks {
namespace {
namespace fs = std::filesystem;

struct stores : testing::Test {
  real_runtime rt;
  fs::path root;
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "yaks-objects-XXXXXX").string();
    ASSERT_TRUE(::mkdtemp(name.data()));
    root = name;
  }
  void TearDown() override { fs::remove_all(root); }
  time_point soon() { return rt.now() + 5s; }
  awaitable<std::string> put(object_store& store, std::string key, std::string body) {
    std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(body))};
    auto answer = co_await store.put(key, std::move(segments), records::crc32c(as_bytes(body)), soon());
    co_return answer ? "ok" : std::string(name(answer.error()));
  }
  awaitable<std::string> get(object_store& store, std::string key, std::uint64_t bytes) {
    auto answer = co_await store.get(key, 0, bytes, soon());
    co_return answer ? std::string(as_text(answer->view())) : std::string(name(answer.error()));
  }
  void run(std::function<awaitable<void>()> body) { rt.run(body()); }
};

TEST(object_key, only_well_formed_keys) {
  for (const char* good : {"a", "data/ab/0", "a b/c", "..a", "a..", "\xc3\xbc"})
    EXPECT_TRUE(is_object_key(good)) << good;
  for (const char* bad : {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\nb", "a\\b"})
    EXPECT_FALSE(is_object_key(bad)) << bad;
  EXPECT_TRUE(is_object_key(std::string(255, 'x')));
  EXPECT_FALSE(is_object_key(std::string(256, 'x')));
  EXPECT_FALSE(is_object_key(std::string(255, 'x') + "/" + std::string(255, 'x') + "/" + std::string(255, 'x') + "/" +
                             std::string(255, 'x') + "/x"));
}

TEST_F(stores, memory_refuses_other_bytes_and_folders_of_keys) {
  run([&]() -> awaitable<void> {
    memory_store store;
    EXPECT_EQ(co_await put(store, "a/b", "one"), "ok");
    EXPECT_EQ(co_await put(store, "a/b", "two"), "denied");
    EXPECT_EQ(co_await put(store, "a", "one"), "denied");
    EXPECT_EQ(co_await put(store, "a/b/c", "one"), "denied");
    EXPECT_EQ(co_await put(store, "a/bc", "one"), "ok");
    EXPECT_EQ(co_await get(store, "a/b", 3), "one");
  });
}

TEST_F(stores, a_directory_keeps_its_objects_and_drops_half_uploads_when_it_is_opened_again) {
  run([&]() -> awaitable<void> {
    {
      directory_store store(rt, root);
      EXPECT_EQ(co_await put(store, "data/ab/one", "body"), "ok");
    }
    std::ofstream(root / ".uploads" / "17") << "half";
    directory_store store(rt, root / ".");
    EXPECT_TRUE(fs::is_empty(root / ".uploads"));
    EXPECT_EQ(co_await get(store, "data/ab/one", 4), "body");
    auto listed = co_await store.list("", soon());
    EXPECT_TRUE(listed && listed->size() == 1);
  });
}

TEST_F(stores, a_directory_survives_that_its_folders_vanish) {
  run([&]() -> awaitable<void> {
    directory_store store(rt, root / "x");
    EXPECT_EQ(co_await put(store, "data/ab/one", "body"), "ok");
    fs::remove_all(root / "x");
    EXPECT_EQ(co_await get(store, "data/ab/one", 4), "not_found");
    EXPECT_EQ(co_await put(store, "data/ab/one", "body"), "unavailable");
    EXPECT_EQ(co_await put(store, "data/ab/one", "body"), "ok");
    EXPECT_EQ(co_await get(store, "data/ab/one", 4), "body");
  });
}

TEST_F(stores, a_file_in_the_way_is_denied) {
  run([&]() -> awaitable<void> {
    directory_store store(rt, root);
    std::ofstream(root / "data") << "not a folder";
    EXPECT_EQ(co_await put(store, "data/ab/one", "body"), "denied");
    EXPECT_EQ(co_await get(store, "data/ab/one", 4), "not_found");
    EXPECT_TRUE(fs::is_empty(root / ".uploads"));
  });
}

TEST_F(stores, a_file_that_cannot_grow_leaves_nothing_behind) {
  // A limit on file sizes fails the write in the middle, as a full disk does.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small{1000, before.rlim_max};
  directory_store store(rt, root);
  run([&]() -> awaitable<void> {
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::string answer = co_await put(store, "data/ab/one", std::string(5000, 'x'));
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(answer, "unavailable");
    EXPECT_EQ(co_await get(store, "data/ab/one", 1), "not_found");
    EXPECT_TRUE(fs::is_empty(root / ".uploads"));
    EXPECT_EQ(co_await put(store, "data/ab/one", std::string(5000, 'x')), "ok");
  });
  std::signal(SIGXFSZ, handler);
}

TEST_F(stores, a_folder_that_cannot_be_made_is_refused_with_a_sentence) {
  std::ofstream(root / "file") << "x";
  try {
    directory_store store(rt, root / "file" / "below");
    FAIL() << "opened below a file";
  } catch (const object_store_error& error) {
    EXPECT_NE(std::string(error.what()).find("YAKS_DATA_DIR"), std::string::npos) << error.what();
  }
}

TEST_F(stores, faults_are_what_was_asked_for) {
  run([&]() -> awaitable<void> {
    memory_store inner;
    faulty_store store(rt, inner, {.unavailable = 1000});
    EXPECT_EQ(co_await put(store, "a", "body"), "unavailable");
    EXPECT_EQ(inner.size(), 0u);
    store.set({.slow_down = 1000});
    EXPECT_EQ(co_await get(store, "a", 1), "slow_down");
    store.set({.unknown_not_done = 1000});
    EXPECT_EQ(co_await put(store, "a", "body"), "unknown");
    EXPECT_EQ(inner.size(), 0u);
    store.set({.unknown_done = 1000});
    EXPECT_EQ(co_await put(store, "a", "body"), "unknown");
    EXPECT_EQ(inner.size(), 1u);
    store.set({.truncated_get = 1000});
    EXPECT_LT((co_await get(store, "a", 4)).size(), 4u);
    store.set({.corrupt_get = 1000});
    std::string corrupt = co_await get(store, "a", 4);
    EXPECT_EQ(corrupt.size(), 4u);
    EXPECT_NE(corrupt, "body");
    EXPECT_EQ(store.injected(), 6u);
    store.set({.delay_most = 1h});
    auto late = co_await store.get("a", 0, 4, rt.now() - 1ns);
    EXPECT_TRUE(!late && late.error() == object_error::unavailable);
    store.set({});
    EXPECT_EQ(co_await get(store, "a", 4), "body");
  });
}

TEST_F(stores, faults_come_as_often_as_asked_for) {
  run([&]() -> awaitable<void> {
    memory_store inner;
    faulty_store store(rt, inner, {.unavailable = 100, .slow_down = 100});
    int failed = 0;
    for (int i = 0; i < 10'000; ++i) failed += !(co_await store.list("", soon()));
    EXPECT_GT(failed, 1600);  // 2,000 expected, standard deviation 40
    EXPECT_LT(failed, 2400);
  });
}
}  // namespace
}  // namespace yaks

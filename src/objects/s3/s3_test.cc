// Goal: signatures are AWS's; an upload that is cut never becomes an object; every kind of refusal becomes the right error and,
// at start, a sentence; lost answers, closed connections and 503 are survived.
// Method: the published vectors of Signature Version 4; a real server (YAKS_TEST_S3); and a server of ours on memory streams that
// answers what a test tells it to.
#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "net/memory_network.hpp"
#include "net/tcp_network.hpp"
#include "objects/s3/digest.hpp"
#include "objects/s3/s3_store.hpp"
#include "objects/s3/sigv4.hpp"
#include "objects/s3/test_settings.hpp"
#include "objects/s3/xml.hpp"
#include "records/crc32c.hpp"
#include "runtime/first_of.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks {
namespace {
// The example of the S3 API reference: GET of a range of an object.
constexpr timestamp_ms may_24th_2013{1369353600000};
const s3::credentials example{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};

TEST(sigv4, signs_the_published_ranged_get) {
  s3::signer signer(example, "us-east-1");
  http::headers fields{{"Host", "examplebucket.s3.amazonaws.com"}, {"Range", "bytes=0-9"}};
  signer.sign("GET", "/test.txt", "", fields, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", may_24th_2013);
  EXPECT_EQ(http::find(fields, "x-amz-date"), "20130524T000000Z");
  EXPECT_NE(http::find(fields, "Authorization")
                .find("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            std::string_view::npos)
      << http::find(fields, "Authorization");
}

TEST(sigv4, signs_the_published_list) {
  s3::signer signer(example, "us-east-1");
  http::headers fields{{"Host", "examplebucket.s3.amazonaws.com"}};
  signer.sign("GET", "/", s3::canonical_query({{"prefix", "J"}, {"max-keys", "2"}}), fields,
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", may_24th_2013);
  EXPECT_NE(http::find(fields, "Authorization")
                .find("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            std::string_view::npos)
      << http::find(fields, "Authorization");
}

TEST(sigv4, a_session_token_is_signed) {
  s3::credentials who = example;
  who.session_token = "token";
  s3::signer signer(who, "us-east-1");
  http::headers fields{{"Host", "h"}};
  signer.sign("GET", "/", "", fields, s3::unsigned_payload, may_24th_2013);
  EXPECT_EQ(http::find(fields, "x-amz-security-token"), "token");
  EXPECT_NE(http::find(fields, "Authorization").find("x-amz-security-token"), std::string_view::npos);
}

TEST(digest, known_values) {
  EXPECT_EQ(s3::hex(s3::sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(s3::base64(s3::md5("")), "1B2M2Y8AsgTpgAmY7PhCfg==");
  EXPECT_EQ(s3::checksum_text(records::crc32c(as_bytes("123456789"))), "4waSgw==");
}

TEST(xml, entities_and_lists) {
  std::string_view xml = "<R><A><K>a&amp;b&#x21;</K></A><A><K>c</K></A></R>";
  std::size_t from = 0;
  auto first = s3::element(xml, "A", from);
  ASSERT_TRUE(first);
  EXPECT_EQ(s3::text_of(*first, "K"), "a&b!");
  EXPECT_TRUE(s3::element(xml, "A", from));
  EXPECT_FALSE(s3::element(xml, "A", from));
  EXPECT_EQ(s3::decode_entities(s3::encode_entities("<a & \"b\">")), "<a & \"b\">");
  for (std::size_t cut = 0; cut < xml.size(); ++cut) (void)s3::text_of(xml.substr(0, cut), "K");
}

// ---- a scripted server ------------------------------------------------------------------------------------------------

struct scripted : testing::Test {
  real_runtime rt;
  memory_network net;
  metrics::registry metrics;
  std::unique_ptr<listener> at = net.listen({.host = "s3", .port = 80});
  // What each request is answered with, in order of arrival: the bytes, and whether the connection is closed after them.
  struct answer {
    std::string bytes;
    bool close = false;
  };
  std::deque<answer> script;
  std::vector<std::string> seen;  // request lines

  static std::string reply(int status, std::string body, std::string extra = "") {
    return "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + extra + "\r\n" + body;
  }
  awaitable<void> serve_one(std::unique_ptr<byte_stream> stream) {
    try {
      http::reader reader(*stream, 32 << 10);
      for (;;) {
        auto head = http::parse_request_head(co_await reader.head());
        if (!head) co_return;
        seen.push_back(head->method + " " + head->target);
        auto extent = http::extent_of(head->fields, http::body_extent::kind::fixed);
        (void)co_await reader.body(*extent, 64 << 20);
        if (script.empty()) co_return;
        auto next = script.front();
        script.pop_front();
        if (!next.bytes.empty()) {
          std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(next.bytes))};
          co_await stream->write_all(std::move(segments));
        }
        if (next.close) co_return;
      }
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
    }
  }
  awaitable<void> serve(task_group& tasks) {
    for (;;) tasks.spawn(serve_one(co_await at->accept()));
  }
  s3_settings settings() {
    return {.endpoint = "http://s3", .who = example, .bucket = "b", .attempt_timeout = 200ms, .retry_first = 1ms, .retry_most = 5ms,
            .open_patience = 200ms};
  }
  void run(std::function<awaitable<void>(s3_store&)> body) { run(settings(), std::move(body)); }
  void run(s3_settings with, std::function<awaitable<void>(s3_store&)> body) {
    task_group tasks(rt.executor());
    auto whole = [&]() -> awaitable<void> {
      s3_store store(rt, net, metrics, with);
      tasks.spawn(serve(tasks));
      co_await body(store);
    };
    rt.run(run_then_close(whole(), tasks));
  }
  awaitable<std::string> put(s3_store& store, duration patience = 5s) {
    std::vector<shared_bytes> body{shared_bytes::copy_of(as_bytes("body"))};
    auto got = co_await store.put("data/k", std::move(body), records::crc32c(as_bytes("body")), rt.now() + patience);
    co_return got ? "ok" : std::string(name(got.error()));
  }
  awaitable<std::string> get(s3_store& store, std::uint64_t bytes) {
    auto got = co_await store.get("data/k", 0, bytes, rt.now() + 5s);
    co_return got ? std::string(as_text(got->view())) : std::string(name(got.error()));
  }
};

TEST_F(scripted, failures_are_repeated_until_it_works) {
  script = {{reply(500, "")}, {reply(503, "")}, {"", true}, {reply(200, "")}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await put(store), "ok"); });
  EXPECT_GE(seen.size(), 4u);
  EXPECT_EQ(seen.front(), "PUT /b/data/k");
}

// What the store bills, not what we asked for: a repetition is a request, its own errors are not, an answer that was lost may be.
TEST_F(scripted, requests_are_counted_as_they_are_billed) {
  auto with = settings();
  with.prices = {.put = 0.5, .get = 0.25, .transfer_byte = 0.125};
  run(with, [&](s3_store& store) -> awaitable<void> {
    script = {{reply(500, "")}, {"", true}, {reply(200, "")}};  // not billed, perhaps billed, billed
    EXPECT_EQ(co_await put(store), "ok");
    script = {{reply(206, "abcd")}};
    EXPECT_EQ(co_await get(store, 4), "abcd");
    script = {{reply(200, "<ListBucketResult/>")}};
    EXPECT_TRUE(co_await store.list("data/", rt.now() + 5s));
    script = {{reply(200, "")}};
    std::vector<std::string> keys{"data/k"};
    EXPECT_TRUE(co_await store.remove(keys, rt.now() + 5s));
  });
  auto value = [&](const char* name, const char* label, const char* of) {
    double found = -1;
    metrics.visit_series(name, [&](const auto& one) {
      if (one.with == metrics::labels{{label, of}}) found = one.value;
    });
    return found;
  };
  EXPECT_EQ(value("yaks_s3_billed_requests_total", "class", "put"), 3);
  EXPECT_EQ(value("yaks_s3_billed_requests_total", "class", "get"), 1);
  EXPECT_EQ(value("yaks_estimated_cost_dollars_total", "kind", "put"), 1.5);
  EXPECT_EQ(value("yaks_estimated_cost_dollars_total", "kind", "get"), 0.25);
  // Twice the body that was put, what was got, and the list's answer.
  EXPECT_EQ(value("yaks_estimated_cost_dollars_total", "kind", "transfer"), (2 * 4 + 4 + 19) * 0.125);
}

TEST_F(scripted, a_connection_that_was_closed_while_idle_costs_nothing) {
  script = {{reply(200, "")}, {reply(200, "")}};
  auto with = settings();
  with.retry_first = 1h;  // a repetition with back-off would not come in time
  with.retry_most = 1h;
  run(with, [&](s3_store& store) -> awaitable<void> {
    script = {{reply(200, ""), true}, {reply(200, "")}};  // says keep-alive and closes
    EXPECT_EQ(co_await put(store), "ok");
    co_await rt.sleep_for(5ms);
    EXPECT_EQ(co_await put(store), "ok");
  });
}

TEST_F(scripted, a_put_whose_answer_never_comes_is_unknown) {
  script = {{""}, {""}, {""}, {""}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await put(store, 250ms), "unknown"); });
}

// The kept connection is closed after the request was taken: it may have been done, whatever the next attempts are told.
TEST_F(scripted, a_put_that_a_kept_connection_swallowed_is_unknown) {
  run([&](s3_store& store) -> awaitable<void> {
    script = {{reply(200, "")}, {"", true}};
    for (int i = 0; i < 1000; ++i) script.push_back({reply(503, "")});
    EXPECT_EQ(co_await put(store), "ok");
    EXPECT_EQ(co_await put(store, 50ms), "unknown");
  });
}

TEST_F(scripted, nothing_is_sent_after_the_deadline) {
  run([&](s3_store& store) -> awaitable<void> {
    EXPECT_EQ(co_await put(store, 0s), "unavailable");
    co_await rt.sleep_for(5ms);
    EXPECT_TRUE(seen.empty());
  });
}

TEST_F(scripted, a_token_that_has_expired_is_not_a_wrong_checksum) {
  script = {{reply(400, "<Error><Code>ExpiredToken</Code></Error>")}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await put(store), "denied"); });
}

TEST_F(scripted, nobody_listening_is_unavailable) {
  auto with = settings();
  with.endpoint = "http://nowhere";
  run(with, [&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await put(store, 50ms), "unavailable"); });
}

TEST_F(scripted, refusals_become_errors) {
  struct expected {
    int status;
    std::string code, error;
  };
  for (const auto& e : {expected{404, "NoSuchKey", "not_found"}, expected{416, "InvalidRange", "not_found"},
                        expected{403, "AccessDenied", "denied"}, expected{301, "PermanentRedirect", "denied"}}) {
    script = {{reply(e.status, "<Error><Code>" + e.code + "</Code></Error>")}};
    run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await get(store, 4), e.error) << e.status; });
  }
  script = {{reply(400, "<Error><Code>XAmzContentChecksumMismatch</Code></Error>")}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await put(store), "corrupt"); });
}

TEST_F(scripted, an_answer_of_another_size_is_not_taken) {
  script = {{reply(206, "ab")}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await get(store, 4), "not_found"); });
  script = {{reply(206, "abcdefgh")}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await get(store, 4), "corrupt"); });
}

TEST_F(scripted, bytes_that_are_not_http_do_no_harm) {
  script = {{"SSH-2.0-x\r\n\r\n", true}, {reply(206, "abcd")}};
  run([&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await get(store, 4), "abcd"); });
}

TEST_F(scripted, virtual_hosts_and_paths) {
  auto virtual_at = net.listen({.host = "b.s3", .port = 80});
  std::swap(at, virtual_at);
  script = {{reply(206, "abcd")}};
  auto with = settings();
  with.path_style = false;
  run(with, [&](s3_store& store) -> awaitable<void> { EXPECT_EQ(co_await get(store, 4), "abcd"); });
  EXPECT_EQ(seen.back(), "GET /data/k");
}

TEST_F(scripted, opening_says_what_to_do) {
  auto with = settings();
  auto sentence = [&](std::deque<answer> answers) {
    script = std::move(answers);
    std::string text;
    run(with, [&](s3_store& store) -> awaitable<void> {
      try {
        co_await store.open();
      } catch (const object_store_error& error) {
        text = error.what();
      }
    });
    return text;
  };
  EXPECT_EQ(sentence({{reply(200, "<ListBucketResult/>")}}), "");
  auto missing = sentence({{reply(404, "<Error><Code>NoSuchBucket</Code></Error>")}});
  EXPECT_NE(missing.find("YAKS_S3_CREATE_BUCKET=true"), std::string::npos) << missing;
  auto denied = sentence({{reply(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")}});
  EXPECT_NE(denied.find("YAKS_S3_SECRET_KEY"), std::string::npos) << denied;
  with.endpoint = "http://nowhere";
  auto unreachable = sentence({});
  EXPECT_NE(unreachable.find("YAKS_S3_ENDPOINT"), std::string::npos) << unreachable;
}

TEST_F(scripted, an_endpoint_that_is_no_url_is_refused) {
  auto with = settings();
  with.endpoint = "s3.example.com";
  EXPECT_THROW(s3_store(rt, net, metrics, with), object_store_error);
}

// ---- the real server ---------------------------------------------------------------------------------------------------

// As a process does that dies in the middle of an upload: the server has half of the body, then the connection is gone.
TEST(s3_server, an_upload_that_is_cut_never_becomes_an_object) {
  auto with = s3::test_settings("YAKS_TEST_S3");
  if (!with) GTEST_SKIP() << "YAKS_TEST_S3 is not set: scripts/test starts the servers";
  real_runtime rt;
  tcp_network net(rt);
  metrics::registry metrics;
  auto body = [&]() -> awaitable<void> {
    s3_store store(rt, net, metrics, *with);
    co_await store.open();
    std::string bytes(1 << 20, 'x'), key = "cut/" + std::to_string(rt.random());
    auto url = http::parse_url(with->endpoint);
    http::headers fields{{"Host", http::host_header(url->at)},
                         {"x-amz-checksum-crc32c", s3::checksum_text(records::crc32c(as_bytes(bytes)))}};
    s3::signer signer(with->who, with->region);
    std::string path = "/" + with->bucket + "/" + key;
    signer.sign("PUT", path, "", fields, s3::unsigned_payload, rt.wall_clock());
    fields.push_back({"Content-Length", std::to_string(bytes.size())});
    {
      auto stream = co_await net.connect(url->at);
      std::vector<shared_bytes> half{http::request_text("PUT", path, fields), shared_bytes::copy_of(as_bytes(bytes.substr(0, 500'000)))};
      co_await stream->write_all(std::move(half));
      stream->close();
    }
    for (int i = 0; i < 20; ++i) {
      auto there = co_await store.get(key, 0, 1, rt.now() + 5s);
      EXPECT_FALSE(there);
      co_await rt.sleep_for(10ms);
    }
  };
  rt.run(body());
}
}  // namespace
}  // namespace yaks

// Goal: frames go out without a copy of record bytes and come in with the right header, of every API and version.
// Method: frames are encoded, compared with the plain encoding, and read back; a newer client's ApiVersions is among
// them.
#include "wire/frame.hpp"

#include <gtest/gtest.h>

#include "base/endian.hpp"
#include "wire/wire_testing.hpp"

namespace yaks::wire {
namespace {

shared_bytes bytes_like(std::string_view text) {
  return shared_bytes::copy_of(as_bytes(text));
}

TEST(frame, record_slices_are_sent_as_they_lie) {
  auto first = bytes_like("first batch"), second = bytes_like("second"), third = bytes_like("third");
  fetch_response response;
  response.responses.resize(2);
  response.responses[0].topic = "a";
  response.responses[0].partitions.resize(3);
  response.responses[0].partitions[0].records = record_segments{{first, second}};
  response.responses[0].partitions[1].records.reset();
  response.responses[1].topic = "b";
  response.responses[1].partitions.resize(1);
  response.responses[1].partitions[0].records = record_segments{{{}, third}};
  for (auto version = fetch_response::valid.first; version <= fetch_response::valid.last; ++version) {
    auto frame = encode_frame(7, version, response);
    auto header = version >= 12 ? std::string("\0\0\0\7\0", 5) : std::string("\0\0\0\7", 4);
    auto body = header + encoded(response, version);
    std::byte length[4];
    store_big_endian(length, std::int32_t(body.size()));
    EXPECT_EQ(flatten(frame), std::string(as_text(length)) + body) << version;
    EXPECT_EQ(frame.bytes, 4 + body.size());

    std::vector<const std::byte*> sent;
    std::size_t total = 0;
    for (const auto& segment : frame.segments) {
      sent.push_back(segment.data());
      total += segment.size();
      EXPECT_FALSE(segment.empty());
    }
    EXPECT_EQ(total, frame.bytes);
    // encoded, first, second, encoded, third, and the end where version 12 puts its tagged fields
    ASSERT_EQ(frame.segments.size(), version >= 12 ? 6u : 5u);
    EXPECT_EQ(sent[1], first.data());
    EXPECT_EQ(sent[2], second.data());
    EXPECT_EQ(sent[4], third.data());
  }
}

TEST(frame, the_message_may_go_away_before_the_frame_is_sent) {
  outgoing_frame frame;
  {
    fetch_response response;
    response.responses.resize(1);
    response.responses[0].partitions.resize(1);
    response.responses[0].partitions[0].records = record_segments{{bytes_like("kept alive by the frame")}};
    frame = encode_frame(1, 11, response);
  }
  EXPECT_NE(flatten(frame).find("kept alive by the frame"), std::string::npos);
}

TEST(frame, without_records_it_is_one_segment) {
  EXPECT_EQ(encode_frame(1, 4, api_versions_response{}).segments.size(), 1u);
  EXPECT_EQ(encode_frame(1, 12, fetch_response{}).segments.size(), 1u);
  EXPECT_EQ(encode_frame(1, 12, fetch_response{.responses = {{.partitions = {{}}}}}).segments.size(), 1u);
}

TEST(frame, requests_of_every_version_come_back) {
  for_each_api([]<class Request, class Response>() {
    for (auto version = Request::valid.first; version <= Request::valid.last; ++version) {
      SCOPED_TRACE(name_of(Request::api) + " " + std::to_string(version));
      auto bytes = flatten(encode_request_frame(42, "client", version, Request{}));
      auto frame = as_bytes(bytes).subspan(4);
      EXPECT_EQ(load_big_endian<std::int32_t>(as_bytes(bytes).data()), std::int32_t(frame.size()));
      auto request = parse_request_header(frame);
      ASSERT_TRUE(request);
      EXPECT_EQ(request->key(), Request::api);
      EXPECT_EQ(request->version(), version);
      EXPECT_EQ(request->header.correlation_id, 42);
      EXPECT_EQ(request->header.client_id, "client");
      if (version > find_api(Request::api)->served.last) continue;  // read as far as all versions agree
      EXPECT_EQ(as_text(request->body), encoded(Request{}, version));
      auto body = decode_body<Request>(request->body, version);
      ASSERT_TRUE(body);
      // Cut short anywhere in the header: refused.
      for (std::size_t cut = 0; cut < frame.size() - request->body.size(); ++cut)
        EXPECT_FALSE(parse_request_header(frame.first(cut)));
    }
  });
}

TEST(frame, response_headers_are_flexible_except_around_api_versions) {
  for_each_api([]<class Request, class Response>() {
    for (auto version = Response::valid.first; version <= Response::valid.last; ++version) {
      bool has_tags = Response::flexible.has(version) && Response::api != api_key::api_versions;
      auto bytes = flatten(encode_frame(9, version, Response{}));
      EXPECT_EQ(bytes.size(), 8 + (has_tags ? 1 : 0) + encoded(Response{}, version).size()) << version;
    }
  });
}

TEST(frame, header_tags_are_skipped) {
  // ApiVersions 3, correlation id 5, null client id, one unknown tag of two bytes; the body follows.
  std::string frame("\0\x12\0\3\0\0\0\5\xff\xff\1\x09\2zz\2a\2b\0", 20);
  auto request = parse_request_header(as_bytes(frame));
  ASSERT_TRUE(request);
  EXPECT_FALSE(request->header.client_id);
  auto body = decode_body<api_versions_request>(request->body, 3);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->client_software_name, "a");
  EXPECT_EQ(body->client_software_version, "b");
}

TEST(frame, a_newer_api_versions_request_is_understood_as_far_as_its_header) {
  // Version 5 with a body and header tags that nobody here can know.
  std::string frame("\0\x12\0\5\0\0\1\0\0\4java\xff\xff\xff", 17);
  auto request = parse_request_header(as_bytes(frame));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->key(), api_key::api_versions);
  EXPECT_FALSE(is_served(request->key(), request->version()));
  EXPECT_EQ(request->header.correlation_id, 256);
  EXPECT_EQ(request->header.client_id, "java");
  // The answer is version 0: error code, and a list of three int16 each.
  api_versions_response answer{.error_code = error_code::unsupported_version, .api_keys = {{18, 0, 4}}};
  EXPECT_EQ(flatten(encode_frame(256, 0, answer)), std::string("\0\0\0\x10\0\0\1\0\0\x23\0\0\0\1\0\x12\0\0\0\4", 20));
}

TEST(frame, an_unknown_api_has_a_header_too) {
  std::string frame("\x03\xe7\0\1\0\0\0\5\0\1cbody", 15);
  auto request = parse_request_header(as_bytes(frame));
  ASSERT_TRUE(request);
  EXPECT_EQ(find_api(request->key()), nullptr);
  EXPECT_EQ(as_text(request->body), "body");
}

TEST(api, table_is_as_promised) {
  std::string ranges;
  for (const auto& row : apis)
    ranges +=
        std::string(row.name) + " " + std::to_string(row.served.first) + "-" + std::to_string(row.served.last) + "\n";
  EXPECT_EQ(ranges,
            "Produce 3-13\nFetch 3-18\nListOffsets 1-11\nMetadata 0-13\nOffsetCommit 2-10\nOffsetFetch 1-10\n"
            "FindCoordinator 0-6\nJoinGroup 0-9\nHeartbeat 0-4\nLeaveGroup 0-5\nSyncGroup 0-5\n"
            "DescribeGroups 0-6\nListGroups 0-5\nSaslHandshake 0-1\nApiVersions 0-4\nCreateTopics 2-7\nDeleteTopics 1-6\n"
            "DeleteRecords 0-2\nInitProducerId 0-5\nOffsetForLeaderEpoch 2-4\nDescribeAcls 1-3\n"
            "DescribeConfigs 1-4\nAlterConfigs 0-2\nDescribeLogDirs 1-4\nSaslAuthenticate 0-2\nCreatePartitions 0-3\n"
            "DeleteGroups 0-2\nElectLeaders 0-2\nIncrementalAlterConfigs 0-1\nAlterPartitionReassignments 0-1\n"
            "ListPartitionReassignments 0-0\nOffsetDelete 0-0\nDescribeClientQuotas 0-1\n"
            "DescribeUserScramCredentials 0-0\nDescribeQuorum 0-2\nDescribeCluster 0-2\nDescribeProducers 0-0\n"
            "ConsumerGroupHeartbeat 0-1\nConsumerGroupDescribe 0-1\nListConfigResources 0-1\n"
            "DescribeTopicPartitions 0-0\n");
  EXPECT_EQ(find_api(api_key::produce)->shown_first, 0);
  for (const auto& row : apis)
    if (row.key != api_key::produce) EXPECT_EQ(row.shown_first, row.served.first) << row.name;
  EXPECT_TRUE(std::ranges::is_sorted(apis, {}, &api::key));
  std::size_t visited = 0;
  for_each_api([&]<class Request, class Response>() { EXPECT_EQ(Request::api, apis[visited++].key); });
  EXPECT_EQ(visited, apis.size());
  EXPECT_EQ(find_api(999), nullptr);
  EXPECT_EQ(name_of(api_key{999}), "999");
  EXPECT_FALSE(is_served(api_key::produce, 2));
  EXPECT_TRUE(is_served(api_key::produce, 3));
  EXPECT_FALSE(is_served(api_key::produce, 14));
}

TEST(api, table_as_markdown) {
  auto table = apis_as_markdown();
  EXPECT_NE(table.find("| 0 | Produce | 3–13 |"), std::string::npos) << table;
  EXPECT_EQ(std::ranges::count(table, '\n'), std::ptrdiff_t(apis.size()) + 2);
}
}  // namespace
}  // namespace yaks::wire

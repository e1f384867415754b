// Any bytes as what a consumer says of itself when it joins a classic group (ConsumerProtocolSubscription). What is
// read of it lies in it, in order; and a group whose members say it lives on: it is one that can be asked, that becomes
// one of the consumer protocol when a member of that joins, and that a snapshot keeps.
#include "base/check.hpp"
#include "base/endian.hpp"
#include "metadata/entry_codec.hpp"
#include "metadata/groups.hpp"
#include "metadata/snapshot.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
namespace {
const incarnation writer(uuid::v4(1, 1));

struct history {
  state s;
  std::uint64_t number = 0;
  void apply(command c) {
    entry_writer entry;
    entry.add(c);
    s.apply({.sequence = s.position().sequence + 1,
             .id = {writer, ++number},
             .time = timestamp_ms(1'700'000'000'000),
             .payload = entry.take()});
    YAKS_CHECK(s.digest() == s.recompute_digest(), "the digest follows every change");
  }
};

join_group joining(std::string member, std::string_view metadata, std::uint64_t request) {
  return {.group = "g",
          .member = "",
          .new_member = std::move(member),
          .client_id = "c",
          .client_host = "/h",
          .session_timeout_ms = 10'000,
          .rebalance_timeout_ms = 60'000,
          .protocol_type = "consumer",
          .protocols = {{"range", std::string(metadata)}},
          .request = request,
          .members_max = 10};
}

void run(std::string_view bytes) {
  if (auto topics = subscribed_topics(bytes)) {
    std::string again(bytes.substr(0, 6));
    for (auto topic : *topics) {
      std::byte length[2];
      store_big_endian(length, std::int16_t(topic.size()));
      again += as_text(byte_view(length));
      again += topic;
    }
    YAKS_CHECK(bytes.starts_with(again), "the topics are what the bytes say");
    auto count = load_big_endian<std::int32_t>(as_bytes(bytes).data() + 2);
    YAKS_CHECK(std::int64_t(topics->size()) == std::max(count, 0), "all of them, and no more");
  }
  history h;
  h.apply(register_agent{.node = node_id(1), .upload_deadline_ms = 600'000});
  h.apply(create_topic{topic_id(uuid::v4(1, 1)), "t", 3, {}});
  h.apply(create_topic{topic_id(uuid::v4(2, 2)), "u", 1, {}});
  h.apply(joining("a", bytes, 1));
  const auto* g = h.s.groups().find("g");
  YAKS_CHECK(g && g->members.contains("a"), "its metadata are the members' own business");
  (void)g->is_subscribed("t");
  // Its assignment, too, is the same kind of bytes.
  h.apply(sync_group{.group = "g",
                     .member = "a",
                     .generation = g->generation,
                     .assignments = {{"a", std::string(bytes)}},
                     .request = 2});
  h.apply(consumer_heartbeat{.group = "g",
                             .member = "b",
                             .epoch = 0,
                             .rebalance_timeout_ms = 60'000,
                             .topics = std::vector<std::string>{"t"},
                             .owned = std::vector<topic_partition>{},
                             .client_id = "c",
                             .client_host = "/h",
                             .session_timeout_ms = 45'000,
                             .members_max = 10});
  h.apply(joining("d", bytes, 3));
  g = h.s.groups().find("g");
  YAKS_CHECK(g, "the group is there");
  (void)g->is_subscribed("u");
  auto read = snapshot_codec::decode(snapshot_codec::encode(h.s).view());
  YAKS_CHECK(read.digest() == h.s.digest() && read.recompute_digest() == h.s.digest(), "a snapshot is the state");
  h.apply(leave_group{.group = "g", .members = {{.member = "b", .instance = {}}}});
}
}  // namespace
}  // namespace yaks::metadata

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  metadata::run(as_text(std::as_bytes(std::span(data, size))));
  return 0;
}

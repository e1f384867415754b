// Writes inputs to begin with into DIR/TARGET/: well-formed ones, from which a fuzzer finds the others much sooner than
// from nothing. Requests are the golden bytes of src/wire/testdata, so that a new API has seeds as soon as it has
// those.
//
//   fuzz_seeds DIR
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <utility>

#include "base/endian.hpp"
#include "ingest/object_builder.hpp"
#include "metadata/entry_codec.hpp"
#include "metadata/range_chunk.hpp"
#include "metadata/snapshot.hpp"
#include "records/builder.hpp"
#include "records/crc32c.hpp"
#include "wire/api.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace yaks {
namespace {
class folder {
 public:
  folder(std::filesystem::path root, std::string_view target) : path_(root / target) {
    std::filesystem::create_directories(path_);
  }
  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream file(path_ / name, std::ios::binary);
    file.write(bytes.data(), std::streamsize(bytes.size()));
    if (!file) throw std::runtime_error("cannot write " + (path_ / name).string());
  }

 private:
  std::filesystem::path path_;
};

template <class T>
std::string big_endian(T value) {
  std::string bytes(sizeof value, '\0');
  store_big_endian(reinterpret_cast<std::byte*>(bytes.data()), value);
  return bytes;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    bytes.push_back(char(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  return bytes;
}

std::string little_endian_length(std::size_t n) {
  return {char(n & 0xff), char(n >> 8 & 0xff)};
}

void write_requests(const folder& to, const folder& frames, const folder& conversations) {
  std::stringstream golden;
  for (const auto* name : {"kafka-4.3.1.txt", "kafka-4.3.1-groups.txt"}) {
    std::ifstream file(std::string(YAKS_SOURCE_DIR "/src/wire/testdata/") + name);
    if (!file) throw std::runtime_error(std::string("there is no src/wire/testdata/") + name);
    golden << file.rdbuf();
  }
  std::string some_frames;
  std::map<std::string, std::string> by_api;  // each API's versions, as one client's requests
  for (std::string line; std::getline(golden, line);) {
    std::string message, kind, hex;
    std::int16_t version = 0;
    std::istringstream(line) >> message >> version >> kind >> hex;
    for (const auto& api : wire::apis) {
      if (message != std::string(api.name) + "Request") continue;
      auto frame = big_endian(std::int16_t(api.key)) + big_endian(version) + big_endian(std::int32_t(7)) +
                   big_endian(std::int16_t(3)) + "cli";
      if (wire::request_header_version(api.key, version) == 2) frame += '\0';
      frame += from_hex(hex);
      to.write(fmt::format("{}-{}-{}", api.name, version, kind), frame);
      if (api.served.first <= version && version <= api.served.last)
        by_api[std::string(api.name)] += little_endian_length(frame.size()) + frame;
      if (some_frames.size() < 2000) some_frames += big_endian(std::int32_t(frame.size())) + frame;
    }
  }
  for (const auto& [name, bytes] : by_api) conversations.write(name, bytes);
  for (int piece : {0, 3, 9})
    frames.write(fmt::format("requests-pieces-{}", piece), char(piece) + std::string(1, '\0') + some_frames);
  for (int kib : {5, 70, 190})  // one long frame, and what follows it
    frames.write(fmt::format("long-{}-kib", kib),
                 std::string{char(kib % 17), char(kib)} + big_endian(std::int32_t(kib * 1024 - 100)));
  frames.write("negative", std::string(2, '\0') + big_endian(std::int32_t(-1)));
  frames.write("oversized", std::string(2, '\0') + big_endian(std::int32_t(1 << 30)));
}

// Like Kafka's consumers: ConsumerProtocolSubscription.
std::string subscription(std::int16_t version, const std::vector<std::string>& topics) {
  auto bytes = big_endian(version) + big_endian(std::int32_t(topics.size()));
  for (const auto& t : topics) bytes += big_endian(std::int16_t(t.size())) + t;
  bytes += big_endian(std::int32_t(-1));  // user data
  if (version >= 1)
    bytes += big_endian(std::int32_t(1)) + big_endian(std::int16_t(1)) + "t" +  // owned: t-0
             big_endian(std::int32_t(1)) + big_endian(std::int32_t(0));
  if (version >= 2) bytes += big_endian(std::int32_t(4));   // generation
  if (version >= 3) bytes += big_endian(std::int16_t(-1));  // rack
  return bytes;
}

// What the topic of handlers_fuzz and a group make of it.
void write_conversations(const folder& to) {
  std::string bytes;
  auto keep = [&](const std::string& name) { to.write(name, std::exchange(bytes, {})); };
  auto say = [&](std::int16_t version, const auto& message) {
    auto frame = wire::flatten(wire::encode_request_frame(7, "cli", version, message)).substr(4);
    bytes += little_endian_length(frame.size()) + frame;
  };
  records::batch_builder builder;
  builder.add(timestamp_ms(1'700'000'000'000), "k", "v");
  auto batch = builder.build();
  wire::produce_request produce{.acks = -1, .timeout_ms = 1000};
  produce.topic_data.push_back({.name = "t", .topic_id = {}, .partition_data = {{0, wire::blob{batch}}}});
  say(9, produce);
  wire::fetch_request fetch{
      .max_wait_ms = 0, .min_bytes = 1, .max_bytes = 1 << 20, .session_id = 0, .session_epoch = 0};
  fetch.topics.push_back({.topic = "t",
                          .topic_id = {},
                          .partitions = {{.partition = 0, .fetch_offset = 0, .partition_max_bytes = 1 << 20}}});
  say(11, fetch);
  fetch.session_id = 1;
  fetch.session_epoch = 1;
  say(11, fetch);
  wire::list_offsets_request list;
  list.topics.push_back(
      {.name = "t", .partitions = {{.partition_index = 0, .timestamp = -3}, {.partition_index = 1, .timestamp = 5}}});
  say(8, list);
  wire::delete_records_request remove{.topics = {}, .timeout_ms = 1000};
  remove.topics.push_back({.name = "t", .partitions = {{.partition_index = 0, .offset = -1}}});
  say(2, remove);
  say(11, fetch);
  keep("records");

  auto metadata = subscription(1, {"t"});
  say(3, wire::join_group_request{.group_id = "g",
                                  .session_timeout_ms = 10'000,
                                  .rebalance_timeout_ms = 10'000,
                                  .protocol_type = "consumer",
                                  .protocols = {{.name = "range", .metadata = {metadata}}}});
  say(4, wire::describe_groups_request{.groups = {"g", "h"}});
  say(4, wire::list_groups_request{});
  say(0, wire::consumer_group_heartbeat_request{.group_id = "g",
                                                .member_id = "m",
                                                .member_epoch = 0,
                                                .rebalance_timeout_ms = 1000,
                                                .subscribed_topic_names = std::vector<std::string_view>{"t"}});
  say(0, wire::consumer_group_describe_request{.group_ids = {"g"}});
  say(2, wire::delete_groups_request{.groups_names = {"g"}});
  keep("groups");
}

// ---- the metadata --------------------------------------------------------------------------------------------------

namespace m = metadata;
const topic_id a_topic(uuid::v4(1, 1)), another_topic(uuid::v4(2, 2));
constexpr timestamp_ms begun(1'700'000'000'000);

m::commit_object a_commit(std::int64_t age_ms, std::int32_t sequence = -1) {
  m::batch_commit plain{.bytes = 100, .record_count = 3, .max_timestamp = begun}, with_producer = plain;
  with_producer.producer = producer_id(1);
  with_producer.producer_epoch = 0;
  with_producer.base_sequence = std::max(sequence, 0);
  std::vector<m::batch_commit> batches{plain};
  if (sequence >= 0) batches.push_back(with_producer);
  return {object_id(uuid::v7(begun.value() - age_ms, 5, std::uint64_t(sequence + 9))),
          400,
          {{a_topic, {{partition_index(0), batches}, {partition_index(1), {plain}}}}}};
}

std::string payload(const std::vector<m::command>& commands) {
  m::entry_writer writer;
  for (const auto& c : commands) writer.add(c);
  auto bytes = writer.take();
  return std::string(as_text(bytes.view()));
}

struct history {
  std::string bytes;  // as state_fuzz reads it
  m::state state;
  timestamp_ms time = begun;
  std::uint64_t numbers[4] = {};
  void add(unsigned control, std::vector<m::command> commands) {
    for (auto& c : commands)
      if (auto* r = std::get_if<m::register_agent>(&c)) r->as_of = state.position().sequence;
    auto entry = payload(commands);
    bytes += char(control);
    bytes += char(entry.size() & 0xff);
    bytes += char(entry.size() >> 8);
    bytes += entry;
    auto writer = control & 3;
    if (control & 4) time += 3'600'000;
    if (control & 8) time += 2 * 86'400'000;
    if (!(control & 16)) ++numbers[writer];
    if (control & 32) ++numbers[writer];
    state.apply({.sequence = state.position().sequence + 1,
                 .id = {incarnation(uuid::v4(0x10000 + writer, writer)), numbers[writer]},
                 .time = time,
                 .payload = shared_bytes::copy_of(as_bytes(entry))});
  }
};

m::register_agent registration(std::int32_t node) {
  return {.node = node_id(node), .upload_deadline_ms = 600'000, .version = "v", .host = "h", .port = 9092, .zone = "z"};
}

m::join_group joining(std::string member, std::string protocol, std::uint64_t request = 1) {
  return {.group = "g",
          .member = "",
          .new_member = std::move(member),
          .instance = {},
          .client_id = "c",
          .client_host = "/h",
          .session_timeout_ms = 10'000,
          .rebalance_timeout_ms = 60'000,
          .protocol_type = "consumer",
          .protocols = {{std::move(protocol), subscription(1, {"t"})}},
          .request = request,
          .members_max = 10};
}
m::consumer_heartbeat beating(std::string member, std::int32_t epoch) {
  m::consumer_heartbeat c{.group = "g",
                          .member = std::move(member),
                          .epoch = epoch,
                          .client_id = "c",
                          .client_host = "/h",
                          .session_timeout_ms = 45'000,
                          .members_max = 10};
  if (epoch != 0) return c;
  c.rebalance_timeout_ms = 60'000;
  c.topics = {"t", "u"};
  c.owned.emplace();
  return c;
}

void write_metadata(const std::filesystem::path& root) {
  folder entries(root, "log_entry"), states(root, "state"), snapshots(root, "snapshot"), chunks(root, "range_chunk");
  const std::pair<std::string_view, std::vector<m::command>> all[] = {
      {"register_agent", {registration(1)}},
      {"fence_agent", {m::fence_agent{incarnation(uuid::v4(0x10001, 1))}}},
      {"create_topic",
       {m::create_topic{a_topic, "t", 2, {{"retention.ms", "1000"}, {"cleanup.policy", std::nullopt}}}}},
      {"delete_topic", {m::delete_topic{a_topic}}},
      {"create_partitions", {m::create_partitions{a_topic, 3}}},
      {"alter_topic_configs", {m::alter_topic_configs{a_topic, {{"retention.ms", "1"}, {"x", std::nullopt}}}}},
      {"commit_object", {a_commit(0)}},
      {"commit_object-idempotent", {a_commit(0, 4)}},
      {"allocate_producer_ids", {m::allocate_producer_ids{1000}}},
      {"commit_group_offsets", {m::commit_group_offsets{"g", {{a_topic, partition_index(0), offset(3), 0, "m"}}}}},
      {"advance_index", {m::advance_index{{{a_topic, partition_index(0), offset(3), 0}}}}},
      {"move_log_start", {m::move_log_start{a_topic, partition_index(0), offset(2)}}},
      {"alter_group_configs",
       {m::alter_group_configs{"g", {{"consumer.session.timeout.ms", "1"}, {"x", std::nullopt}}}}},
      {"join_group", {joining("a", "range")}},
      {"sync_group",
       {m::sync_group{.group = "g",
                      .member = "a",
                      .instance = "i",
                      .generation = 1,
                      .protocol_type = "consumer",
                      .protocol = "range",
                      .assignments = {{"a", "what"}},
                      .request = 2}}},
      {"leave_group", {m::leave_group{"g", {{"a", std::nullopt}, {"", "i"}}}}},
      {"move_home", {m::move_home{"g", "a"}}},
      {"expire_member", {m::expire_member{"g", "a", 1}}},
      {"fire_group_timer", {m::fire_group_timer{"g", 2}}},
      {"remove_group_data", {m::remove_group_data{"g", m::group_removal::offsets, {{a_topic, partition_index(0)}}, 5}}},
      {"consumer_heartbeat", {beating("a", 0)}},
      {"consumer_heartbeat-regex",
       {m::consumer_heartbeat{.group = "g",
                              .member = "a",
                              .epoch = 3,
                              .instance = "i",
                              .rack = "r",
                              .topics = std::vector<std::string>{"t"},
                              .regex = "t.*",
                              .regex_matches = std::vector<std::string>{"t", "u"},
                              .assignor = "range",
                              .members_max = 9}}},
      {"take_upkeep", {m::take_upkeep{3}}},
      {"trim_partitions",
       {m::trim_partitions{1, {{a_topic, partition_index(0), offset(0), offset(6), offset(3), 100}}}}},
      {"settle_upkeep", {m::settle_upkeep{1, {{{a_topic, partition_index(0)}, offset(3)}}, {another_topic}, {1, 2}, {}}}},
      {"merge_object",
       {m::merge_object{1, object_id(uuid::v7(1'700'000'000'000, 5, 6)), 300,
                        {{a_topic, partition_index(0), 0, offset(0), offset(6), 0, 200}, {a_topic, partition_index(1), 2, offset(3), offset(6), 200, 100}}}}},
      {"settle_upkeep-merges", {m::settle_upkeep{1, {}, {}, {1, 2}, {7, 9}}}},
      {"sweep", {m::sweep{begun}}},
      {"enable_format", {m::enable_format{1}}},
      {"several", {m::allocate_producer_ids{1}, a_commit(0), m::delete_topic{another_topic}}},
  };
  for (const auto& [name, commands] : all) entries.write(std::string(name), payload(commands));

  history h;
  auto keep = [&](const std::string& name) {
    states.write(name, h.bytes);
    auto snapshot = m::snapshot_codec::encode(h.state);
    snapshots.write(name, as_text(snapshot.view()));
  };
  h.add(0, {registration(0)});
  h.add(1, {registration(1)});
  keep("agents");
  h.add(0, {m::create_topic{a_topic, "t", 2, {{"retention.ms", "1000"}}}, m::create_topic{another_topic, "u", 1, {}}});
  h.add(1, {m::allocate_producer_ids{10}});
  for (int i = 0; i < 4; ++i) h.add(unsigned(i % 2), {a_commit(0, 3 * i)});
  keep("batches");
  h.add(0, {a_commit(0, 9)});   // a repeated sequence
  h.add(1, {a_commit(0, 90)});  // a gap
  h.add(0, {m::commit_group_offsets{"g", {{a_topic, partition_index(0), offset(3), 0, "m"}}}});
  h.add(16, {m::allocate_producer_ids{1}});  // a repeated entry
  keep("groups");
  const auto& ranges = h.state.find_partition({a_topic, partition_index(0)})->ranges;
  chunks.write("four-ranges", big_endian(ranges.front().base_offset.value()) + big_endian(ranges.front().object) +
                                  m::encode_ranges(ranges));
  h.add(0,
        {m::advance_index{{{a_topic, partition_index(0), offset(6), 0}, {a_topic, partition_index(1), offset(3), 0}}}});
  keep("indexed");
  h.add(1, {m::move_log_start{a_topic, partition_index(0), offset(8)},
            m::move_log_start{a_topic, partition_index(1), offset(-1)}});
  h.add(0, {m::alter_group_configs{"g", {{"consumer.session.timeout.ms", "1"}}}});
  keep("log-start-moved");
  h.add(4, {a_commit(0, 12)});  // too late: it was uploaded an hour ago
  h.add(8 | 1, {m::allocate_producer_ids{1}});
  h.add(8 | 1, {m::allocate_producer_ids{1}});  // producers expire
  keep("late");
  h.add(1, {m::fence_agent{incarnation(uuid::v4(0x10000, 0))}});
  h.add(0, {m::delete_topic{a_topic}});  // void: fenced
  h.add(1, {m::create_partitions{a_topic, 4}, m::alter_topic_configs{a_topic, {{"retention.ms", std::nullopt}}}});
  h.add(1, {a_commit(begun - h.time, 20)});
  keep("fenced");
  h.add(1, {m::delete_topic{a_topic}});
  keep("deleted");
  // What no agent does: an id that is used again, with fewer partitions than its producers were known in.
  h.add(1, {m::create_topic{a_topic, "t", 1, {}}});
  for (int i = 0; i < 3; ++i) h.add(8 | 1, {m::allocate_producer_ids{1}});
  keep("topic-id-used-again");
}

void write_groups(const std::filesystem::path& root) {
  folder states(root, "state"), snapshots(root, "snapshot"), members(root, "group_metadata");
  for (std::int16_t version = 0; version < 4; ++version)
    members.write(fmt::format("version-{}", version), subscription(version, {"t", "u"}));
  members.write("no-topics", subscription(1, {}));
  members.write("count-too-large",
                big_endian(std::int16_t(0)) + big_endian(std::int32_t(1 << 30)) + big_endian(std::int16_t(1)) + "t");

  history h;
  auto keep = [&](const std::string& name) {
    states.write(name, h.bytes);
    auto snapshot = m::snapshot_codec::encode(h.state);
    snapshots.write(name, as_text(snapshot.view()));
  };
  auto generation = [&] { return h.state.groups().find("g")->generation; };
  h.add(0, {registration(0)});
  h.add(1, {registration(1)});
  h.add(0, {m::create_topic{a_topic, "t", 3, {}}, m::create_topic{another_topic, "u", 1, {}}});
  h.add(0, {joining("a", "range", 1)});
  h.add(1, {joining("b", "range", 2)});
  keep("classic-joining");
  auto again = joining("", "range", 3);
  again.member = "a";
  h.add(0, {again});
  h.add(1, {m::sync_group{.group = "g",
                          .member = "b",
                          .instance = {},
                          .generation = generation(),
                          .protocol_type = {},
                          .protocol = {},
                          .assignments = {},
                          .request = 4}});
  h.add(0, {m::sync_group{.group = "g",
                          .member = "a",
                          .instance = {},
                          .generation = generation(),
                          .protocol_type = {},
                          .protocol = {},
                          .assignments = {{"a", "x"}, {"b", "y"}},
                          .request = 5}});
  h.add(0, {m::commit_group_offsets{"g", {{a_topic, partition_index(0), offset(0), 0, ""}}, "a", {}, generation()}});
  h.add(1, {m::move_home{"g", "a"}});
  keep("classic-stable");
  h.add(0, {beating("k", 0)});  // now it is of the consumer protocol
  keep("becomes-consumer");
  h.add(1, {m::leave_group{"g", {{"a", std::nullopt}, {"b", std::nullopt}}}});
  h.add(0, {beating("l", 0)});
  h.add(0, {beating("k", 2), beating("l", 2)});
  h.add(1, {m::create_partitions{a_topic, 5}});
  auto owning = beating("k", 0);
  owning.owned = {{a_topic, partition_index(0)}};
  h.add(0, {owning});
  h.add(4, {m::fire_group_timer{"g", 1}, m::fire_group_timer{"g", 4}});
  keep("consumer-reconciling");
  h.add(0, {beating("k", -1), beating("l", -2)});
  h.add(8, {m::remove_group_data{"g", m::group_removal::expired, {}, 1}});
  keep("consumer-left");
}

void write_upkeep(const std::filesystem::path& root) {
  folder states(root, "state"), snapshots(root, "snapshot");
  history h;
  auto keep = [&](const std::string& name) {
    states.write(name, h.bytes);
    auto snapshot = m::snapshot_codec::encode(h.state);
    snapshots.write(name, as_text(snapshot.view()));
  };
  h.add(0, {registration(0)});
  h.add(1, {registration(1)});
  h.add(0, {m::create_topic{a_topic, "t", 2, {}}, m::take_upkeep{0}});
  for (int i = 0; i < 4; ++i) h.add(unsigned(i % 2), {a_commit(0, 3 * i)});
  const auto& p = *h.state.find_partition({a_topic, partition_index(0)});
  auto begin = p.ranges[0].base_offset, first = p.ranges[0].end_offset(), second = p.ranges[1].end_offset();
  h.add(0, {m::advance_index{{{a_topic, partition_index(0), first, 0}}}});
  h.add(0, {m::merge_object{1, object_id(uuid::v7(h.time.value(), 8, 9)), 100, {{a_topic, partition_index(0), 0, begin, first, 0, 100}}}});
  keep("merging");
  h.add(0, {m::settle_upkeep{1, {}, {}, {}, {h.state.merges().empty() ? 1 : h.state.merges().begin()->first}}});
  keep("merged");
  h.add(0, {m::trim_partitions{1, {{a_topic, partition_index(0), begin, second, first, 100}}}});
  keep("trimmed");
  h.add(1, {m::take_upkeep{0}, m::take_upkeep{1}, m::sweep{h.time}});
  h.add(1, {m::settle_upkeep{2, {{{a_topic, partition_index(0)}, second}}, {}, {1, 2, 3, 4}, {}}});
  keep("settled");
  h.add(0, {a_commit(1, 12)});  // swept
  h.add(1, {m::delete_topic{a_topic}});
  keep("all-released");
  h.add(1, {m::settle_upkeep{2, {}, {a_topic}, {1, 2, 3, 4, 5, 6}, {}}});
  keep("all-settled");
}

// ---- objects -------------------------------------------------------------------------------------------------------

void write_objects(const folder& footers) {
  std::vector<ingest::produced_batch> batches;
  for (int partition : {0, 1, 1}) {
    records::batch_builder builder;
    builder.add(begun, "k", "v");
    auto bytes = shared_bytes::copy_of(builder.build());
    batches.push_back({.where = {a_topic, partition_index(partition)},
                       .bytes = bytes,
                       .info = {.bytes = std::uint32_t(bytes.size()), .record_count = 1, .max_timestamp = begun},
                       .crc32c = records::crc32c(bytes.view())});
  }
  auto built = ingest::build_object(object_id(uuid::v7(begun.value(), 1, 1)), batches);
  std::string all;
  for (const auto& s : built.segments) all += as_text(s.view());
  footers.write("whole-object", all);
  footers.write("footer", as_text(built.segments.back().view()));
}
}  // namespace
}  // namespace yaks

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "fuzz_seeds DIR: writes inputs for the fuzz targets into DIR/TARGET/\n";
    return 2;
  }
  try {
    std::filesystem::path root = argv[1];
    yaks::write_requests({root, "request"}, {root, "frame"}, {root, "handlers"});
    yaks::write_conversations({root, "handlers"});
    yaks::write_metadata(root);
    yaks::write_groups(root);
    yaks::write_upkeep(root);
    yaks::write_objects({root, "object_footer"});
  } catch (const std::exception& error) {
    std::cerr << "fuzz_seeds: " << error.what() << '\n';
    return 1;
  }
}

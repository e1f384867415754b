// Writes inputs to begin with into DIR/TARGET/: well-formed ones, from which a fuzzer finds the others much sooner than from
// nothing. Requests are the golden bytes of src/wire/testdata, so that a new API has seeds as soon as it has those.
//
//   fuzz_seeds DIR
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/endian.hpp"
#include "ingest/object_builder.hpp"
#include "metadata/entry_codec.hpp"
#include "metadata/range_chunk.hpp"
#include "metadata/snapshot.hpp"
#include "records/builder.hpp"
#include "records/crc32c.hpp"
#include "wire/api.hpp"

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

void write_requests(const folder& to, const folder& frames) {
  std::ifstream golden(YAKS_SOURCE_DIR "/src/wire/testdata/kafka-4.3.1.txt");
  if (!golden) throw std::runtime_error("there is no src/wire/testdata/kafka-4.3.1.txt");
  std::string some_frames;
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
      if (some_frames.size() < 2000) some_frames += big_endian(std::int32_t(frame.size())) + frame;
    }
  }
  for (int piece : {0, 3, 9}) frames.write(fmt::format("requests-pieces-{}", piece), char(piece) + std::string(1, '\0') + some_frames);
  for (int kib : {5, 70, 190})  // one long frame, and what follows it
    frames.write(fmt::format("long-{}-kib", kib),
                 std::string{char(kib % 17), char(kib)} + big_endian(std::int32_t(kib * 1024 - 100)));
  frames.write("negative", std::string(2, '\0') + big_endian(std::int32_t(-1)));
  frames.write("oversized", std::string(2, '\0') + big_endian(std::int32_t(1 << 30)));
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
  return {object_id(uuid::v7(begun.value() - age_ms, 5, std::uint64_t(sequence + 9))), 400,
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

void write_metadata(const std::filesystem::path& root) {
  folder entries(root, "log_entry"), states(root, "state"), snapshots(root, "snapshot"), chunks(root, "range_chunk");
  const std::pair<std::string_view, std::vector<m::command>> all[] = {
      {"register_agent", {registration(1)}},
      {"fence_agent", {m::fence_agent{incarnation(uuid::v4(0x10001, 1))}}},
      {"create_topic", {m::create_topic{a_topic, "t", 2, {{"retention.ms", "1000"}, {"cleanup.policy", std::nullopt}}}}},
      {"delete_topic", {m::delete_topic{a_topic}}},
      {"create_partitions", {m::create_partitions{a_topic, 3}}},
      {"alter_topic_configs", {m::alter_topic_configs{a_topic, {{"retention.ms", "1"}, {"x", std::nullopt}}}}},
      {"commit_object", {a_commit(0)}},
      {"commit_object-idempotent", {a_commit(0, 4)}},
      {"allocate_producer_ids", {m::allocate_producer_ids{1000}}},
      {"commit_group_offsets", {m::commit_group_offsets{"g", {{a_topic, partition_index(0), offset(3), 0, "m"}}}}},
      {"advance_index", {m::advance_index{{{a_topic, partition_index(0), offset(3), 0}}}}},
      {"move_log_start", {m::move_log_start{a_topic, partition_index(0), offset(2)}}},
      {"alter_group_configs", {m::alter_group_configs{"g", {{"consumer.session.timeout.ms", "1"}, {"x", std::nullopt}}}}},
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
  h.add(0, {m::advance_index{{{a_topic, partition_index(0), offset(6), 0}, {a_topic, partition_index(1), offset(3), 0}}}});
  keep("indexed");
  h.add(1, {m::move_log_start{a_topic, partition_index(0), offset(8)}, m::move_log_start{a_topic, partition_index(1), offset(-1)}});
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
    yaks::write_requests({root, "request"}, {root, "frame"});
    yaks::write_metadata(root);
    yaks::write_objects({root, "object_footer"});
  } catch (const std::exception& error) {
    std::cerr << "fuzz_seeds: " << error.what() << '\n';
    return 1;
  }
}

// `yaks consume`: prints records, alone or as a member of a group.
#include <fmt/format.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <set>

#include "client/cluster.hpp"

namespace yaks::client {
namespace {
using json = nlohmann::ordered_json;

struct arguments {
  std::vector<std::string> topics;
  std::string group, from = "earliest";
  std::int32_t partition = -1;
  std::uint64_t count = 0;
  bool until_end = false, keys = false;
};

volatile std::sig_atomic_t stopped = 0;

void print(const rd_kafka_message_t& m, const options& common, const arguments& a) {
  auto text = [](const void* bytes, std::size_t size) { return std::string(static_cast<const char*>(bytes), size); };
  if (!common.json) {
    if (a.keys) fmt::print("{}\t", m.key ? text(m.key, m.key_len) : "");
    fmt::print("{}\n", m.payload ? text(m.payload, m.len) : "");
    return;
  }
  rd_kafka_timestamp_type_t type{};
  json record = {{"topic", rd_kafka_topic_name(m.rkt)}, {"partition", m.partition}, {"offset", m.offset}};
  record["timestamp"] = rd_kafka_message_timestamp(&m, &type);
  record["key"] = m.key ? json(text(m.key, m.key_len)) : json(nullptr);
  record["value"] = m.payload ? json(text(m.payload, m.len)) : json(nullptr);
  rd_kafka_headers_t* headers = nullptr;
  if (!rd_kafka_message_headers(&m, &headers)) {
    json all = json::array();
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); ++i)
      all.push_back({name, value ? json(text(value, size)) : json(nullptr)});
    record["headers"] = std::move(all);
  }
  // Bytes that are no UTF-8 are shown as U+FFFD.
  fmt::print("{}\n", record.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::int64_t start_of(const arguments& a) {
  if (a.from == "earliest") return RD_KAFKA_OFFSET_BEGINNING;
  if (a.from == "latest") return RD_KAFKA_OFFSET_END;
  return std::stoll(a.from);
}

// Each partition once, from the same place; a group has its own.
std::size_t begin(rd_kafka_t* client, const options& common, const arguments& a) {
  owned<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(1));
  std::size_t partitions = 0;
  for (const auto& name : a.topics) {
    auto found = topics(client, common, name);
    for (const auto& p : found.at(0).partitions) {
      if (a.partition >= 0 && p.id != a.partition) continue;
      ++partitions;
      if (a.group.empty()) rd_kafka_topic_partition_list_add(list.get(), name.c_str(), p.id)->offset = start_of(a);
    }
    if (!a.group.empty()) rd_kafka_topic_partition_list_add(list.get(), name.c_str(), RD_KAFKA_PARTITION_UA);
  }
  if (partitions == 0) throw failed("there is no such partition");
  auto error = a.group.empty() ? rd_kafka_assign(client, list.get()) : rd_kafka_subscribe(client, list.get());
  if (error) throw failed(rd_kafka_err2str(error));
  return partitions;
}

void run(const options& common, const arguments& a) {
  std::signal(SIGINT, [](int) { stopped = 1; });
  std::signal(SIGTERM, [](int) { stopped = 1; });
  settings own{{"group.id", a.group.empty() ? "yaks-consume" : a.group},
               {"enable.partition.eof", a.until_end ? "true" : "false"},
               {"enable.auto.commit", a.group.empty() ? "false" : "true"},
               // What was printed is what is committed.
               {"enable.auto.offset.store", "false"},
               {"auto.offset.reset", a.from == "latest" ? "latest" : "earliest"}};
  auto client = open(RD_KAFKA_CONSUMER, common, own);
  rd_kafka_poll_set_consumer(client.get());
  auto partitions = begin(client.get(), common, a);
  std::set<std::pair<std::string, std::int32_t>> at_end;
  std::uint64_t printed = 0;
  while (!stopped && (a.count == 0 || printed < a.count)) {
    owned<rd_kafka_message_t> m(rd_kafka_consumer_poll(client.get(), 200));
    if (!m) continue;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      at_end.emplace(rd_kafka_topic_name(m->rkt), m->partition);
      // In a group, of those that this member has.
      if (!a.group.empty()) {
        rd_kafka_topic_partition_list_t* mine = nullptr;
        if (rd_kafka_assignment(client.get(), &mine)) continue;
        partitions = std::size_t(owned<rd_kafka_topic_partition_list_t>(mine)->cnt);
      }
      if (at_end.size() >= partitions) break;
      continue;
    }
    if (m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || m->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR__FATAL)
      throw failed(rd_kafka_message_errstr(m.get()));
    if (m->err) continue;  // librdkafka tries again by itself
    at_end.erase({rd_kafka_topic_name(m->rkt), m->partition});
    print(*m, common, a);
    ++printed;
    if (!a.group.empty()) rd_kafka_offset_store(m->rkt, m->partition, m->offset);
  }
  std::fflush(stdout);
  rd_kafka_consumer_close(client.get());  // commits, and leaves the group
}

std::string check_place(const std::string& text) {
  if (text == "earliest" || text == "latest") return {};
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos
             ? ""
             : "neither earliest nor latest nor an offset";
}

void define(CLI::App& app, options& common) {
  auto a = std::make_shared<arguments>();
  app.add_option("TOPIC", a->topics)->required();
  auto* group = app.add_option("-g,--group", a->group, "as a member of this group: goes on where it has committed");
  app.add_option("--from", a->from, "earliest, latest or an offset; in a group, where nothing is committed")
      ->check(check_place)
      ->capture_default_str();
  app.add_option("-p,--partition", a->partition, "only this one")->check(CLI::NonNegativeNumber)->excludes(group);
  app.add_option("-n,--count", a->count, "end after so many records");
  app.add_flag("-e,--until-end", a->until_end, "end where the partitions do");
  app.add_flag("-k,--keys", a->keys, "print the key and a tab before each value");
  app.callback([&common, a] { run(common, *a); });
}
}  // namespace

const command consume_command{"consume", "print records, alone or in a group", define};
}  // namespace yaks::client

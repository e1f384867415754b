// `yaks topics`: list, describe, create, delete, grow.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/cluster.hpp"
#include "client/table.hpp"

namespace yaks::client {
namespace {
using json = nlohmann::ordered_json;

struct arguments {
  std::vector<std::string> names;
  int partitions = 1;
  std::vector<std::string> configs;
};

void list(const options& common) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  table out({"TOPIC", "PARTITIONS"});
  json all = json::array();
  for (const auto& t : topics(client.get(), common)) {
    out.add({t.name, std::to_string(t.partitions.size())});
    all.push_back({{"topic", t.name}, {"partitions", t.partitions.size()}});
  }
  fmt::print("{}", common.json ? all.dump(2) + "\n" : out.text());
}

void describe(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  table out({"TOPIC", "PARTITION", "LEADER", "START", "END", "RECORDS"});
  json all = json::array();
  for (const auto& name : a.names) {
    json partitions = json::array();
    for (const auto& t : topics(client.get(), common, name))
      for (const auto& p : t.partitions) {
        auto at = offsets_of(client.get(), common, name, p.id);
        out.add({name, std::to_string(p.id), std::to_string(p.leader), std::to_string(at.first), std::to_string(at.end),
                 std::to_string(at.end - at.first)});
        partitions.push_back({{"partition", p.id},
                              {"leader", p.leader},
                              {"replicas", p.replicas},
                              {"start", at.first},
                              {"end", at.end}});
      }
    all.push_back({{"topic", name}, {"partitions", std::move(partitions)}});
  }
  fmt::print("{}", common.json ? all.dump(2) + "\n" : out.text());
}

// What each topic of a result went through; throws where any failed.
void report(const rd_kafka_topic_result_t** results, std::size_t count, const options& common, std::string_view done) {
  std::vector<std::string> failures;
  json all = json::array();
  for (std::size_t i = 0; i < count; ++i) {
    const char* name = rd_kafka_topic_result_name(results[i]);
    if (auto error = rd_kafka_topic_result_error(results[i])) {
      const char* words = rd_kafka_topic_result_error_string(results[i]);
      failures.push_back(fmt::format("{}: {}", name, words ? words : rd_kafka_err2str(error)));
    } else {
      all.push_back(name);
      if (!common.json) fmt::print("{} {}\n", done, name);
    }
  }
  if (common.json) fmt::print("{}\n", json{{std::string(done), all}}.dump());
  throw_failures(failures);
}

void create(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  std::vector<rd_kafka_NewTopic_t*> wanted;
  auto free_all = [](auto* list) { rd_kafka_NewTopic_destroy_array(list->data(), list->size()); };
  std::unique_ptr<decltype(wanted), decltype(free_all)> owner(&wanted, free_all);
  char words[512];
  for (const auto& name : a.names) {
    auto* topic = rd_kafka_NewTopic_new(name.c_str(), a.partitions, -1, words, sizeof words);
    if (!topic) throw failed(fmt::format("{}: {}", name, words));
    wanted.push_back(topic);
    for (const auto& config : a.configs) {
      auto [key, value] = split_setting(config);
      rd_kafka_NewTopic_set_config(topic, key.c_str(), value.c_str());
    }
  }
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_CREATETOPICS, [&](auto* admin, auto* queue) {
    char ignored[64];
    rd_kafka_AdminOptions_set_operation_timeout(admin, common.timeout_ms, ignored, sizeof ignored);
    rd_kafka_CreateTopics(client.get(), wanted.data(), wanted.size(), admin, queue);
  });
  std::size_t count = 0;
  const auto** results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  report(results, count, common, "created");
}

void remove(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  std::vector<rd_kafka_DeleteTopic_t*> wanted;
  for (const auto& name : a.names) wanted.push_back(rd_kafka_DeleteTopic_new(name.c_str()));
  auto free_all = [](auto* list) { rd_kafka_DeleteTopic_destroy_array(list->data(), list->size()); };
  std::unique_ptr<decltype(wanted), decltype(free_all)> owner(&wanted, free_all);
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_DELETETOPICS, [&](auto* admin, auto* queue) {
    rd_kafka_DeleteTopics(client.get(), wanted.data(), wanted.size(), admin, queue);
  });
  std::size_t count = 0;
  const auto** results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  report(results, count, common, "deleted");
}

void grow(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  std::vector<rd_kafka_NewPartitions_t*> wanted;
  auto free_all = [](auto* list) { rd_kafka_NewPartitions_destroy_array(list->data(), list->size()); };
  std::unique_ptr<decltype(wanted), decltype(free_all)> owner(&wanted, free_all);
  char words[512];
  for (const auto& name : a.names) {
    auto* more = rd_kafka_NewPartitions_new(name.c_str(), std::size_t(a.partitions), words, sizeof words);
    if (!more) throw failed(fmt::format("{}: {}", name, words));
    wanted.push_back(more);
  }
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, [&](auto* admin, auto* queue) {
    rd_kafka_CreatePartitions(client.get(), wanted.data(), wanted.size(), admin, queue);
  });
  std::size_t count = 0;
  const auto** results =
      rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event.get()), &count);
  report(results, count, common, "grown");
}

void define(CLI::App& app, options& common) {
  auto a = std::make_shared<arguments>();
  app.require_subcommand(1);
  app.add_subcommand("list", "All topics")->callback([&common] { list(common); });
  auto* one = app.add_subcommand("describe", "Partitions of topics, with their offsets");
  one->add_option("TOPIC", a->names)->required();
  one->callback([&common, a] { describe(common, *a); });
  auto* made = app.add_subcommand("create", "Make topics");
  made->add_option("TOPIC", a->names)->required();
  made->add_option("-p,--partitions", a->partitions)->check(CLI::PositiveNumber)->capture_default_str();
  made->add_option("-c,--config", a->configs, "name=value: a setting of the topic; may be repeated")
      ->allow_extra_args(false);
  made->callback([&common, a] { create(common, *a); });
  auto* gone = app.add_subcommand("delete", "Delete topics with all their records");
  gone->add_option("TOPIC", a->names)->required();
  gone->callback([&common, a] { remove(common, *a); });
  auto* more = app.add_subcommand("grow", "Give topics more partitions");
  more->add_option("TOPIC", a->names)->required();
  more->add_option("-p,--partitions", a->partitions, "in total")->check(CLI::PositiveNumber)->required();
  more->callback([&common, a] { grow(common, *a); });
}
}  // namespace

const command topics_command{"topics", "list, describe, create, delete and grow topics", define};
}  // namespace yaks::client

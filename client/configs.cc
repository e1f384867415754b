// `yaks configs`: show, set, unset.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/cluster.hpp"
#include "client/table.hpp"

namespace yaks::client {
namespace {
using json = nlohmann::ordered_json;

struct arguments {
  std::string kind, name;
  std::vector<std::string> changes;
  bool all = false;
};

struct setting {
  std::string name, value, source;
  bool is_default, is_read_only, is_sensitive;
};

rd_kafka_ResourceType_t type_of(const std::string& kind) {
  return kind == "topic" ? RD_KAFKA_RESOURCE_TOPIC : RD_KAFKA_RESOURCE_BROKER;
}

std::unique_ptr<rd_kafka_ConfigResource_t, decltype(&rd_kafka_ConfigResource_destroy)> resource_of(const arguments& a) {
  return {rd_kafka_ConfigResource_new(type_of(a.kind), a.name.c_str()), rd_kafka_ConfigResource_destroy};
}

std::vector<setting> read(rd_kafka_t* client, const options& common, const arguments& a) {
  auto wanted = resource_of(a);
  auto* raw = wanted.get();
  auto event = call(client, common, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
                    [&](auto* admin, auto* queue) { rd_kafka_DescribeConfigs(client, &raw, 1, admin, queue); });
  std::size_t resources = 0;
  const auto** results =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &resources);
  if (resources != 1) throw failed("the answer names another number of resources");
  if (auto error = rd_kafka_ConfigResource_error(results[0])) {
    const char* words = rd_kafka_ConfigResource_error_string(results[0]);
    throw failed(fmt::format("{} {}: {}", a.kind, a.name, words ? words : rd_kafka_err2str(error)));
  }
  std::vector<setting> all;
  std::size_t count = 0;
  const auto** entries = rd_kafka_ConfigResource_configs(results[0], &count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    auto source = rd_kafka_ConfigEntry_source(entries[i]);
    all.push_back({rd_kafka_ConfigEntry_name(entries[i]), value ? value : "", rd_kafka_ConfigSource_name(source),
                   source == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG, rd_kafka_ConfigEntry_is_read_only(entries[i]) != 0,
                   rd_kafka_ConfigEntry_is_sensitive(entries[i]) != 0});
  }
  std::ranges::sort(all, {}, &setting::name);
  return all;
}

void show(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  table out({"SETTING", "VALUE", "FROM"});
  json all = json::object();
  for (const auto& s : read(client.get(), common, a)) {
    if (!a.all && s.is_default) continue;
    out.add({s.name, s.is_sensitive ? "(hidden)" : s.value, s.source});
    all[s.name] = {
        {"value", s.is_sensitive ? json(nullptr) : json(s.value)}, {"source", s.source}, {"read_only", s.is_read_only}};
  }
  if (common.json)
    fmt::print("{}\n", all.dump(2));
  else if (out.empty())
    fmt::print("All settings of {} {} have their defaults; --all shows them.\n", a.kind, a.name);
  else
    fmt::print("{}", out.text());
}

// The older call, which every version of Kafka has, replaces all of a topic's settings: those that it has are sent
// along.
void change(const options& common, const arguments& a, bool sets) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  std::map<std::string, std::string> wanted;
  for (const auto& s : read(client.get(), common, a))
    if (s.source == rd_kafka_ConfigSource_name(RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)) wanted[s.name] = s.value;
  for (const auto& c : a.changes) {
    if (sets) {
      auto [name, value] = split_setting(c);
      wanted[name] = value;
    } else {
      wanted.erase(c);
    }
  }
  auto resource = resource_of(a);
  for (const auto& [name, value] : wanted)
    rd_kafka_ConfigResource_set_config(resource.get(), name.c_str(), value.c_str());
  auto* raw = resource.get();
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_ALTERCONFIGS,
                    [&](auto* admin, auto* queue) { rd_kafka_AlterConfigs(client.get(), &raw, 1, admin, queue); });
  std::size_t count = 0;
  const auto** results =
      rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i)
    if (auto error = rd_kafka_ConfigResource_error(results[i])) {
      const char* words = rd_kafka_ConfigResource_error_string(results[i]);
      throw failed(fmt::format("{} {}: {}", a.kind, a.name, words ? words : rd_kafka_err2str(error)));
    }
  show(common, a);
}

void define(CLI::App& app, options& common) {
  auto a = std::make_shared<arguments>();
  app.require_subcommand(1);
  auto* shown = app.add_subcommand("show", "Settings of a topic or broker that are not defaults");
  shown->add_option("KIND", a->kind, "topic or broker")->required()->check(CLI::IsMember({"topic", "broker"}));
  shown->add_option("NAME", a->name)->required();
  shown->add_flag("-a,--all", a->all, "defaults too");
  shown->callback([&common, a] { show(common, *a); });
  for (bool sets : {true, false}) {
    auto* changed = sets ? app.add_subcommand("set", "Change settings of a topic")
                         : app.add_subcommand("unset", "Give settings of a topic their defaults again");
    changed->add_option("KIND", a->kind, "topic")->required()->check(CLI::IsMember({"topic"}));
    changed->add_option("NAME", a->name)->required();
    changed->add_option(sets ? "NAME=VALUE" : "SETTING", a->changes)->required();
    changed->callback([&common, a, sets] { change(common, *a, sets); });
  }
}
}  // namespace

const command configs_command{"configs", "show and change settings", define};
}  // namespace yaks::client

// `yaks groups`: list, describe, delete, reset.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "client/cluster.hpp"
#include "client/table.hpp"

namespace yaks::client {
namespace {
using json = nlohmann::ordered_json;

struct arguments {
  std::vector<std::string> names;
  std::string topic, to;
};

void list(const options& common) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
                    [&](auto* admin, auto* queue) { rd_kafka_ListConsumerGroups(client.get(), admin, queue); });
  const auto* result = rd_kafka_event_ListConsumerGroups_result(event.get());
  std::size_t count = 0;
  std::vector<std::string> failures;
  const auto** errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
  for (std::size_t i = 0; i < count; ++i) failures.emplace_back(rd_kafka_error_string(errors[i]));
  std::map<std::string, std::string> found;
  const auto** listings = rd_kafka_ListConsumerGroups_result_valid(result, &count);
  for (std::size_t i = 0; i < count; ++i)
    found[rd_kafka_ConsumerGroupListing_group_id(listings[i])] =
        rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(listings[i]));
  table out({"GROUP", "STATE"});
  json all = json::array();
  for (const auto& [name, state] : found) {
    out.add({name, state});
    all.push_back({{"group", name}, {"state", state}});
  }
  fmt::print("{}", common.json ? all.dump(2) + "\n" : out.text());
  throw_failures(failures);
}

struct owner_of_partition {
  std::string member, client, host;
};
using place = std::pair<std::string, std::int32_t>;

struct group_info {
  std::string state, assignor;
  std::size_t members = 0;
  std::map<place, owner_of_partition> owners;
};

group_info members_of(rd_kafka_t* client, const options& common, const std::string& name) {
  const char* wanted[] = {name.c_str()};
  auto event = call(client, common, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, [&](auto* admin, auto* queue) {
    rd_kafka_DescribeConsumerGroups(client, wanted, 1, admin, queue);
  });
  std::size_t count = 0;
  const auto** groups =
      rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event.get()), &count);
  if (count != 1) throw failed("the answer names another number of groups");
  if (const auto* error = rd_kafka_ConsumerGroupDescription_error(groups[0]))
    throw failed(fmt::format("{}: {}", name, rd_kafka_error_string(error)));
  group_info out;
  out.state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(groups[0]));
  if (const char* assignor = rd_kafka_ConsumerGroupDescription_partition_assignor(groups[0])) out.assignor = assignor;
  out.members = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
  for (std::size_t i = 0; i < out.members; ++i) {
    const auto* member = rd_kafka_ConsumerGroupDescription_member(groups[0], i);
    const auto* assignment = rd_kafka_MemberDescription_assignment(member);
    const auto* partitions = assignment ? rd_kafka_MemberAssignment_partitions(assignment) : nullptr;
    for (int p = 0; partitions && p < partitions->cnt; ++p)
      out.owners[{partitions->elems[p].topic, partitions->elems[p].partition}] = {
          rd_kafka_MemberDescription_consumer_id(member), rd_kafka_MemberDescription_client_id(member),
          rd_kafka_MemberDescription_host(member)};
  }
  return out;
}

std::map<place, std::int64_t> committed_of(rd_kafka_t* client, const options& common, const std::string& name) {
  std::unique_ptr<rd_kafka_ListConsumerGroupOffsets_t, decltype(&rd_kafka_ListConsumerGroupOffsets_destroy)> wanted(
      rd_kafka_ListConsumerGroupOffsets_new(name.c_str(), nullptr), rd_kafka_ListConsumerGroupOffsets_destroy);
  auto* raw = wanted.get();
  auto event = call(client, common, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, [&](auto* admin, auto* queue) {
    rd_kafka_ListConsumerGroupOffsets(client, &raw, 1, admin, queue);
  });
  std::size_t count = 0;
  const auto** groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
      rd_kafka_event_ListConsumerGroupOffsets_result(event.get()), &count);
  std::map<place, std::int64_t> out;
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto* error = rd_kafka_group_result_error(groups[i]))
      throw failed(fmt::format("{}: {}", name, rd_kafka_error_string(error)));
    const auto* partitions = rd_kafka_group_result_partitions(groups[i]);
    for (int p = 0; partitions && p < partitions->cnt; ++p)
      if (partitions->elems[p].offset >= 0)
        out[{partitions->elems[p].topic, partitions->elems[p].partition}] = partitions->elems[p].offset;
  }
  return out;
}

void describe(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  json all = json::array();
  for (const auto& name : a.names) {
    auto group = members_of(client.get(), common, name);
    auto committed = committed_of(client.get(), common, name);
    table out({"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "CLIENT", "HOST", "MEMBER"});
    json partitions = json::array();
    std::map<place, owner_of_partition> places = group.owners;
    for (const auto& [where, offset] : committed) places.try_emplace(where);
    for (const auto& [where, owner] : places) {
      auto end = offsets_of(client.get(), common, where.first, where.second).end;
      auto found = committed.find(where);
      bool has = found != committed.end();
      out.add({where.first, std::to_string(where.second), has ? std::to_string(found->second) : "-",
               std::to_string(end), has ? std::to_string(end - found->second) : "-",
               owner.client.empty() ? "-" : owner.client, owner.host.empty() ? "-" : owner.host,
               owner.member.empty() ? "-" : owner.member});
      json row = {{"topic", where.first}, {"partition", where.second}, {"committed", nullptr}, {"end", end}};
      if (has) row["committed"] = found->second;
      if (!owner.member.empty()) row["member"] = {{"id", owner.member}, {"client", owner.client}, {"host", owner.host}};
      partitions.push_back(std::move(row));
    }
    all.push_back({{"group", name},
                   {"state", group.state},
                   {"assignor", group.assignor},
                   {"members", group.members},
                   {"partitions", partitions}});
    if (!common.json)
      fmt::print("{}: {}, {} members{}\n{}", name, group.state, group.members,
                 group.assignor.empty() ? "" : ", assigned by " + group.assignor, out.empty() ? "" : out.text());
  }
  if (common.json) fmt::print("{}\n", all.dump(2));
}

void remove(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  std::vector<rd_kafka_DeleteGroup_t*> wanted;
  for (const auto& name : a.names) wanted.push_back(rd_kafka_DeleteGroup_new(name.c_str()));
  auto free_all = [](auto* list) { rd_kafka_DeleteGroup_destroy_array(list->data(), list->size()); };
  std::unique_ptr<decltype(wanted), decltype(free_all)> owner(&wanted, free_all);
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_DELETEGROUPS, [&](auto* admin, auto* queue) {
    rd_kafka_DeleteGroups(client.get(), wanted.data(), wanted.size(), admin, queue);
  });
  std::size_t count = 0;
  const auto** results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event.get()), &count);
  std::vector<std::string> failures;
  json done = json::array();
  for (std::size_t i = 0; i < count; ++i) {
    const char* name = rd_kafka_group_result_name(results[i]);
    if (const auto* error = rd_kafka_group_result_error(results[i])) {
      failures.push_back(fmt::format("{}: {}", name, rd_kafka_error_string(error)));
    } else {
      done.push_back(name);
      if (!common.json) fmt::print("deleted {}\n", name);
    }
  }
  if (common.json) fmt::print("{}\n", json{{"deleted", done}}.dump());
  throw_failures(failures);
}

void reset(const options& common, const arguments& a) {
  auto client = open(RD_KAFKA_PRODUCER, common);
  owned<rd_kafka_topic_partition_list_t> to(rd_kafka_topic_partition_list_new(1));
  table out({"TOPIC", "PARTITION", "OFFSET"});
  json all = json::array();
  for (const auto& t : topics(client.get(), common, a.topic))
    for (const auto& p : t.partitions) {
      auto at = offsets_of(client.get(), common, t.name, p.id);
      std::int64_t offset = a.to == "earliest" ? at.first
                            : a.to == "latest" ? at.end
                                               : std::clamp<std::int64_t>(std::stoll(a.to), at.first, at.end);
      rd_kafka_topic_partition_list_add(to.get(), t.name.c_str(), p.id)->offset = offset;
      out.add({t.name, std::to_string(p.id), std::to_string(offset)});
      all.push_back({{"topic", t.name}, {"partition", p.id}, {"offset", offset}});
    }
  std::unique_ptr<rd_kafka_AlterConsumerGroupOffsets_t, decltype(&rd_kafka_AlterConsumerGroupOffsets_destroy)> wanted(
      rd_kafka_AlterConsumerGroupOffsets_new(a.names.front().c_str(), to.get()),
      rd_kafka_AlterConsumerGroupOffsets_destroy);
  auto* raw = wanted.get();
  auto event = call(client.get(), common, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, [&](auto* admin, auto* queue) {
    rd_kafka_AlterConsumerGroupOffsets(client.get(), &raw, 1, admin, queue);
  });
  std::size_t count = 0;
  const auto** results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
      rd_kafka_event_AlterConsumerGroupOffsets_result(event.get()), &count);
  std::vector<std::string> failures;
  for (std::size_t i = 0; i < count; ++i) {
    if (const auto* error = rd_kafka_group_result_error(results[i]))
      failures.emplace_back(rd_kafka_error_string(error));
    const auto* partitions = rd_kafka_group_result_partitions(results[i]);
    for (int p = 0; partitions && p < partitions->cnt; ++p)
      if (auto error = partitions->elems[p].err)
        failures.push_back(fmt::format("{}-{}: {}", partitions->elems[p].topic, partitions->elems[p].partition,
                                       rd_kafka_err2str(error)));
  }
  throw_failures(failures);
  fmt::print("{}", common.json ? all.dump(2) + "\n" : out.text());
}

std::string check_place(const std::string& text) {
  if (text == "earliest" || text == "latest") return {};
  return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == text.npos
             ? ""
             : "neither earliest nor latest nor an offset";
}

void define(CLI::App& app, options& common) {
  auto a = std::make_shared<arguments>();
  app.require_subcommand(1);
  app.add_subcommand("list", "All groups")->callback([&common] { list(common); });
  auto* one = app.add_subcommand("describe", "Members of groups, their partitions and lag");
  one->add_option("GROUP", a->names)->required();
  one->callback([&common, a] { describe(common, *a); });
  auto* gone = app.add_subcommand("delete", "Delete groups without members, with their offsets");
  gone->add_option("GROUP", a->names)->required();
  gone->callback([&common, a] { remove(common, *a); });
  auto* back = app.add_subcommand("reset", "Move the offsets of a group without members");
  back->add_option("GROUP", a->names)->required()->expected(1);
  back->add_option("-t,--topic", a->topic)->required();
  back->add_option("--to", a->to, "earliest, latest or an offset")->required()->check(check_place);
  back->callback([&common, a] { reset(common, *a); });
}
}  // namespace

const command groups_command{"groups", "list, describe, delete and reset groups", define};
}  // namespace yaks::client

#include "metadata/assignors.hpp"

#include <algorithm>

namespace yaks::metadata {
namespace {
// Static members keep their place whatever ids they come back under.
bool is_before(const assignor_member& a, const assignor_member& b) {
  const auto &left = a.instance ? *a.instance : a.id, &right = b.instance ? *b.instance : b.id;
  if (a.instance.has_value() != b.instance.has_value()) return a.instance.has_value();
  return left < right;
}

std::map<topic_id, std::vector<std::size_t>> subscribers_of(std::span<const assignor_member> members,
                                                            const std::vector<std::size_t>& order) {
  std::map<topic_id, std::vector<std::size_t>> by_topic;
  for (auto i : order)
    for (auto t : members[i].topics) by_topic[t].push_back(i);
  return by_topic;
}

std::vector<std::size_t> in_order(std::span<const assignor_member> members) {
  std::vector<std::size_t> order(members.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, [&](auto a, auto b) { return is_before(members[a], members[b]); });
  return order;
}
}  // namespace

assignment assign_range(std::span<const assignor_member> members, const std::map<topic_id, std::int32_t>& partitions) {
  assignment out;
  for (const auto& m : members) out[m.id];
  for (const auto& [topic, subscribers] : subscribers_of(members, in_order(members))) {
    auto known = partitions.find(topic);
    if (known == partitions.end()) continue;
    auto count = std::int32_t(subscribers.size()), each = known->second / count, more = known->second % count;
    std::int32_t next = 0;
    for (std::int32_t i = 0; i < count; ++i)
      for (auto n = each + (i < more); n > 0; --n) out[members[subscribers[std::size_t(i)]].id].insert({topic, partition_index(next++)});
  }
  return out;
}

// Everybody keeps what it has, up to its share; what is left goes to who has least. Then, where subscriptions differ,
// partitions move from who has more to who has at least two fewer and may have them, until none can.
assignment assign_uniform(std::span<const assignor_member> members, const std::map<topic_id, std::int32_t>& partitions) {
  assignment out;
  for (const auto& m : members) out[m.id];
  if (members.empty()) return out;
  auto order = in_order(members);
  auto subscribers = subscribers_of(members, order);
  std::vector<std::set<topic_partition>> has(members.size());
  std::set<topic_partition> taken;
  bool is_homogeneous = std::ranges::all_of(
      members, [&](const auto& m) { return std::set(m.topics.begin(), m.topics.end()) == std::set(members[0].topics.begin(), members[0].topics.end()); });
  std::size_t total = 0;
  for (const auto& [topic, who] : subscribers)
    if (auto known = partitions.find(topic); known != partitions.end()) total += std::size_t(known->second);
  auto each = total / members.size(), more = total % members.size();
  for (auto i : order) {
    if (!members[i].has) continue;
    std::set topics(members[i].topics.begin(), members[i].topics.end());
    for (const auto& p : *members[i].has) {
      auto known = partitions.find(p.topic);
      if (!topics.contains(p.topic) || known == partitions.end() || p.partition.value() >= known->second) continue;
      if (is_homogeneous && has[i].size() >= each + (more > 0)) break;
      if (!taken.insert(p).second) continue;
      has[i].insert(p);
    }
    if (is_homogeneous && more > 0 && has[i].size() == each + 1) --more;  // it keeps one of the larger shares
  }
  // By load, then by place in the order.
  std::vector<std::size_t> place(members.size());
  for (std::size_t n = 0; n < order.size(); ++n) place[order[n]] = n;
  auto least = [&](const std::vector<std::size_t>& among) {
    return *std::ranges::min_element(among, [&](auto a, auto b) { return std::pair(has[a].size(), place[a]) < std::pair(has[b].size(), place[b]); });
  };
  if (is_homogeneous) {
    // One queue instead of a search for each partition.
    std::set<std::pair<std::size_t, std::size_t>> queue;
    for (auto i : order) queue.emplace(has[i].size(), place[i]);
    for (const auto& [topic, who] : subscribers) {
      auto known = partitions.find(topic);
      if (known == partitions.end()) continue;
      for (std::int32_t n = 0; n < known->second; ++n) {
        topic_partition p{topic, partition_index(n)};
        if (taken.contains(p)) continue;
        auto next = queue.extract(queue.begin());
        has[order[next.value().second]].insert(p);
        ++next.value().first;
        queue.insert(std::move(next));
      }
    }
  } else {
    std::vector<topic_id> topics;  // those with few subscribers first: they have least choice
    for (const auto& [topic, who] : subscribers) topics.push_back(topic);
    std::ranges::stable_sort(topics, {}, [&](auto t) { return subscribers.at(t).size(); });
    for (auto topic : topics) {
      auto known = partitions.find(topic);
      if (known == partitions.end()) continue;
      for (std::int32_t n = 0; n < known->second; ++n) {
        topic_partition p{topic, partition_index(n)};
        if (!taken.contains(p)) has[least(subscribers.at(topic))].insert(p);
      }
    }
    // Each move makes the sum of squares smaller, so this ends; the bound is for groups that are large and odd.
    bool moved = true;
    for (std::size_t rounds = 0; moved && rounds < 64; ++rounds) {
      moved = false;
      for (auto i : order) {
        for (auto at = has[i].begin(); at != has[i].end();) {
          auto to = least(subscribers.at(at->topic));
          if (has[to].size() + 1 >= has[i].size()) {
            ++at;
            continue;
          }
          has[to].insert(*at);
          at = has[i].erase(at);
          moved = true;
        }
      }
    }
  }
  for (std::size_t i = 0; i < members.size(); ++i) out[members[i].id] = std::move(has[i]);
  return out;
}
}  // namespace yaks::metadata

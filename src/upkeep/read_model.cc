#include "upkeep/read_model.hpp"

#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "base/utf8.hpp"

namespace yaks::upkeep {
namespace {
// Part of a key: PostgreSQL's may have 2,704 bytes.
constexpr std::size_t group_name_bytes_max = 1000;
constexpr std::size_t looked_at_at_once = 10'000;
}  // namespace

read_model_writer::read_model_writer(runtime& rt, metadata::metastore& store, metadata::replica& log, const membership::members& members,
                                     read_model_settings settings, metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      members_(members),
      settings_(settings),
      rows_(metrics.add_counter("yaks_read_model_rows_total", "Rows written into the tables for people's SQL.")),
      failures_(metrics.add_counter("yaks_read_model_failures_total", "Writes of those tables that failed; they are repeated.")),
      seconds_(metrics.add_histogram("yaks_read_model_duration_seconds", "Time of one write of those tables.",
                                     metrics::latency_seconds_buckets())) {
  metrics.add_callback("yaks_read_model_waiting", "Rows and groups that have changed and are not written yet.", [this] {
    return double(dirty_.topics.size() + dirty_.deleted.size() + dirty_.partitions.size() + dirty_.groups.size());
  });
}

bool read_model_writer::has_work() const {
  return comparing_ || !dirty_.topics.empty() || !dirty_.deleted.empty() || !dirty_.partitions.empty() || !dirty_.groups.empty();
}

void read_model_writer::forget() {
  dirty_ = {};
  comparing_.reset();
  has_begun_ = false;
}

void read_model_writer::applied(const metadata::changes& changes) {
  if (!has_begun_) return;  // begin() compares everything
  dirty_.topics.insert(changes.topics.begin(), changes.topics.end());
  dirty_.deleted.insert(changes.deleted.begin(), changes.deleted.end());
  dirty_.partitions.insert(changes.advanced.begin(), changes.advanced.end());
  dirty_.groups.insert(changes.groups.begin(), changes.groups.end());
  if (has_work()) changed_.notify_all();
}

awaitable<void> read_model_writer::run() {
  if (settings_.interval == duration::zero()) co_return;
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.interval : backoff(rt_, failures, settings_.interval, 60s));
    if (!log_.is_ready() || !members_.is_first()) {
      forget();  // somebody else's
      continue;
    }
    if (has_begun_)
      while (!has_work()) co_await changed_.wait();
    auto begun = rt_.now();
    bool done = (has_begun_ || co_await begin()) && co_await run_once();
    failures = done ? 0 : failures + 1;
    if (done)
      seconds_.observe(std::chrono::duration<double>(rt_.now() - begun).count());
    else
      failures_.add();
  }
}

awaitable<bool> read_model_writer::begin() {
  forget();
  has_begun_ = true;
  auto known = co_await store_.read_model().read_known();
  if (!known) {
    forget();
    co_return false;
  }
  for (auto id : known->topics)
    if (!log_.current().find_topic(id)) dirty_.deleted.insert(id);
  dirty_.groups.merge(known->groups);
  for (const auto& name : log_.current().group_names()) dirty_.groups.insert(name);
  comparing_ = "";
  comparing_partition_ = 0;
  co_return true;
}

// The comparison of everything, a piece at a time: a millisecond also where most partitions have nothing in them.
void read_model_writer::look_around(std::size_t rows) {
  std::size_t looks = looked_at_at_once;
  const auto& topics = log_.current().topics_by_name();
  auto topic = topics.lower_bound(*comparing_);
  if (topic != topics.end() && topic->first != *comparing_) comparing_partition_ = 0;
  for (; topic != topics.end() && rows > 0 && looks > 0; ++topic, comparing_partition_ = 0) {
    const auto& t = *topic->second;
    if (comparing_partition_ == 0) dirty_.topics.insert(t.id);
    for (; comparing_partition_ < t.partitions.size() && rows > 0 && looks > 0; ++comparing_partition_, --looks) {
      if (t.partitions[comparing_partition_].high_watermark == offset(0)) continue;  // has no row
      dirty_.partitions.insert({t.id, partition_index(std::int32_t(comparing_partition_))});
      --rows;
    }
    if (comparing_partition_ < t.partitions.size()) break;
  }
  comparing_ = topic == topics.end() ? std::nullopt : std::optional(topic->first);
}

std::size_t read_model_writer::take_into(metadata::read_model_write& write, dirty& taken) {
  const auto& state = log_.current();
  std::size_t rows = 0;
  write.as_of = state.position().sequence;
  auto take = [&](auto& from, auto& into, auto make_rows) {
    while (!from.empty() && rows < settings_.rows_max) {
      auto node = from.extract(from.begin());
      make_rows(node.value());
      into.insert(std::move(node));
    }
  };
  take(dirty_.deleted, taken.deleted, [&](topic_id id) {
    write.deleted.push_back(id);
    ++rows;
  });
  take(dirty_.topics, taken.topics, [&](topic_id id) {
    const auto* t = state.find_topic(id);
    if (!t) return;
    auto configs = nlohmann::json::object();
    for (const auto& [name, value] : t->configs) configs[clean_text(name)] = clean_text(value);
    write.topics.push_back({id, clean_text(t->name), t->created, std::int64_t(t->partitions.size()), configs.dump()});
    ++rows;
  });
  take(dirty_.partitions, taken.partitions, [&](topic_partition where) {
    const auto* p = state.find_partition(where);
    if (!p) return;
    write.partitions.push_back({where, p->log_start, p->high_watermark, p->bytes});
    ++rows;
  });
  take(dirty_.groups, taken.groups, [&](const std::string& name) {
    if (name.size() > group_name_bytes_max) return;
    metadata::group_rows group{clean_text(name), {}};
    if (const auto* offsets = state.find_group_offsets(name))
      for (const auto& [where, what] : *offsets) {
        group.offsets.push_back({where, what});
        group.offsets.back().what.metadata = clean_text(what.metadata);
      }
    rows += 1 + group.offsets.size();
    write.groups.push_back(std::move(group));
  });
  return rows;
}

void read_model_writer::give_back(dirty taken) {
  dirty_.topics.merge(taken.topics);
  dirty_.deleted.merge(taken.deleted);
  dirty_.partitions.merge(taken.partitions);
  dirty_.groups.merge(taken.groups);
}

awaitable<std::optional<std::size_t>> read_model_writer::run_once() {
  if (comparing_ && dirty_.partitions.size() < settings_.rows_max) look_around(settings_.rows_max - dirty_.partitions.size());
  metadata::read_model_write write;
  dirty taken;
  auto rows = take_into(write, taken);
  if (rows == 0) co_return 0;
  auto done = co_await store_.read_model().write(std::move(write));
  if (!done || !*done) {
    if (!done) spdlog::warn("cannot write the tables for SQL ({}); trying again", name(done.error()));
    give_back(std::move(taken));
    co_return std::nullopt;
  }
  rows_.add(double(rows));
  co_return rows;
}
}  // namespace yaks::upkeep

// `yaks produce`: each line of standard input becomes a record.
#include <fmt/format.h>

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/cluster.hpp"

namespace yaks::client {
namespace {
using json = nlohmann::ordered_json;

struct arguments {
  std::string topic, separator, compression = "none";
  std::vector<std::string> headers;
  std::int32_t partition = RD_KAFKA_PARTITION_UA;
  bool nulls = false;
};

struct tally {
  std::map<std::int32_t, std::pair<std::int64_t, std::int64_t>> stored;  // first and last offset, by partition
  std::uint64_t records = 0, failures = 0;
  std::string last_failure;
  bool prints_each = false;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* m, void* opaque) {
  auto& t = *static_cast<tally*>(opaque);
  if (m->err) {
    ++t.failures;
    t.last_failure = rd_kafka_err2str(m->err);
    return;
  }
  ++t.records;
  auto [range, is_new] = t.stored.try_emplace(m->partition, m->offset, m->offset);
  if (!is_new) range->second.second = std::max(range->second.second, m->offset);
  if (t.prints_each) fmt::print("{}\n", json{{"partition", m->partition}, {"offset", m->offset}}.dump());
}

void run(const options& common, const arguments& a) {
  tally done{.stored = {}, .last_failure = {}, .prints_each = common.json};
  auto client = open(RD_KAFKA_PRODUCER, common,
                     {{"enable.idempotence", "true"}, {"compression.type", a.compression}, {"linger.ms", "5"}},
                     on_delivery, &done);
  auto timeout = common.timeout_ms;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::optional<std::string> key;
    if (!a.separator.empty()) {
      auto at = line.find(a.separator);
      if (at == line.npos) throw failed(fmt::format("this line has no '{}': {}", a.separator, line));
      key = line.substr(0, at);
      line.erase(0, at + a.separator.size());
    }
    owned<rd_kafka_headers_t> headers(rd_kafka_headers_new(a.headers.size()));
    for (const auto& h : a.headers) {
      auto [name, value] = split_setting(h);
      rd_kafka_header_add(headers.get(), name.data(), ssize_t(name.size()), value.data(), ssize_t(value.size()));
    }
    const bool is_null = a.nulls && line.empty();
    void* key_bytes = key ? key->data() : nullptr;
    const std::size_t key_size = key ? key->size() : 0;
    void* value_bytes = is_null ? nullptr : line.data();
    const std::size_t value_size = is_null ? 0 : line.size();
    for (;;) {
      auto error = rd_kafka_producev(client.get(), RD_KAFKA_V_TOPIC(a.topic.c_str()), RD_KAFKA_V_PARTITION(a.partition),
                                     RD_KAFKA_V_KEY(key_bytes, key_size), RD_KAFKA_V_VALUE(value_bytes, value_size),
                                     RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                     RD_KAFKA_V_END);
      if (!error) {
        headers.release();  // the record has them
        break;
      }
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) throw failed(fmt::format("{}: {}", a.topic, rd_kafka_err2str(error)));
      rd_kafka_poll(client.get(), 100);
    }
    rd_kafka_poll(client.get(), 0);
  }
  if (rd_kafka_flush(client.get(), timeout))
    throw failed(fmt::format("{} records are not acknowledged after {} ms", rd_kafka_outq_len(client.get()), timeout));
  if (!common.json)
    for (const auto& [partition, range] : done.stored)
      fmt::print("{}-{}: offsets {} to {}\n", a.topic, partition, range.first, range.second);
  if (done.failures) throw failed(fmt::format("{} records were not stored: {}", done.failures, done.last_failure));
}

void define(CLI::App& app, options& common) {
  auto a = std::make_shared<arguments>();
  app.add_option("TOPIC", a->topic)->required();
  app.add_option("-k,--key-separator", a->separator,
                 "what ends the key at the beginning of each line; without it there are no keys");
  app.add_option("-p,--partition", a->partition, "else by key, or any")->check(CLI::NonNegativeNumber);
  app.add_option("-z,--compression", a->compression)
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();
  app.add_option("-H,--header", a->headers, "name=value; may be repeated")->allow_extra_args(false);
  app.add_flag("--empty-is-null", a->nulls, "an empty value is null: deletes its key in a compacted topic");
  app.callback([&common, a] { run(common, *a); });
}
}  // namespace

const command produce_command{"produce", "write lines of standard input as records", define};
}  // namespace yaks::client

#include "config/load.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/check.hpp"
#include "config/storage_choice.hpp"
#include "objects/object_store.hpp"

namespace yaks::config {
namespace {
constexpr std::string_view prefix = "YAKS_";
// Set by the scripts that build and test, and by nobody for an agent.
constexpr std::string_view not_ours[] = {"YAKS_TEST_", "YAKS_TOOLS", "YAKS_BUILD", "YAKS_ROOT"};

// Levenshtein's distance.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      std::size_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// The known name that `name` was perhaps meant to be, by `spelling` of a definition; "" where none is near.
template <class Spelling>
std::string nearest(std::string_view name, Spelling spelling) {
  std::string best;
  std::size_t fewest = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const definition& d : definitions())
    if (auto n = edits(name, spelling(d)); n < fewest) fewest = n, best = spelling(d);
  return best;
}
std::string did_you_mean(const std::string& near) {
  return near.empty() ? "" : fmt::format("; did you mean {}?", near);
}

class loader {
 public:
  result<loaded, std::vector<std::string>> run(const environment& variables, std::span<const std::string> arguments) {
    for (const definition& d : definitions()) out_.items.push_back({&d, std::string(d.fallback), source::fallback});
    take_variables(variables);
    take_flags(arguments);
    for (const auto& item : out_.items) store(item);
    choose_stores();
    take_credentials(variables);
    complete();
    if (!errors_.empty()) return failure(std::move(errors_));
    return std::move(out_);
  }

 private:
  loaded::item& item(const definition& of) { return out_.items[std::size_t(&of - definitions().data())]; }
  const loaded::item& item(std::string_view name) {
    const definition* of = find_definition(name);
    YAKS_CHECK(of, name);
    return item(*of);
  }
  bool is_given(std::string_view name) { return item(name).from != source::fallback; }

  void take_variables(const environment& variables) {
    for (const auto& [name, text] : variables) {
      if (!name.starts_with(prefix)) {
        if (const definition* of = find_variable(name)) item(*of) = {of, text, source::variable};
        continue;
      }
      if (std::any_of(std::begin(not_ours), std::end(not_ours), [&](auto p) { return name.starts_with(p); })) continue;
      present_.push_back(name);
      if (const definition* of = find_variable(name)) {
        item(*of) = {of, text, source::variable};
      } else {
        auto near = nearest(name, [](const definition& d) { return d.variable(); });
        out_.warnings.push_back(fmt::format("{} is not a setting of yaks and has no effect{}", name,
                                            near.empty() ? "." : did_you_mean(near)));
      }
    }
  }

  void take_flags(std::span<const std::string> arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      std::string_view argument = arguments[i];
      auto equals = argument.find('=');
      auto flag = argument.substr(0, equals);
      if (!flag.starts_with("--")) {
        errors_.push_back(fmt::format("'{}' is not a flag: settings are given as --name value.", flag));
        continue;
      }
      auto of =
          std::find_if(definitions().begin(), definitions().end(), [&](const auto& d) { return d.flag() == flag; });
      if (of == definitions().end()) {
        auto near = nearest(flag, [](const definition& d) { return d.flag(); });
        errors_.push_back(
            fmt::format("{} is not a flag{} --help lists all.", flag, near.empty() ? "." : did_you_mean(near)));
        // What follows is most probably its value.
        if (equals == argument.npos && i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) ++i;
        continue;
      }
      std::optional<std::string> text;
      if (equals != argument.npos)
        text = std::string(argument.substr(equals + 1));
      else if (i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) {
        // --run-migrations --node-id 1, but also --run-migrations false
        if (of->type != kind::truth || of->parse(arguments[i + 1])) text = arguments[++i];
      }
      if (!text && of->type == kind::truth) text = "true";
      if (!text) {
        errors_.push_back(fmt::format("{} needs a value: {}.", flag, of->allowed()));
        continue;
      }
      present_.push_back(of->variable());
      item(*of) = {&*of, *text, source::flag};
    }
  }

  void store(const loaded::item& one) {
    if (auto parsed = one.of->parse(one.text)) {
      one.of->store(out_.values, *parsed);
      return;
    }
    // Somebody's URL may carry a password.
    bool is_url = one.of->type == kind::url || one.of->type == kind::path_url;
    bool hidden = one.of->is_secret() || (is_url && one.text.find('@') != one.text.npos);
    errors_.push_back(
        fmt::format("{}{}{}: allowed is {}.", one.from == source::flag ? one.of->flag() : one.of->variable(),
                    one.from == source::flag ? ' ' : '=', hidden ? "(hidden)" : one.text, one.of->allowed()));
  }

  void choose_stores() {
    const auto &metastore = item("METASTORE"), &objects = item("OBJECT_STORE");
    if (!metastore.of->parse(metastore.text) || !objects.of->parse(objects.text)) return;  // said already
    auto choice = choose_storage(metastore.text, objects.text, present_);
    if (!choice) {
      errors_.push_back(choice.error());
      return;
    }
    out_.values.storage = {choice->metastore, choice->objects, choice->reason};
    for (auto& warning : choice->warnings) out_.warnings.push_back(std::move(warning));
  }

  // YAKS_S3_ACCESS_KEY/SECRET_KEY, else AWS's variables, else the defaults.
  void take_credentials(const environment& variables) {
    out_.values.s3.session_token.clear();
    bool access = is_given("S3_ACCESS_KEY"), secret = is_given("S3_SECRET_KEY");
    if (access != secret)
      out_.warnings.push_back(
          fmt::format("YAKS_S3_{} is not set and keeps its default, 'test'.", access ? "SECRET_KEY" : "ACCESS_KEY"));
    if (access || secret) return;
    auto find = [&](std::string_view name) {
      auto at = std::find_if(variables.begin(), variables.end(), [&](const auto& v) { return v.first == name; });
      return at == variables.end() ? std::string() : at->second;
    };
    auto key = find("AWS_ACCESS_KEY_ID"), secret_key = find("AWS_SECRET_ACCESS_KEY");
    if (key.empty() && secret_key.empty()) return;
    if (key.empty() || secret_key.empty()) {
      if (out_.values.storage.objects == object_store_kind::s3)
        errors_.push_back("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together, and only one of them is set.");
      return;
    }
    out_.values.s3.access_key = key;
    out_.values.s3.secret_key = secret_key;
    out_.values.s3.session_token = find("AWS_SESSION_TOKEN");
  }

  // What one setting means for another.
  void complete() {
    settings& s = out_.values;
    if (s.listener.advertised_port == 0) s.listener.advertised_port = s.listener.port;
    if (s.s3.endpoint.empty()) s.s3.endpoint = fmt::format("https://s3.{}.amazonaws.com", s.s3.region);
    s.s3.prefix.erase(0, std::min(s.s3.prefix.find_first_not_of('/'), s.s3.prefix.size()));
    if (!s.s3.prefix.empty() && !s.s3.prefix.ends_with('/')) s.s3.prefix += '/';

    constexpr std::size_t rest_of_key = 100;  // and more than the longest of them
    if (!s.s3.prefix.empty() && !is_object_key(s.s3.prefix + std::string(rest_of_key, 'k')))
      errors_.push_back(fmt::format(
          "YAKS_S3_PREFIX={} cannot begin a key: allowed are names between single slashes, none of them '.' or '..', without "
          "control characters and backslashes, of at most 255 bytes each and 900 in all.",
          s.s3.prefix));

    if (!errors_.empty()) return;  // what follows compares values that may be missing
    if (s.write.flush_bytes > s.write.buffer_bytes_max)
      errors_.push_back(fmt::format("YAKS_FLUSH_BYTES={} is more than YAKS_BUFFER_MAX_BYTES={} can hold.",
                                    s.write.flush_bytes, s.write.buffer_bytes_max));
    if (s.metrics.enabled && s.metrics.port != 0 && s.metrics.port == s.listener.port)
      errors_.push_back(fmt::format("YAKS_METRICS_PORT and YAKS_BROKER_PORT are both {}.", s.metrics.port));
    if (s.console.port != 0 && s.console.port == s.listener.port)
      errors_.push_back(fmt::format("YAKS_CONSOLE_PORT and YAKS_BROKER_PORT are both {}.", s.console.port));
    if (s.console.port != 0 && s.metrics.enabled && s.console.port == s.metrics.port)
      errors_.push_back(fmt::format("YAKS_CONSOLE_PORT and YAKS_METRICS_PORT are both {}.", s.console.port));
    if (s.topics.message_bytes_max > s.listener.request_bytes_max)
      out_.warnings.push_back(
          fmt::format("YAKS_MAX_MESSAGE_BYTES={} does not fit into a request of YAKS_REQUEST_MAX_BYTES={}.",
                      s.topics.message_bytes_max, s.listener.request_bytes_max));
  }

  loaded out_{};
  std::vector<std::string> errors_;
  std::vector<std::string> present_;  // YAKS_ names, of flags too
};
}  // namespace

environment process_environment() {
  environment all;
  for (char** at = environ; at && *at; ++at) {
    std::string_view entry = *at;
    auto equals = entry.find('=');
    if (equals != entry.npos) all.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return all;
}

result<loaded, std::vector<std::string>> load(const environment& variables, std::span<const std::string> arguments) {
  return loader().run(variables, arguments);
}

bool asks_for_help(std::span<const std::string> arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [](const auto& a) { return a == "--help" || a == "-h"; });
}
}  // namespace yaks::config

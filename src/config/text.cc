// What people read about the settings: --help, the README's table, the list of values in effect.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "config/load.hpp"

namespace yaks::config {
namespace {
constexpr std::size_t width = 96;

// `text` in lines that begin with `indent` spaces and end at `width`.
void append_wrapped(std::string& out, std::string_view text, std::size_t indent) {
  std::size_t column = 0;
  while (!text.empty()) {
    auto end = std::min(text.find(' '), text.size());
    if (column > 0 && column + 1 + end > width) {
      out += '\n';
      column = 0;
    }
    if (column == 0) {
      out.append(indent, ' ');
      column = indent;
    } else {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out += '\n';
}

std::string_view placeholder(kind type) {
  switch (type) {
    case kind::text:
    case kind::word:
    case kind::secret:
    case kind::choice:
      return "TEXT";
    case kind::number:
      return "N";
    case kind::port:
      return "PORT";
    case kind::milliseconds:
      return "MS";
    case kind::bytes:
      return "BYTES";
    case kind::mebibytes:
      return "MIB";
    case kind::truth:
      return "true|false";
    case kind::dollars:
      return "DOLLARS";
    case kind::ratio:
      return "RATIO";
    case kind::url:
    case kind::path_url:
      return "URL";
  }
  return "";
}

std::string in_cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|' || c == '*' || c == '_') out += '\\';
    out += c;
  }
  return out;
}

// What a reader needs beyond the help: only where it is not plain from the kind.
std::string limits(const definition& d) {
  switch (d.type) {
    case kind::number:
    case kind::milliseconds:
    case kind::bytes:
    case kind::mebibytes:
    case kind::ratio:
      return fmt::format("{} to {}", d.least, d.most);
    case kind::choice:
      return d.allowed();
    case kind::port:
    case kind::truth:
    case kind::text:
    case kind::word:
    case kind::secret:
    case kind::dollars:
    case kind::url:
    case kind::path_url:
      return "";
  }
  return "";
}
}  // namespace

std::string help_text() {
  std::string out =
      "Usage: yaks agent [--NAME VALUE]...\n\n"
      "Starts an agent: a Kafka server that keeps records in S3 and metadata in PostgreSQL.\n\n"
      "  yaks agent                         nothing configured: embedded storage in ./yaks-data\n"
      "  YAKS_DB_HOST=db yaks agent         PostgreSQL and S3\n\n"
      "Every setting is an environment variable and a flag of the same name: YAKS_BROKER_PORT=9092 and\n"
      "--broker-port 9092 say the same. The flag wins. Any YAKS_DB_* or YAKS_S3_* selects PostgreSQL and\n"
      "S3, with their defaults below; none selects embedded storage.\n";
  const definition* previous = nullptr;
  for (const definition& d : definitions()) {
    if (!previous || previous->in != d.in) fmt::format_to(std::back_inserter(out), "\n{}\n", title(d.in));
    previous = &d;
    fmt::format_to(std::back_inserter(out), "  {} {}  ({}, default {})\n", d.flag(), placeholder(d.type), d.variable(),
                   d.fallback.empty() ? "empty" : d.fallback);
    std::string help(d.help);
    if (auto more = limits(d); !more.empty()) help += " [" + more + "]";
    append_wrapped(out, help, 6);
  }
  return out;
}

std::string markdown() {
  std::string out;
  const definition* previous = nullptr;
  for (const definition& d : definitions()) {
    if (!previous || previous->in != d.in)
      fmt::format_to(std::back_inserter(out), "{}**{}**\n\n| Setting | Default | Meaning |\n|---|---|---|\n",
                     previous ? "\n" : "", title(d.in));
    previous = &d;
    std::string help(d.help);
    if (auto more = limits(d); !more.empty()) help += " [" + more + "]";
    fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} |\n", d.variable(),
                   d.fallback.empty() ? "" : fmt::format("`{}`", d.fallback), in_cell(help));
  }
  return out;
}

std::string effective(const loaded& all) {
  std::string out;
  for (const auto& item : all.items) {
    static constexpr std::string_view from[] = {"default", "environment", "flag"};
    fmt::format_to(std::back_inserter(out), "{}={} ({})\n", item.of->variable(),
                   item.of->is_secret() ? "(hidden)" : item.text, from[std::size_t(item.from)]);
  }
  return out;
}
}  // namespace yaks::config

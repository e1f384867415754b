#include "client/table.hpp"

#include <algorithm>

namespace yaks::client {
namespace {
std::size_t width_of(const std::string& text) {
  return std::size_t(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}
bool is_number(const std::string& text) {
  if (text == "-") return true;
  auto digits = text.starts_with('-') ? text.substr(1) : text;
  return !digits.empty() && digits.find_first_not_of("0123456789") == digits.npos;
}
}  // namespace

std::string table::text() const {
  std::vector<std::size_t> widths(heading_.size());
  std::vector<bool> is_right(heading_.size(), !rows_.empty());
  for (std::size_t i = 0; i < heading_.size(); ++i) {
    widths[i] = width_of(heading_[i]);
    for (const auto& row : rows_) {
      widths[i] = std::max(widths[i], width_of(row[i]));
      if (!is_number(row[i])) is_right[i] = false;
    }
  }
  std::string out;
  auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string space(widths[i] - width_of(cells[i]), ' ');
      line += is_right[i] ? space + cells[i] : cells[i] + space;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line(heading_);
  for (const auto& row : rows_) add_line(row);
  return out;
}
}  // namespace yaks::client

// Text in columns: a heading, then rows; numbers to the right. Pure.
#pragma once
#include <string>
#include <vector>

namespace yaks::client {
class table {
 public:
  explicit table(std::vector<std::string> heading) : heading_(std::move(heading)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // A column is a number's where all of its cells are whole numbers or "-". Widths count code points, not bytes.
  std::string text() const;

 private:
  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
};
}  // namespace yaks::client

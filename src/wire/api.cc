#include "wire/api.hpp"

#include <fmt/format.h>

namespace yaks::wire {

std::string name_of(api_key key) {
  const auto* found = find_api(key);
  return found != nullptr ? std::string(found->name) : std::to_string(std::int16_t(key));
}

std::string apis_as_markdown() {
  std::string table = "| key | API | versions | remarks |\n|---|---|---|---|\n";
  for (const auto& row : apis)
    table += fmt::format("| {} | {} | {}–{} | {} |\n", std::int16_t(row.key), row.name, row.served.first,
                         row.served.last, row.note);
  return table;
}
}  // namespace yaks::wire

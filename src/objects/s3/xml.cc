#include "objects/s3/xml.hpp"

#include <charconv>
#include <cstdint>
#include <utility>

namespace yaks::s3 {
namespace {
constexpr std::pair<std::string_view, char> entities[] = {
    {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};

void append_utf8(std::string& to, std::uint32_t point) {
  if (point < 0x80) {
    to += char(point);
  } else if (point < 0x800) {
    to += char(0xc0 | point >> 6);
    to += char(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    to += char(0xe0 | point >> 12);
    to += char(0x80 | (point >> 6 & 0x3f));
    to += char(0x80 | (point & 0x3f));
  } else {
    to += char(0xf0 | point >> 18);
    to += char(0x80 | (point >> 12 & 0x3f));
    to += char(0x80 | (point >> 6 & 0x3f));
    to += char(0x80 | (point & 0x3f));
  }
}

// "amp", "#39", "#x27"
bool append_entity(std::string& to, std::string_view name) {
  for (auto [known, character] : entities)
    if (name == known) return to += character, true;
  if (!name.starts_with('#')) return false;
  bool is_hex = name.starts_with("#x");
  std::string_view digits = name.substr(is_hex ? 2 : 1);
  std::uint32_t point = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), point, is_hex ? 16 : 10);
  if (error != std::errc{} || end != digits.data() + digits.size() || point > 0x10ffff) return false;
  append_utf8(to, point);
  return true;
}
}  // namespace

std::optional<std::string_view> element(std::string_view xml, std::string_view name, std::size_t& from) {
  std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  std::size_t begin = xml.find(open, from);
  if (begin == std::string_view::npos) return std::nullopt;
  begin += open.size();
  std::size_t end = xml.find(close, begin);
  if (end == std::string_view::npos) return std::nullopt;
  from = end + close.size();
  return xml.substr(begin, end - begin);
}

std::string text_of(std::string_view xml, std::string_view name) {
  std::size_t from = 0;
  return decode_entities(element(xml, name, from).value_or(""));
}

std::string decode_entities(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    std::size_t ampersand = std::min(text.find('&'), text.size());
    decoded += text.substr(0, ampersand);
    text.remove_prefix(ampersand);
    if (text.empty()) break;
    std::size_t end = text.find(';');
    if (end != std::string_view::npos && append_entity(decoded, text.substr(1, end - 1))) {
      text.remove_prefix(end + 1);
    } else {
      decoded += '&';
      text.remove_prefix(1);
    }
  }
  return decoded;
}

std::string encode_entities(std::string_view text) {
  std::string encoded;
  for (char c : text) {
    bool found = false;
    for (auto [entity, character] : entities)
      if (found = c == character; found) {
        encoded.append("&").append(entity).append(";");
        break;
      }
    if (!found) encoded += c;
  }
  return encoded;
}
}  // namespace yaks::s3

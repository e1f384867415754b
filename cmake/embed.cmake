# cmake -D OUT=file.cc -D ROOT=web -D "FILES=index.html app.js" -P embed.cmake
# Writes the files' bytes into a source file that defines console::assets() (src/console/assets.hpp).
separate_arguments(FILES)
set(arrays "")
set(table "")
set(number 0)
foreach(file ${FILES})
  file(READ ${ROOT}/${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  get_filename_component(kind ${file} LAST_EXT)
  if(kind STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(kind STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  elseif(kind STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(kind STREQUAL ".svg")
    set(type "image/svg+xml")
  else()
    set(type "text/plain; charset=utf-8")
  endif()
  string(APPEND arrays "constexpr unsigned char bytes_${number}[] = {\n${bytes}0};\n")
  string(APPEND table "  {\"/${file}\", \"${type}\", text(bytes_${number}, sizeof bytes_${number} - 1)},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "// Made by cmake/embed.cmake.
#include \"console/assets.hpp\"

namespace yaks::console {
namespace {
std::string_view text(const unsigned char* bytes, std::size_t size) { return {reinterpret_cast<const char*>(bytes), size}; }
${arrays}}  // namespace

std::span<const asset> assets() {
  static const asset all[] = {
${table}  };
  return all;
}
}  // namespace yaks::console
")

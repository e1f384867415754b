# How every folder of yaks is built: one library per folder, tests beside the sources.

set(YAKS_SANITIZE "" CACHE STRING "address (with undefined behaviour), thread, or nothing")
option(YAKS_FUZZ "build the libFuzzer targets" OFF)
option(YAKS_MUTATIONS "build with deliberate bugs that can be switched on (base/mutation.hpp)" OFF)

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(GTest REQUIRED)

find_program(YAKS_CCACHE ccache)
if(YAKS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A fresh clone in another folder finds what this one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${YAKS_CCACHE})
endif()

add_library(yaks_options INTERFACE)
target_compile_features(yaks_options INTERFACE cxx_std_23)
target_compile_options(yaks_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror=return-type -Werror=switch
  -Werror=unused-result -Wno-missing-field-initializers -Wno-missing-designated-field-initializers
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
target_compile_definitions(yaks_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
target_include_directories(yaks_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_options(yaks_options INTERFACE -fuse-ld=lld-19)
# Assertions are ours (base/check.hpp) and always on; the standard library's cheap ones too.
target_compile_definitions(yaks_options INTERFACE _GLIBCXX_ASSERTIONS)
if(YAKS_SANITIZE STREQUAL "address")
  target_compile_options(yaks_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer -O1 -gline-tables-only)
  target_link_options(yaks_options INTERFACE -fsanitize=address,undefined)
elseif(YAKS_SANITIZE STREQUAL "thread")
  target_compile_options(yaks_options INTERFACE -fsanitize=thread -O1 -gline-tables-only)
  target_link_options(yaks_options INTERFACE -fsanitize=thread)
endif()
if(YAKS_MUTATIONS)
  target_compile_definitions(yaks_options INTERFACE YAKS_MUTATIONS)
endif()
if(YAKS_FUZZ)
  target_compile_options(yaks_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(yaks_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# yaks_library(NAME SOURCES a.cc … DEPS yaks_base …): the library yaks_NAME of folder src/NAME.
function(yaks_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  if(arg_SOURCES)
    add_library(yaks_${name} STATIC ${arg_SOURCES})
    target_link_libraries(yaks_${name} PUBLIC yaks_options ${arg_DEPS})
  else()
    add_library(yaks_${name} INTERFACE)
    target_link_libraries(yaks_${name} INTERFACE yaks_options ${arg_DEPS})
  endif()
endfunction()

# yaks_test(NAME SOURCES a_test.cc … DEPS yaks_base … [LABELS postgres s3]): a GoogleTest program, one ctest entry.
# LABELS say which servers it needs; a test without them needs none.
function(yaks_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE yaks_options ${arg_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300)
endfunction()

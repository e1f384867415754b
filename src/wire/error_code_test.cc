// Goal: error codes carry Kafka's numbers, names and retriability. Method: compared with what Kafka's own Errors class
// says (testdata/README.md).
#include "wire/error_code.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "wire/wire_testing.hpp"

namespace yaks::wire {
namespace {
TEST(error_code, equals_kafkas_list) {
  std::ifstream in(testdata_path("kafka-4.3.1-errors.txt"));
  int code, count = 0;
  std::string kafka_name, retriable;
  for (; in >> code >> kafka_name >> retriable; ++count) {
    EXPECT_EQ(name(error_code(code)), kafka_name);
    EXPECT_EQ(is_retriable(error_code(code)), retriable == "true") << kafka_name;
  }
  EXPECT_EQ(count, 135);
}

TEST(error_code, unknown_numbers_are_harmless) {
  for (int code : {-32768, -2, 134, 32767}) {
    EXPECT_EQ(name(error_code(code)), "UNKNOWN");
    EXPECT_FALSE(is_retriable(error_code(code)));
  }
}
}  // namespace
}  // namespace yaks::wire

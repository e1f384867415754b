// Goal: tables line up, whatever is in them. Method: literal texts.
#include "client/table.hpp"

#include <gtest/gtest.h>

namespace yaks::client {
namespace {
TEST(table, numbers_stand_to_the_right_and_words_to_the_left) {
  table t({"TOPIC", "END", "LAG"});
  t.add({"a", "5", "-"});
  t.add({"grüße", "12345", "-3"});
  EXPECT_EQ(t.text(),
            "TOPIC    END  LAG\n"
            "a          5    -\n"
            "grüße  12345   -3\n");
}

TEST(table, without_rows_is_its_heading) {
  EXPECT_EQ(table({"A", "B"}).text(), "A  B\n");
}
}  // namespace
}  // namespace yaks::client

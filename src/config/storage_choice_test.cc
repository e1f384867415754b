// Goal: who configures nothing gets embedded storage, who names PostgreSQL or S3 gets both, and nobody gets a mixture
// without having asked for it.
// Method: the pure rule, case by case.
#include "config/storage_choice.hpp"

#include <gtest/gtest.h>

namespace yaks::config {
namespace {
using names = std::vector<std::string>;

TEST(storage_choice, nothing_selects_embedded) {
  auto choice = choose_storage("", "", names{"YAKS_BROKER_PORT", "YAKS_DATA_DIR"});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->metastore, metastore_kind::embedded);
  EXPECT_EQ(choice->objects, object_store_kind::directory);
  EXPECT_TRUE(choice->warnings.empty());
}

TEST(storage_choice, any_database_or_s3_variable_selects_both) {
  for (auto name : {"YAKS_DB_HOST", "YAKS_S3_ENDPOINT", "YAKS_S3_CREATE_BUCKET", "YAKS_S3_ENDPIONT"}) {
    auto choice = choose_storage("", "", names{name});
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->metastore, metastore_kind::postgres) << name;
    EXPECT_EQ(choice->objects, object_store_kind::s3) << name;
    EXPECT_NE(choice->reason.find(name), std::string::npos) << choice->reason;
  }
}

TEST(storage_choice, mixed_forms_need_both_names) {
  auto one = choose_storage("postgres", "", names{"YAKS_METASTORE"});
  ASSERT_FALSE(one);
  EXPECT_EQ(one.error(), "YAKS_METASTORE=postgres needs YAKS_OBJECT_STORE too: directory or s3.");
  auto other = choose_storage("", "directory", names{"YAKS_OBJECT_STORE", "YAKS_DB_HOST"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error(), "YAKS_OBJECT_STORE=directory needs YAKS_METASTORE too: embedded or postgres.");
}

TEST(storage_choice, embedded_metadata_with_s3_is_as_it_says) {
  auto choice = choose_storage("embedded", "s3", names{"YAKS_S3_ENDPOINT"});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->metastore, metastore_kind::embedded);
  EXPECT_EQ(choice->objects, object_store_kind::s3);
  EXPECT_TRUE(choice->warnings.empty());
}

TEST(storage_choice, postgres_with_a_directory_is_warned_about) {
  auto choice = choose_storage("postgres", "directory", names{"YAKS_DB_HOST"});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->metastore, metastore_kind::postgres);
  EXPECT_EQ(choice->objects, object_store_kind::directory);
  ASSERT_EQ(choice->warnings.size(), 1u);
  EXPECT_NE(choice->warnings[0].find("another machine"), std::string::npos);
}

TEST(storage_choice, explicit_names_win_and_say_what_has_no_effect) {
  auto choice = choose_storage("embedded", "directory", names{"YAKS_DB_HOST", "YAKS_S3_BUCKET"});
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->metastore, metastore_kind::embedded);
  EXPECT_EQ(choice->objects, object_store_kind::directory);
  EXPECT_EQ(choice->warnings, (names{"YAKS_DB_HOST has no effect: YAKS_METASTORE=embedded.",
                                     "YAKS_S3_BUCKET has no effect: YAKS_OBJECT_STORE=directory."}));
}
}  // namespace
}  // namespace yaks::config

#include "metastores/contract_stores.hpp"

#include <cstdlib>
#include <filesystem>

#include "metastores/memory/memory_metastore.hpp"
#include "metastores/postgres/postgres_metastore.hpp"
#include "metastores/postgres/test_database.hpp"
#include "metastores/sqlite/database.hpp"
#include "metastores/sqlite/sqlite_metastore.hpp"

namespace yaks::metastores {
namespace {
class memory_under_test final : public store_under_test {
 public:
  explicit memory_under_test(runtime& rt) : rt_(rt) {}
  std::unique_ptr<metadata::metastore> make_session() override { return std::make_unique<memory_metastore>(rt_, log_); }
  bool is_shared() const override { return true; }
  void lose_after(log_sequence last) override { log_.lose_after(last); }
  void trim_to(log_sequence last) override { log_.trim_to(last); }

 private:
  runtime& rt_;
  memory_log log_{[this] { return rt_.wall_clock(); }};
};

class sqlite_under_test final : public store_under_test {
 public:
  explicit sqlite_under_test(runtime& rt) : rt_(rt) {
    auto pattern = (std::filesystem::temp_directory_path() / "yaks-contract-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~sqlite_under_test() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<metadata::metastore> make_session() override {
    return std::make_unique<sqlite_metastore>(rt_, metrics_,
                                              sqlite_settings{.directory = directory_, .lock_patience = 10ms});
  }
  bool is_shared() const override { return false; }
  void lose_after(log_sequence last) override {
    sqlite::database db(directory_ + "/metadata.db");
    sqlite::statement(db, "delete from entries where seq > ?").bind(1, last.value()).run();
    sqlite::statement(db,
                      "update head set (seq, incarnation, number) = "
                      "(select seq, incarnation, number from entries where seq = ?)")
        .bind(1, last.value())
        .run();
  }
  void trim_to(log_sequence last) override {
    sqlite::database db(directory_ + "/metadata.db");
    sqlite::statement(db,
                      "update head set (trimmed_seq, trimmed_incarnation, trimmed_number) = "
                      "(select seq, incarnation, number from entries where seq = ?)")
        .bind(1, last.value())
        .run();
    sqlite::statement(db, "delete from entries where seq <= ?").bind(1, last.value()).run();
  }

 private:
  runtime& rt_;
  metrics::registry metrics_;
  std::string directory_;
};

class postgres_under_test final : public store_under_test {
 public:
  postgres_under_test(runtime& rt, const std::string& conninfo) : rt_(rt), database_(conninfo) {}
  std::unique_ptr<metadata::metastore> make_session() override {
    auto settings = database_.settings();
    settings.run_migrations = true;
    return std::make_unique<postgres_metastore>(rt_, metrics_, settings);
  }
  bool is_shared() const override { return true; }
  void lose_after(log_sequence last) override {
    database_.sql("delete from yaks.entries where seq > " + std::to_string(last.value()));
    database_.sql(
        "update yaks.head h set seq = e.seq, incarnation = e.incarnation, number = e.number "
        "from yaks.entries e where e.seq = " +
        std::to_string(last.value()));
  }
  void trim_to(log_sequence last) override {
    database_.sql(
        "update yaks.head h set trimmed_seq = e.seq, trimmed_incarnation = e.incarnation, trimmed_number = e.number "
        "from yaks.entries e where e.seq = " +
        std::to_string(last.value()));
    database_.sql("delete from yaks.entries where seq <= " + std::to_string(last.value()));
  }

 private:
  runtime& rt_;
  metrics::registry metrics_;
  postgres::test_database database_;
};
}  // namespace

std::unique_ptr<store_under_test> make_store(store_kind kind, runtime& rt, std::string& why_not) {
  switch (kind) {
    case store_kind::memory:
      return std::make_unique<memory_under_test>(rt);
    case store_kind::sqlite:
      return std::make_unique<sqlite_under_test>(rt);
    case store_kind::postgres:
      if (auto conninfo = postgres::test_conninfo()) return std::make_unique<postgres_under_test>(rt, *conninfo);
      why_not = postgres::no_test_server;
      break;
  }
  return nullptr;
}
}  // namespace yaks::metastores

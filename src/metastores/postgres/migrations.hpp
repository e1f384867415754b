// The SQL schema, as numbered steps. README.md draws the result.
#pragma once
#include <string>

#include "metastores/postgres/connection.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metastores::postgres {
// The schema version that this program reads and writes: the number of migrations.
int schema_version();

// Brings the database to schema_version() where `settings.run_migrations` says so, in one transaction under a lock, so
// that agents which start together do it once; otherwise checks that it is there. Throws metastore_error with a
// sentence; throws connection_lost. Answers the cluster id; `new_cluster_id` becomes it where there is none.
awaitable<std::string> migrate(connection& on, const postgres_settings& settings, std::string new_cluster_id);
// The secret that agents of this database share; `new_secret` becomes it where there is none. Throws as migrate() does.
awaitable<std::string> peer_secret(connection& on, std::string new_secret);
}  // namespace yaks::metastores::postgres

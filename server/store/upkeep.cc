// The methods of Store that look after its file.
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/database.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

// Writes the number that is there already.
absl::Status WriteSomething(sqlite3* connection) {
  Statement read(connection, "PRAGMA user_version");
  const int64_t version = read.Step() ? read.Int() : 0;
  if (!read.status().ok()) return read.status();
  return Statement(connection, absl::StrCat("PRAGMA user_version = ", version))
      .Run();
}

// What CheckWritable and a few more ask of the cache in ten seconds.
constexpr int64_t kFewPages = 100;
// What is kept of the file in memory, up to 64 MiB, is given back when it was
// asked for little at so many looks in a row: for a minute.
constexpr int kIdleLooks = 6;

// So often the cache was asked for a page.
int64_t PagesAsked(sqlite3* connection) {
  int64_t pages = 0;
  for (int what : {SQLITE_DBSTATUS_CACHE_HIT, SQLITE_DBSTATUS_CACHE_MISS}) {
    int now = 0, most = 0;
    if (sqlite3_db_status(connection, what, &now, &most, 0) == SQLITE_OK) {
      pages += now;
    }
  }
  return pages;
}

}  // namespace

absl::Status Store::CheckWritable() {
  StoreLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const int64_t changes = sqlite3_total_changes(connection);
  const bool was_written =
      changes != std::exchange(database_->probed_changes, changes);
  if (was_written && database_->last_write.ok()) return absl::OkStatus();
  return database_->Transaction(
      [connection] { return WriteSomething(connection); });
}

absl::Status Store::CheckpointIfIdle() {
  StoreLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const int64_t pages = PagesAsked(connection);
  const int64_t before = std::exchange(database_->asked_pages, pages);
  database_->idle_looks =
      pages - before < kFewPages ? database_->idle_looks + 1 : 0;
  if (database_->idle_looks == kIdleLooks) {
    sqlite3_db_release_memory(connection);
  }
  const int64_t changes = sqlite3_total_changes(connection);
  const bool busy = changes != std::exchange(database_->idle_changes, changes);
  if (busy || changes == database_->checkpointed_changes) {
    return absl::OkStatus();
  }
  // The log keeps its length: where a file does not grow, syncing it waits for
  // no journal of the file system.
  Statement checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)");
  while (checkpoint.Step()) {
  }
  if (checkpoint.status().ok()) database_->checkpointed_changes = changes;
  return checkpoint.status();
}

}  // namespace sinkwatch::store

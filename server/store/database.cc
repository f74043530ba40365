#include "server/store/database.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "server/store/job_rows.h"
#include "server/store/migrations.h"
#include "server/store/statement.h"

namespace sinkwatch::store {
namespace {

constexpr int64_t kApplicationId = 0x53494e4b;  // "SINK"
// Of zeros, at once: SQLite writes less than 128 KiB.
constexpr int64_t kLogBlock = int64_t{64} << 10;

absl::Status Execute(sqlite3* connection, const std::string& sql) {
  return Statement(connection, sql).Run();
}

absl::StatusOr<int64_t> Pragma(sqlite3* connection, const std::string& name) {
  Statement pragma(connection, "PRAGMA " + name);
  const int64_t value = pragma.Step() ? pragma.Int() : 0;
  if (!pragma.status().ok()) return pragma.status();
  return value;
}

absl::Status Refuse(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(path, " ", why));
}

// A file that SQLite cannot lock or write: SQLite does not say why.
absl::Status Unusable(const std::string& path, const absl::Status& status) {
  const std::string folder = std::filesystem::path(path).parent_path();
  for (const std::string& needed : {path, folder}) {
    if (access(needed.c_str(), F_OK) == 0 &&
        access(needed.c_str(), W_OK) != 0) {
      return Refuse(needed,
                    absl::StrCat("cannot be written (", std::strerror(errno),
                                 "): the store needs to"));
    }
  }
  if (absl::StrContains(status.message(), "locked")) {
    return Refuse(path,
                  "is held by another process: two servers cannot have one "
                  "store");
  }
  return Refuse(
      path, absl::StrCat("cannot be used: ", std::string(status.message())));
}

// An empty file is a new store; any other must be ours.
absl::Status CheckOwnership(sqlite3* connection, const std::string& path) {
  const auto application = Pragma(connection, "application_id");
  if (!application.ok()) {
    if (absl::IsUnavailable(application.status())) {
      return Unusable(path, application.status());
    }
    return Refuse(path,
                  "is not a sinkwatch store (it is no SQLite file, or its "
                  "beginning is damaged): put the latest backup in its place, "
                  "or choose another data_dir");
  }
  if (*application == kApplicationId) return absl::OkStatus();
  Statement tables(connection, "SELECT count(*) FROM sqlite_schema");
  if (tables.Step() && tables.Int() == 0) {
    return Execute(connection,
                   absl::StrCat("PRAGMA application_id = ", kApplicationId));
  }
  return Refuse(path, "is a database, but not a sinkwatch store");
}

absl::Status Migrate(sqlite3* connection, const std::string& path) {
  const auto version = Pragma(connection, "user_version");
  if (!version.ok()) return version.status();
  const int64_t newest = static_cast<int64_t>(Migrations().size());
  if (*version < 0) {
    return Refuse(path, absl::StrCat("has schema version ", *version,
                                     ", which no program writes: it is "
                                     "damaged; put the latest backup in its "
                                     "place"));
  }
  if (*version > newest) {
    return Refuse(path, absl::StrCat("has schema version ", *version,
                                     ", newer than this program's ", newest));
  }
  for (int64_t next = *version; next < newest; ++next) {
    const std::string script =
        absl::StrCat("BEGIN IMMEDIATE;", Migrations()[next],
                     "PRAGMA user_version = ", next + 1, "; COMMIT;");
    if (sqlite3_exec(connection, script.c_str(), nullptr, nullptr, nullptr) !=
        SQLITE_OK) {
      return SqliteError(connection, absl::StrCat("migration ", next + 1));
    }
  }
  return absl::OkStatus();
}

absl::Status Prepare(sqlite3* connection, const std::string& path) {
  // One process, one connection: no shared memory, no second writer.
  absl::Status status = Execute(connection, "PRAGMA locking_mode = EXCLUSIVE");
  if (status.ok()) status = CheckOwnership(connection, path);
  if (status.ok()) status = Execute(connection, "PRAGMA journal_mode = WAL");
  if (status.ok()) status = Execute(connection, "PRAGMA synchronous = FULL");
  if (status.ok()) status = Execute(connection, "PRAGMA cache_size = -65536");
  // What the log keeps of a large commit.
  if (status.ok()) {
    status = Execute(connection, "PRAGMA journal_size_limit = 67108864");
  }
  if (status.ok()) status = Migrate(connection, path);
  // What a killed process wrote and did not sync is read as committed from now
  // on, so it has to be on disk first. A full disk starts all the same.
  if (status.ok()) {
    Execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)").IgnoreError();
  }
  if (absl::IsUnavailable(status)) {
    return Unusable(path, status);
  }
  return status;
}

// Gives an empty log its usual length, in zeros that are on disk: while a file
// grows, its sync waits for the journal of the file system, and with it for
// what others have written; what is overwritten in its place does not. To
// SQLite such a log is empty. Where there is no room for it, it grows as it is
// written.
void LengthenLog(sqlite3* connection, int64_t bytes) {
  sqlite3_file* log = nullptr;
  sqlite3_int64 length = 0;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                           &log) != SQLITE_OK ||
      log == nullptr || log->pMethods == nullptr ||
      log->pMethods->xFileSize(log, &length) != SQLITE_OK || length > 0) {
    return;
  }
  const std::string zeros(std::min(bytes, kLogBlock), '\0');
  int code = SQLITE_OK;
  for (int64_t at = 0; at < bytes && code == SQLITE_OK; at += kLogBlock) {
    const int64_t part = std::min(bytes - at, kLogBlock);
    code = log->pMethods->xWrite(log, zeros.data(), static_cast<int>(part), at);
  }
  if (code == SQLITE_OK) {
    code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  }
  if (code != SQLITE_OK) log->pMethods->xTruncate(log, 0);
}

// An open file hides that somebody has deleted it, or put another in its place.
// Databases that are no files of the system's are always in place.
absl::Status CheckInPlace(sqlite3* connection) {
  int has_moved = 0;
  if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_HAS_MOVED,
                           &has_moved) != SQLITE_OK) {
    return absl::OkStatus();
  }
  const char* const path = sqlite3_db_filename(connection, "main");
  const char* const log = sqlite3_filename_wal(path);
  const bool has_log = access(log, F_OK) == 0;
  if (has_moved == 0 && has_log) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "store: ", has_moved != 0 ? path : log,
      " was deleted, or moved away, while the server had it open: nothing is "
      "written any more; a backup saves what there is "
      "(deploy/if-something-is-wrong.md)"));
}

// Whether an error is the disk's, not the request's.
bool IsDisk(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsDataLoss(status);
}

}  // namespace

absl::StatusOr<sqlite3*> OpenConnection(const std::string& path) {
  sqlite3* connection = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  absl::Status status;
  if (sqlite3_open_v2(path.c_str(), &connection, flags, nullptr) != SQLITE_OK) {
    status = Refuse(
        path, absl::StrCat("cannot be opened: ", sqlite3_errmsg(connection),
                           ": its folder must be there and writable"));
  } else {
    status = Prepare(connection, path);
  }
  if (status.ok()) {
    KeepStatements(connection);
    return connection;
  }
  CloseConnection(connection);
  return status;
}

Store::Database::~Database() { CloseConnection(connection); }

absl::Status Store::Database::Transaction(
    const std::function<absl::Status()>& body) {
  absl::Status status = CheckInPlace(connection);
  if (status.ok()) status = Execute(connection, "BEGIN IMMEDIATE");
  const bool began = status.ok();
  // An exception, too, leaves no transaction open.
  if (began) status = base::CatchAll(body);
  const bool done = status.ok();
  if (done) status = Execute(connection, "COMMIT");
  if (!status.ok() && sqlite3_get_autocommit(connection) == 0) {
    // A rollback that fails leaves nothing behind either: the journal does it
    // at the next open.
    Execute(connection, "ROLLBACK").IgnoreError();
  }
  // What the body refuses says nothing about the disk.
  if (done || !began || IsDisk(status)) last_write = status;
  return status;
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(StoreOptions options) {
  auto connection = OpenConnection(options.path);
  if (!connection.ok()) return connection.status();
  auto database = std::make_unique<Database>(*connection);
  if (options.max_pages > 0) {
    absl::Status bound =
        Execute(*connection,
                absl::StrCat("PRAGMA max_page_count = ", options.max_pages));
    if (!bound.ok()) return bound;
  }
  LengthenLog(*connection, options.log_bytes);
  database->clock = std::move(options.clock);
  database->cells = std::make_shared<CellBudget>(options.max_read_cells);
  database->read_patience = options.read_patience;
  Statement committed(*connection,
                      "SELECT coalesce(max(id), 0) FROM measurement");
  if (committed.Step()) database->revision = committed.Int();
  if (!committed.status().ok()) return committed.status();
  absl::Status superseded =
      SupersedeOtherVersions(*connection, database->clock());
  if (!superseded.ok()) return superseded;
  absl::Status kept = KeepTimes(*connection, database->clock());
  if (!kept.ok()) return kept;
  return std::unique_ptr<Store>(new Store(std::move(database)));
}

Store::Store(std::unique_ptr<Database> database)
    : database_(std::move(database)) {}

Store::~Store() = default;

absl::Time Store::Now() const { return database_->clock(); }

int64_t Store::revision() const { return database_->revision.load(); }

}  // namespace sinkwatch::store

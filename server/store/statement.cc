#include "server/store/statement.h"

#include <map>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "proto/base/mutex.h"

namespace sinkwatch::store {
namespace {

// Texts are constants but for which conditions they have: some hundred. Longer
// ones hold somebody's list.
constexpr size_t kMaxKept = 200;
constexpr size_t kMaxKeptText = 4000;

// Statements that nobody uses, of connections that keep them.
class Shelf {
 public:
  void Open(sqlite3* database) {
    base::MutexLock lock(mutex_);
    kept_[database];
  }
  // Null if there is none.
  sqlite3_stmt* Take(sqlite3* database, const std::string& sql) {
    base::MutexLock lock(mutex_);
    const auto place = kept_.find(database);
    if (place == kept_.end()) return nullptr;
    const auto found = place->second.find(sql);
    if (found == place->second.end()) return nullptr;
    sqlite3_stmt* const statement = found->second;
    place->second.erase(found);
    return statement;
  }
  // False if it is not kept.
  bool Put(sqlite3* database, const std::string& sql, sqlite3_stmt* statement) {
    base::MutexLock lock(mutex_);
    const auto place = kept_.find(database);
    return place != kept_.end() && sql.size() <= kMaxKeptText &&
           place->second.size() < kMaxKept &&
           place->second.emplace(sql, statement).second;
  }
  void Close(sqlite3* database) {
    base::MutexLock lock(mutex_);
    const auto place = kept_.find(database);
    if (place == kept_.end()) return;
    for (const auto& [sql, statement] : place->second) {
      sqlite3_finalize(statement);
    }
    kept_.erase(place);
  }

 private:
  using Kept = std::unordered_map<std::string, sqlite3_stmt*>;
  base::Mutex mutex_;
  std::map<sqlite3*, Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

Shelf& TheShelf() {
  static Shelf* const shelf = new Shelf;
  return *shelf;
}

thread_local StatementCosts costs_of_thread;

// Which file it is, and what there is to do.
std::string DamagedFile(sqlite3* database) {
  const char* const path = sqlite3_db_filename(database, "main");
  if (path == nullptr || *path == '\0') return "";
  return absl::StrCat(
      "; the file ", path,
      " is damaged: put the latest backup in its place, or "
      "recover what can be read with `sqlite3 ",
      path, " .recover | sqlite3 NEW` (deploy/if-something-is-wrong.md)");
}

}  // namespace

const StatementCosts& CostsOfThread() { return costs_of_thread; }

absl::Status SqliteError(sqlite3* database, const std::string& what) {
  const std::string message =
      absl::StrCat("store: ", what, ": ", sqlite3_errmsg(database));
  switch (sqlite3_errcode(database) & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message);
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return absl::UnavailableError(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat(message, DamagedFile(database)));
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::InternalError(message);
  }
}

void KeepStatements(sqlite3* database) { TheShelf().Open(database); }

void CloseConnection(sqlite3* database) {
  TheShelf().Close(database);
  sqlite3_close(database);
}

Statement::Statement(sqlite3* database, const std::string& sql)
    : database_(database),
      sql_(sql),
      statement_(TheShelf().Take(database, sql)) {
  if (statement_ != nullptr) return;
  Check(sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()),
                           &statement_, nullptr));
}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  const auto count = [this](int what) {
    return sqlite3_stmt_status(statement_, what, /*resetFlg=*/1);
  };
  costs_of_thread.steps += count(SQLITE_STMTSTATUS_VM_STEP);
  costs_of_thread.scanned += count(SQLITE_STMTSTATUS_FULLSCAN_STEP);
  costs_of_thread.sorts += count(SQLITE_STMTSTATUS_SORT);
  // What it read is let go of, and large values that are bound.
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  if (!status_.ok() || !TheShelf().Put(database_, sql_, statement_)) {
    sqlite3_finalize(statement_);
  }
}

Statement& Statement::Bind(int64_t value) {
  Check(sqlite3_bind_int64(statement_, ++parameter_, value));
  return *this;
}

Statement& Statement::Bind(double value) {
  Check(sqlite3_bind_double(statement_, ++parameter_, value));
  return *this;
}

Statement& Statement::Bind(const std::string& text) {
  Check(sqlite3_bind_text(statement_, ++parameter_, text.data(),
                          static_cast<int>(text.size()), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::Bind(absl::Time time) {
  return Bind(absl::ToUnixMicros(time));
}

Statement& Statement::BindBlob(absl::string_view bytes) {
  Check(sqlite3_bind_blob64(statement_, ++parameter_, bytes.data(),
                            bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

bool Statement::Step() {
  if (!status_.ok()) return false;
  column_ = 0;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) Check(code);
  return false;
}

absl::Status Statement::Run() {
  while (Step()) {
  }
  return status_;
}

void Statement::Reset() {
  sqlite3_reset(statement_);
  parameter_ = 0;
}

int64_t Statement::Int() { return sqlite3_column_int64(statement_, column_++); }

double Statement::Double() {
  return sqlite3_column_double(statement_, column_++);
}

std::string Statement::Text() {
  const int column = column_++;
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (text == nullptr) return "";
  return std::string(reinterpret_cast<const char*>(text),
                     sqlite3_column_bytes(statement_, column));
}

absl::Time Statement::Time() {
  const int64_t micros = Int();
  if (micros == INT64_MIN) return absl::InfinitePast();
  if (micros == INT64_MAX) return absl::InfiniteFuture();
  return absl::FromUnixMicros(micros);
}

std::string Statement::Blob() { return std::string(BlobInPlace()); }

absl::string_view Statement::BlobInPlace() {
  const int column = column_++;
  const void* blob = sqlite3_column_blob(statement_, column);
  if (blob == nullptr) return {};
  return {static_cast<const char*>(blob),
          static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

void Statement::Check(int code) {
  if (code == SQLITE_OK || !status_.ok()) return;
  status_ = SqliteError(database_, sql_.substr(0, 60));
}

absl::Status ReadMessage(Statement& row, const char* what,
                         google::protobuf::MessageLite& message) {
  if (message.ParseFromString(row.Blob())) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("store: a stored ", what, " cannot be read"));
}

}  // namespace sinkwatch::store

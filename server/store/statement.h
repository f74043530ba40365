#ifndef SINKWATCH_SERVER_STORE_STATEMENT_H_
#define SINKWATCH_SERVER_STORE_STATEMENT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "sqlite3.h"

namespace sinkwatch::store {

// The status of an SQLite result code: RESOURCE_EXHAUSTED for a full disk,
// UNAVAILABLE for I/O errors and locks, DATA_LOSS for a damaged file, INTERNAL
// for the rest. `what` says what was being done.
absl::Status SqliteError(sqlite3* database, const std::string& what);

// What the statements that a thread has ended cost it: which question reads an
// index and which a table (tests).
struct StatementCosts {
  int64_t steps = 0;    // of SQLite's virtual machine
  int64_t scanned = 0;  // rows that were passed without an index
  int64_t sorts = 0;
};
const StatementCosts& CostsOfThread();

// From now on, keeps some statements of a connection prepared for those to come
// of the same text: preparing costs more than most of them. Close such a
// connection with CloseConnection. Thread-safe.
void KeepStatements(sqlite3* database);
// Closes any connection; no Statement of it may be left.
void CloseConnection(sqlite3* database);

// One prepared statement: bind in order, step, read columns in order. The first
// error sticks and is what status() returns, so a row of calls needs one check.
//
// Thread-compatible; the database must outlive it.
class Statement {
 public:
  Statement(sqlite3* database, const std::string& sql);
  ~Statement();

  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Binds the next parameter.
  Statement& Bind(int64_t value);
  Statement& Bind(double value);
  Statement& Bind(const std::string& text);
  Statement& Bind(absl::Time time);  // microseconds; the infinities keep
  Statement& BindBlob(absl::string_view bytes);

  // Goes to the next row: true if there is one. False at the end and after an
  // error.
  bool Step();
  // Runs a statement that has no rows.
  absl::Status Run();
  // Ready to be bound and run again.
  void Reset();

  // Reads the next column of the row.
  int64_t Int();
  double Double();
  std::string Text();
  absl::Time Time();
  std::string Blob();
  // As Blob, where it lies: until the next Step or Reset.
  absl::string_view BlobInPlace();

  const absl::Status& status() const { return status_; }

 private:
  void Check(int code);

  sqlite3* const database_;
  const std::string sql_;
  sqlite3_stmt* statement_ = nullptr;
  int parameter_ = 0;
  int column_ = 0;
  absl::Status status_;
};

// Reads the next column of the row as a message. DATA_LOSS, naming `what`, if
// it is none.
absl::Status ReadMessage(Statement& row, const char* what,
                         google::protobuf::MessageLite& message);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_STATEMENT_H_

#ifndef SINKWATCH_SERVER_STORE_DATABASE_H_
#define SINKWATCH_SERVER_STORE_DATABASE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/cell_budget.h"
#include "server/store/store.h"
#include "server/store/store_mutex.h"
#include "sqlite3.h"

namespace sinkwatch::store {

// What Store keeps to itself: the one connection and the lock around it. Lock
// `mutex` before using `connection`.
struct Store::Database {
  // Takes `opened`, which OpenConnection returned.
  explicit Database(sqlite3* opened) : connection(opened) {}
  ~Database();

  // Runs `body` between BEGIN IMMEDIATE and COMMIT; rolls back if it fails or
  // throws. Returns the first error; UNAVAILABLE, and nothing is written, if
  // the files of the store are not where they were opened: what is written to a
  // file that was deleted is gone at its end.
  absl::Status Transaction(const std::function<absl::Status()>& body)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  StoreMutex mutex;
  sqlite3* connection ABSL_GUARDED_BY(mutex);
  // How the last transaction ended.
  absl::Status last_write ABSL_GUARDED_BY(mutex);
  // sqlite3_total_changes when CheckWritable and CheckpointIfIdle last looked.
  int64_t probed_changes ABSL_GUARDED_BY(mutex) = -1;
  int64_t idle_changes ABSL_GUARDED_BY(mutex) = -1;
  int64_t checkpointed_changes ABSL_GUARDED_BY(mutex) = -1;
  // Pages that were asked for when CheckpointIfIdle last looked, and how often
  // in a row it found few more.
  int64_t asked_pages ABSL_GUARDED_BY(mutex) = INT64_MIN / 2;
  int idle_looks ABSL_GUARDED_BY(mutex) = 0;
  // What CountJobs counted, and sqlite3_total_changes64 then.
  std::vector<StateCount> counts ABSL_GUARDED_BY(mutex);
  int64_t counted_changes ABSL_GUARDED_BY(mutex) = -1;
  Clock clock;
  std::shared_ptr<CellBudget> cells;
  absl::Duration read_patience;
  std::atomic<int64_t> revision{0};
};

// Opens the file, takes it for this process alone, and brings its schema up to
// this version (migrations.cc). Codes as Store::Open.
absl::StatusOr<sqlite3*> OpenConnection(const std::string& path);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_DATABASE_H_

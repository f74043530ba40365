#ifndef SINKWATCH_SERVER_STORE_JOB_ROWS_H_
#define SINKWATCH_SERVER_STORE_JOB_ROWS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {

// The columns of table job that ReadJob reads, in its order.
extern const char kJobColumns[];

// NOT_FOUND if there is no such job.
absl::StatusOr<JobRecord> FindJob(sqlite3* connection, int64_t id);

// ABORTED unless `token` is the job's current lease.
absl::Status CheckLeased(const JobRecord& job, int64_t token);

// The job in the statement's current row, whose columns begin with kJobColumns.
JobRecord ReadJob(Statement& row);

// "(1, 2)", for IN.
std::string StateList(const std::vector<v1::JobState>& states);
// The states in which a job still waits for its measurement.
std::string OpenStateList();

// Open jobs that a server of other definitions of the metrics left: no worker
// of ours may take them, and discovery makes new ones for their checkpoints.
absl::Status SupersedeOtherVersions(sqlite3* connection, absl::Time now);

// Leases and waits that began after `now`, by a clock that went back while
// nobody ran: they get as much time as they had then.
absl::Status KeepTimes(sqlite3* connection, absl::Time now);

// Puts the job into `state`, with no progress and the given outcome, reason and
// not_before.
absl::Status EndJob(sqlite3* connection, int64_t id, v1::JobState state,
                    v1::Outcome outcome, const std::string& reason,
                    absl::Time not_before, absl::Time now);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_JOB_ROWS_H_

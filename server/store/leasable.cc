// The methods of Store that say what may be leased, each by looking into an
// index: none reads a queue.
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/database.h"
#include "server/store/job_rows.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

constexpr int64_t kMaxExpired = 16;
constexpr int64_t kMaxDue = 500;

// Retries whose wait is over stand in the queue again, with their attempts.
absl::Status QueueDueRetries(sqlite3* connection, absl::Time now) {
  Statement due(
      connection,
      absl::StrCat("SELECT id FROM job WHERE state = ", v1::JOB_STATE_RETRYING,
                   " AND not_before <= ? ORDER BY not_before LIMIT "
                   "?"));
  due.Bind(now).Bind(kMaxDue);
  Statement update(connection,
                   absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_QUEUED,
                                ", updated = ? WHERE id = ?"));
  std::vector<int64_t> ids;
  while (due.Step()) ids.push_back(due.Int());
  absl::Status status = due.status();
  for (size_t i = 0; i < ids.size() && status.ok(); ++i) {
    update.Reset();
    status = update.Bind(now).Bind(ids[i]).Run();
  }
  return status;
}

// Runs that have jobs, one look-up each.
std::string LeasableRunsSql() {
  return absl::StrCat(
      "WITH RECURSIVE names (name) AS (SELECT min(run) FROM job UNION ALL "
      "SELECT (SELECT min(run) FROM job WHERE run > name) FROM names WHERE "
      "name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL AND ("
      "EXISTS (SELECT 1 FROM job WHERE run = name AND state = ",
      v1::JOB_STATE_QUEUED,
      ") OR EXISTS (SELECT 1 FROM job WHERE run = name AND state = ",
      v1::JOB_STATE_LEASED, " AND lease_until < ?))");
}

// The stages of a run that have queued jobs, one look-up each.
absl::StatusOr<std::vector<std::string>> StagesOf(sqlite3* connection,
                                                  const std::string& run) {
  const std::string queued = absl::StrCat("state = ", v1::JOB_STATE_QUEUED);
  Statement select(
      connection,
      absl::StrCat("WITH RECURSIVE stages (stage) AS (SELECT min(stage) FROM "
                   "job WHERE run = ? AND ",
                   queued,
                   " UNION ALL SELECT (SELECT min(job.stage) FROM job WHERE "
                   "job.run = ? AND job.",
                   queued,
                   " AND job.stage > stages.stage) FROM stages WHERE stage IS "
                   "NOT NULL) SELECT stage FROM stages WHERE stage IS NOT "
                   "NULL"));
  select.Bind(run).Bind(run);
  std::vector<std::string> stages;
  while (select.Step()) stages.push_back(select.Text());
  if (!select.status().ok()) return select.status();
  return stages;
}

// Adds the queued jobs of each stage that lie next to a step: the highest up to
// `low`, and the lowest from `high` on.
absl::Status AddAround(sqlite3* connection, const std::string& run, int64_t low,
                       int64_t high, std::vector<JobRecord>& jobs) {
  const auto stages = StagesOf(connection, run);
  if (!stages.ok()) return stages.status();
  const std::string queued =
      absl::StrCat("SELECT ", kJobColumns,
                   " FROM job WHERE run = ? AND state = ", v1::JOB_STATE_QUEUED,
                   " AND stage = ? AND step ");
  Statement below(connection, queued + "<= ? ORDER BY step DESC LIMIT 1");
  Statement above(connection, queued + ">= ? ORDER BY step LIMIT 1");
  for (const std::string& stage : *stages) {
    for (const auto& [side, step] : {std::pair(&below, low), {&above, high}}) {
      side->Reset();
      side->Bind(run).Bind(stage).Bind(step);
      if (side->Step()) jobs.push_back(ReadJob(*side));
      if (!side->status().ok()) return side->status();
    }
  }
  return absl::OkStatus();
}

absl::Status AddExpired(sqlite3* connection, const std::string& run,
                        absl::Time now, std::vector<JobRecord>& jobs) {
  Statement select(
      connection,
      absl::StrCat("SELECT ", kJobColumns, " FROM job WHERE run = ? AND state ",
                   "= ", v1::JOB_STATE_LEASED,
                   " AND lease_until < ? ORDER BY lease_until LIMIT ?"));
  select.Bind(run).Bind(now).Bind(kMaxExpired);
  while (select.Step()) jobs.push_back(ReadJob(select));
  return select.status();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Store::LeasableRuns() {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
  sqlite3* const connection = database_->connection;
  const absl::Time now = database_->clock();
  absl::Status status =
      database_->Transaction([&] { return QueueDueRetries(connection, now); });
  if (!status.ok()) return status;
  Statement select(connection, LeasableRunsSql());
  select.Bind(now);
  std::vector<std::string> runs;
  while (select.Step()) runs.push_back(select.Text());
  if (!select.status().ok()) return select.status();
  return runs;
}

absl::StatusOr<std::vector<JobRecord>> Store::LeasableAround(
    const std::string& run, int64_t low, int64_t high) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
  sqlite3* const connection = database_->connection;
  std::vector<JobRecord> jobs;
  absl::Status status = AddExpired(connection, run, database_->clock(), jobs);
  if (status.ok()) status = AddAround(connection, run, low, high, jobs);
  if (!status.ok()) return status;
  return jobs;
}

absl::StatusOr<int64_t> Store::CountLeased() {
  StoreLock lock(database_->mutex);
  Statement count(
      database_->connection,
      absl::StrCat("SELECT count(*) FROM job INDEXED BY job_by_expiry "
                   "WHERE state = ",
                   v1::JOB_STATE_LEASED));
  const int64_t leased = count.Step() ? count.Int() : 0;
  if (!count.status().ok()) return count.status();
  return leased;
}

absl::StatusOr<std::vector<v1::Checkpoint>> Store::UnsettledSteps(
    const std::string& run) {
  StoreLock lock(database_->mutex);
  const auto in_state = [](v1::JobState state) {
    return absl::StrCat(
        "SELECT stage, step FROM job WHERE run = ? AND state = ", state);
  };
  Statement select(database_->connection,
                   absl::StrCat(in_state(v1::JOB_STATE_LEASED), " UNION ALL ",
                                in_state(v1::JOB_STATE_RETRYING), " UNION ALL ",
                                in_state(v1::JOB_STATE_VANISHED), " UNION ALL ",
                                in_state(v1::JOB_STATE_WAITING),
                                " AND outcome = ", v1::OUTCOME_INCOMPLETE));
  select.Bind(run).Bind(run).Bind(run).Bind(run);
  std::vector<v1::Checkpoint> steps;
  while (select.Step()) {
    v1::Checkpoint& step = steps.emplace_back();
    step.set_stage(select.Text());
    step.set_step(select.Int());
  }
  if (!select.status().ok()) return select.status();
  return steps;
}

}  // namespace sinkwatch::store

// The methods of Store about runs, discovery and leases.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/store/database.h"
#include "server/store/job_rows.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {

const char kJobColumns[] =
    "id, run, stage, step, fingerprint, probe_digest, spec_version, tokens, "
    "path, probe_name, probe_path, dtype, metrics, state, attempt, token, "
    "worker, progress, lease_until, not_before, updated, outcome, reason";

namespace {

// States in which a job still waits for its measurement.
constexpr v1::JobState kOpenStates[] = {
    v1::JOB_STATE_WAITING, v1::JOB_STATE_QUEUED, v1::JOB_STATE_LEASED,
    v1::JOB_STATE_RETRYING};

std::string StateList(std::initializer_list<v1::JobState> states) {
  std::vector<int> numbers(states.begin(), states.end());
  return absl::StrCat("(", absl::StrJoin(numbers, ", "), ")");
}

std::string OpenStateList() {
  std::vector<int> numbers(std::begin(kOpenStates), std::end(kOpenStates));
  return absl::StrCat("(", absl::StrJoin(numbers, ", "), ")");
}

Statement& BindStepOf(Statement& statement, const v1::Checkpoint& checkpoint) {
  return statement.Bind(checkpoint.run())
      .Bind(checkpoint.stage())
      .Bind(checkpoint.step());
}

absl::StatusOr<JobRecord> FindJob(sqlite3* connection, int64_t id) {
  Statement select(connection, absl::StrCat("SELECT ", kJobColumns,
                                            " FROM job WHERE id = ?"));
  select.Bind(id);
  if (select.Step()) return ReadJob(select);
  if (!select.status().ok()) return select.status();
  return absl::NotFoundError(absl::StrCat("there is no job ", id));
}

// The job, if `token` is its current lease.
absl::StatusOr<JobRecord> FindLeased(sqlite3* connection, int64_t id,
                                     int64_t token) {
  auto job = FindJob(connection, id);
  if (!job.ok()) return job.status();
  if (job->state == v1::JOB_STATE_LEASED && job->token == token) return job;
  return absl::AbortedError(absl::StrCat(
      "the lease of job ", id, " with token ", token, " is lost: the job is ",
      v1::JobState_Name(job->state), " with token ", job->token));
}

bool IsLeasable(const JobRecord& job, absl::Time now) {
  switch (job.state) {
    case v1::JOB_STATE_QUEUED:
      return true;
    case v1::JOB_STATE_RETRYING:
      return job.not_before <= now;
    case v1::JOB_STATE_LEASED:
      return job.lease_until < now;
    default:
      return false;
  }
}

// Leaves out a job in whose place a later content lies. 8 is SUPERSEDED.
const char kNotRewritten[] =
    " AND NOT EXISTS (SELECT 1 FROM job AS later WHERE later.run = job.run AND "
    "later.stage = job.stage AND later.step = job.step AND later.probe_digest "
    "= job.probe_digest AND later.fingerprint <> job.fingerprint AND later.id "
    "> job.id AND later.state <> 8)";

absl::Status EndJob(sqlite3* connection, int64_t id, v1::JobState state,
                    v1::Outcome outcome, const std::string& reason,
                    absl::Time not_before, absl::Time now) {
  Statement update(connection,
                   "UPDATE job SET state = ?, outcome = ?, reason = ?, "
                   "not_before = ?, updated = ?, progress = 0 WHERE id = ?");
  return update.Bind(int64_t{state})
      .Bind(int64_t{outcome})
      .Bind(reason)
      .Bind(not_before)
      .Bind(now)
      .Bind(id)
      .Run();
}

// --- discovery --------------------------------------------------------------

absl::Status EndVanished(sqlite3* connection, const Observation& seen,
                         absl::Time now) {
  Statement update(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_VANISHED,
                   ", outcome = ", v1::OUTCOME_VANISHED,
                   ", reason = ?, updated = ? WHERE run = ? AND stage = ? AND "
                   "step = ? AND state IN ",
                   StateList({v1::JOB_STATE_WAITING, v1::JOB_STATE_QUEUED,
                              v1::JOB_STATE_RETRYING, v1::JOB_STATE_SKIPPED})));
  update.Bind(seen.reason).Bind(now);
  return BindStepOf(update, seen.checkpoint).Run();
}

// Other contents of the same step, not measured yet: the new one takes their
// place, and a worker that still reads one of them is fenced off.
absl::Status SupersedeOthers(sqlite3* connection, const Observation& seen,
                             absl::Time now) {
  Statement update(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_SUPERSEDED,
                   ", token = token + 1, reason = 'the checkpoint was "
                   "rewritten', updated = ? WHERE run = ? AND stage = ? AND "
                   "step = ? AND fingerprint <> ? AND probe_digest = ? AND "
                   "state IN ",
                   OpenStateList()));
  update.Bind(now);
  return BindStepOf(update, seen.checkpoint)
      .Bind(seen.checkpoint.fingerprint())
      .Bind(seen.probe.digest())
      .Run();
}

absl::Status InsertJob(sqlite3* connection, const Observation& seen,
                       absl::Time now) {
  Statement insert(
      connection,
      "INSERT INTO job (run, stage, step, fingerprint, probe_digest, "
      "spec_version, tokens, path, probe_name, probe_path, dtype, metrics, "
      "state, updated, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?)");
  const v1::Checkpoint& checkpoint = seen.checkpoint;
  return BindStepOf(insert, checkpoint)
      .Bind(checkpoint.fingerprint())
      .Bind(seen.probe.digest())
      .Bind(int64_t{seen.spec_version})
      .Bind(checkpoint.tokens())
      .Bind(checkpoint.path())
      .Bind(seen.probe.name())
      .Bind(seen.probe.path())
      .Bind(seen.dtype)
      .Bind(absl::StrJoin(seen.metrics, ","))
      .Bind(int64_t{seen.state})
      .Bind(now)
      .Bind(seen.reason)
      .Run();
}

// A content that a worker found incomplete stays waiting until it changes:
// completing it changes sizes or times, and so its fingerprint.
bool MayFollow(const JobRecord& job, const Observation& seen) {
  switch (job.state) {
    case v1::JOB_STATE_WAITING:
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_SKIPPED:
      return job.outcome != v1::OUTCOME_INCOMPLETE &&
             (job.state != seen.state || job.reason != seen.reason);
    case v1::JOB_STATE_RETRYING:
      return seen.state == v1::JOB_STATE_SKIPPED;
    case v1::JOB_STATE_VANISHED:
    case v1::JOB_STATE_SUPERSEDED:
      return true;  // it is there again, as it was
    default:
      return false;
  }
}

absl::Status ObserveOne(sqlite3* connection, const Observation& seen,
                        absl::Time now) {
  if (seen.state == v1::JOB_STATE_VANISHED) {
    return EndVanished(connection, seen, now);
  }
  Statement select(
      connection,
      absl::StrCat(
          "SELECT ", kJobColumns,
          " FROM job WHERE run = ? AND stage = ? AND step = ? AND "
          "fingerprint = ? AND probe_digest = ? AND spec_version = ?"));
  BindStepOf(select, seen.checkpoint)
      .Bind(seen.checkpoint.fingerprint())
      .Bind(seen.probe.digest())
      .Bind(int64_t{seen.spec_version});
  if (!select.Step()) {
    if (!select.status().ok()) return select.status();
    absl::Status status = SupersedeOthers(connection, seen, now);
    return status.ok() ? InsertJob(connection, seen, now) : status;
  }
  const JobRecord job = ReadJob(select);
  if (!MayFollow(job, seen)) return absl::OkStatus();
  if (job.state == v1::JOB_STATE_SUPERSEDED) {
    absl::Status status = SupersedeOthers(connection, seen, now);
    if (!status.ok()) return status;
  }
  return EndJob(connection, job.job.id(), seen.state, v1::OUTCOME_UNSPECIFIED,
                seen.reason, absl::InfinitePast(), now);
}

}  // namespace

JobRecord ReadJob(Statement& row) {
  JobRecord record;
  v1::Job& job = record.job;
  job.set_id(row.Int());
  v1::Checkpoint& checkpoint = *job.mutable_checkpoint();
  checkpoint.set_run(row.Text());
  checkpoint.set_stage(row.Text());
  checkpoint.set_step(row.Int());
  checkpoint.set_fingerprint(row.Text());
  v1::Probe& probe = *job.mutable_probe();
  probe.set_digest(row.Text());
  job.set_spec_version(static_cast<int32_t>(row.Int()));
  checkpoint.set_tokens(row.Int());
  checkpoint.set_path(row.Text());
  probe.set_name(row.Text());
  probe.set_path(row.Text());
  job.set_dtype(row.Text());
  for (absl::string_view metric :
       absl::StrSplit(row.Text(), ',', absl::SkipEmpty())) {
    job.add_metrics(std::string(metric));
  }
  record.state = static_cast<v1::JobState>(row.Int());
  job.set_attempt(static_cast<int32_t>(row.Int()));
  record.token = row.Int();
  record.worker = row.Text();
  record.progress = row.Double();
  record.lease_until = row.Time();
  record.not_before = row.Time();
  record.updated = row.Time();
  record.outcome = static_cast<v1::Outcome>(row.Int());
  record.reason = row.Text();
  return record;
}

// --- runs -------------------------------------------------------------------

absl::Status Store::PutRun(const v1::RunConfig& run, RunOrigin origin) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  Statement put(database_->connection,
                "INSERT INTO run (name, config, followed) VALUES (?, ?, ?) ON "
                "CONFLICT (name) DO UPDATE SET config = excluded.config, "
                "followed = excluded.followed");
  return put.Bind(run.name())
      .BindBlob(run.SerializeAsString())
      .Bind(static_cast<int64_t>(origin))
      .Run();
}

absl::Status Store::RemoveRun(const std::string& name) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  return database_->Transaction([&]() -> absl::Status {
    Statement remove(connection, "UPDATE run SET followed = 0 WHERE name = ?");
    absl::Status status = remove.Bind(name).Run();
    if (!status.ok()) return status;
    if (sqlite3_changes(connection) == 0) {
      return absl::NotFoundError(
          absl::StrCat("there is no run \"", name, "\""));
    }
    Statement skip(
        connection,
        absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_SKIPPED,
                     ", token = token + 1, reason = 'the run is not followed "
                     "any more', updated = ? WHERE run = ? AND state IN ",
                     OpenStateList()));
    return skip.Bind(database_->clock()).Bind(name).Run();
  });
}

absl::StatusOr<std::vector<v1::RunConfig>> Store::Runs() {
  std::lock_guard<std::mutex> lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT config FROM run WHERE followed > 0 ORDER BY name");
  std::vector<v1::RunConfig> runs;
  while (select.Step()) {
    v1::RunConfig run;
    if (!run.ParseFromString(select.Blob())) {
      return absl::DataLossError("store: a stored run cannot be read");
    }
    runs.push_back(std::move(run));
  }
  if (!select.status().ok()) return select.status();
  return runs;
}

absl::StatusOr<std::vector<std::string>> Store::ConfiguredRuns() {
  std::lock_guard<std::mutex> lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT name FROM run WHERE followed = ? ORDER BY name");
  select.Bind(static_cast<int64_t>(RunOrigin::kConfigured));
  std::vector<std::string> names;
  while (select.Step()) names.push_back(select.Text());
  if (!select.status().ok()) return select.status();
  return names;
}

absl::Status Store::Observe(const std::vector<Observation>& observations) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  const absl::Time now = database_->clock();
  return database_->Transaction([&] {
    for (const Observation& seen : observations) {
      absl::Status status = ObserveOne(database_->connection, seen, now);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  });
}

// --- leases -----------------------------------------------------------------

absl::StatusOr<std::vector<JobRecord>> Store::Leasable(int limit) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  const absl::Time now = database_->clock();
  Statement select(
      database_->connection,
      absl::StrCat("SELECT ", kJobColumns,
                   " FROM job WHERE state = ", v1::JOB_STATE_QUEUED,
                   " OR (state = ", v1::JOB_STATE_RETRYING,
                   " AND not_before <= ?) OR (state = ", v1::JOB_STATE_LEASED,
                   " AND lease_until < ?) LIMIT ?"));
  select.Bind(now).Bind(now).Bind(int64_t{limit});
  std::vector<JobRecord> jobs;
  while (select.Step()) jobs.push_back(ReadJob(select));
  if (!select.status().ok()) return select.status();
  return jobs;
}

absl::StatusOr<JobRecord> Store::Lease(int64_t job_id,
                                       const std::string& worker,
                                       const LeaseLimits& limits,
                                       int max_attempts) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const absl::Time now = database_->clock();
  JobRecord leased;
  bool used_up = false;
  absl::Status status = database_->Transaction([&]() -> absl::Status {
    const auto job = FindJob(connection, job_id);
    if (!job.ok()) return job.status();
    if (!IsLeasable(*job, now)) {
      return absl::AbortedError(
          absl::StrCat("job ", job_id, " is leased already"));
    }
    if (job->job.attempt() >= max_attempts) {
      used_up = true;
      const std::string last =
          job->state == v1::JOB_STATE_LEASED
              ? absl::StrCat("the lease of ", job->worker, " ran out")
              : job->reason;
      return EndJob(
          connection, job_id, v1::JOB_STATE_DEAD, v1::OUTCOME_TRANSIENT,
          absl::StrCat(max_attempts, " attempts used up; last: ", last),
          absl::InfinitePast(), now);
    }
    Statement update(
        connection,
        absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_LEASED,
                     ", attempt = attempt + 1, token = token + 1, worker = ?, "
                     "progress = 0, ticks = 0, ticked = ?, lease_until = ?, "
                     "updated = ? WHERE id = ? RETURNING ",
                     kJobColumns));
    update.Bind(worker).Bind(now).Bind(now + limits.ttl).Bind(now).Bind(job_id);
    if (update.Step()) leased = ReadJob(update);
    return update.Run();
  });
  if (!status.ok()) return status;
  if (used_up) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", job_id, " has used up its attempts"));
  }
  return leased;
}

absl::StatusOr<absl::Time> Store::Renew(int64_t job_id, int64_t token,
                                        double progress, int64_t ticks,
                                        const LeaseLimits& limits) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const absl::Time now = database_->clock();
  absl::Status status = database_->Transaction([&]() -> absl::Status {
    const auto job = FindLeased(connection, job_id, token);
    if (!job.ok()) return job.status();
    Statement last(connection, "SELECT ticks, ticked FROM job WHERE id = ?");
    last.Bind(job_id);
    if (!last.Step()) return last.status();
    const bool stands_still = last.Int() == ticks;
    const absl::Time ticked = stands_still ? last.Time() : now;
    if (now - ticked > limits.stall) {
      return absl::AbortedError(
          absl::StrCat("job ", job_id, " has stood still for ",
                       absl::FormatDuration(now - ticked)));
    }
    Statement update(connection,
                     "UPDATE job SET lease_until = ?, progress = ?, ticks = ?, "
                     "ticked = ? WHERE id = ?");
    return update.Bind(now + limits.ttl)
        .Bind(progress)
        .Bind(ticks)
        .Bind(ticked)
        .Bind(job_id)
        .Run();
  });
  if (!status.ok()) return status;
  return now + limits.ttl;
}

absl::Status Store::CheckLease(int64_t job_id, int64_t token) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  return FindLeased(database_->connection, job_id, token).status();
}

absl::Status Store::Fail(int64_t job_id, int64_t token, v1::Outcome outcome,
                         const std::string& reason,
                         const FailDecision& decision) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  return database_->Transaction([&]() -> absl::Status {
    const auto job = FindLeased(connection, job_id, token);
    if (!job.ok()) return job.status();
    return EndJob(connection, job_id, decision.state, outcome, reason,
                  decision.not_before, database_->clock());
  });
}

absl::Status Store::Release(int64_t job_id, int64_t token) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  return database_->Transaction([&]() -> absl::Status {
    const auto job = FindLeased(connection, job_id, token);
    if (!job.ok()) return job.status();
    Statement update(
        connection,
        absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_QUEUED,
                     ", attempt = attempt - 1, progress = 0, "
                     "reason = 'handed back by its worker', "
                     "updated = ? WHERE id = ?"));
    return update.Bind(database_->clock()).Bind(job_id).Run();
  });
}

absl::StatusOr<int64_t> Store::Requeue(const std::string& run,
                                       const std::vector<int64_t>& steps,
                                       bool include_vanished) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  const std::string states =
      include_vanished ? StateList({v1::JOB_STATE_DEAD, v1::JOB_STATE_VANISHED})
                       : StateList({v1::JOB_STATE_DEAD});
  const std::string which =
      steps.empty()
          ? ""
          : absl::StrCat(" AND step IN (", absl::StrJoin(steps, ","), ")");
  Statement update(
      database_->connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_QUEUED,
                   ", attempt = 0, outcome = 0, reason = 'requeued', "
                   "not_before = 0, updated = ? WHERE run = ? AND state IN ",
                   states, which, kNotRewritten));
  absl::Status status = update.Bind(database_->clock()).Bind(run).Run();
  if (!status.ok()) return status;
  return int64_t{sqlite3_changes(database_->connection)};
}

absl::StatusOr<JobRecord> Store::GetJob(int64_t job_id) {
  std::lock_guard<std::mutex> lock(database_->mutex);
  return FindJob(database_->connection, job_id);
}

}  // namespace sinkwatch::store

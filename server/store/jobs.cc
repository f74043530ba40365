// The methods of Store about runs and leases.
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
    "path, model_config, ablation, protocol, probe_name, probe_path, dtype, "
    "metrics, state, attempt, token, worker, progress, lease_until, "
    "not_before, updated, outcome, reason";

namespace {

// The job, if `token` is its current lease.
absl::StatusOr<JobRecord> FindLeased(sqlite3* connection, int64_t id,
                                     int64_t token) {
  auto job = FindJob(connection, id);
  if (!job.ok()) return job.status();
  absl::Status status = CheckLeased(*job, token);
  if (!status.ok()) return status;
  return job;
}

absl::Status ForgetFolders(sqlite3* connection, const std::string& run) {
  Statement forget(connection, "DELETE FROM watched_folder WHERE run = ?");
  return forget.Bind(run).Run();
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

// Leaves out a job in whose place a later content lies.
std::string NotRewritten() {
  return absl::StrCat(
      " AND NOT EXISTS (SELECT 1 FROM job AS later WHERE later.run = job.run "
      "AND later.stage = job.stage AND later.step = job.step AND "
      "later.probe_digest = job.probe_digest AND later.fingerprint <> "
      "job.fingerprint AND later.id > job.id AND later.state <> ",
      v1::JOB_STATE_SUPERSEDED, ")");
}

// Ends a job whose attempts are used up, saying how the last one ended.
absl::Status EndUsedUp(sqlite3* connection, const JobRecord& job,
                       int max_attempts, absl::Time now) {
  const std::string last =
      job.state == v1::JOB_STATE_LEASED
          ? absl::StrCat("the lease of ", job.worker, " ran out")
          : job.reason;
  return EndJob(connection, job.job.id(), v1::JOB_STATE_DEAD,
                v1::OUTCOME_TRANSIENT,
                absl::StrCat(max_attempts, " attempts used up; last: ", last),
                absl::InfinitePast(), now);
}

absl::StatusOr<JobRecord> GiveLease(sqlite3* connection, int64_t id,
                                    const std::string& worker, absl::Time now,
                                    absl::Duration ttl) {
  Statement update(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_LEASED,
                   ", attempt = attempt + 1, token = token + 1, worker = ?, "
                   "progress = 0, ticks = 0, ticked = ?, renewed = ?, "
                   "lease_until = ?, updated = ? WHERE id = ? RETURNING ",
                   kJobColumns));
  update.Bind(worker).Bind(now).Bind(now).Bind(now + ttl).Bind(now).Bind(id);
  JobRecord leased;
  if (update.Step()) leased = ReadJob(update);
  absl::Status status = update.Run();
  if (!status.ok()) return status;
  return leased;
}

// Writes nothing of one that is followed so already: a full disk keeps no
// server from starting.
absl::Status FollowRun(sqlite3* connection, const v1::RunConfig& run,
                       RunOrigin origin) {
  Statement put(connection,
                "INSERT INTO run (name, config, followed) VALUES (?, ?, ?) ON "
                "CONFLICT (name) DO UPDATE SET config = excluded.config, "
                "followed = excluded.followed WHERE config <> excluded.config "
                "OR followed <> excluded.followed");
  return put.Bind(run.name())
      .BindBlob(run.SerializeAsString())
      .Bind(static_cast<int64_t>(origin))
      .Run();
}

absl::Status EndRun(sqlite3* connection, const std::string& name,
                    absl::Time now) {
  Statement remove(connection, "UPDATE run SET followed = 0 WHERE name = ?");
  absl::Status status = remove.Bind(name).Run();
  if (!status.ok()) return status;
  if (sqlite3_changes(connection) == 0) {
    return absl::NotFoundError(absl::StrCat("there is no run \"", name, "\""));
  }
  status = ForgetFolders(connection, name);
  if (!status.ok()) return status;
  Statement skip(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_SKIPPED,
                   ", token = token + 1, reason = 'the run is not followed "
                   "any more', updated = ? WHERE run = ? AND state IN ",
                   OpenStateList()));
  return skip.Bind(now).Bind(name).Run();
}

}  // namespace

absl::StatusOr<JobRecord> FindJob(sqlite3* connection, int64_t id) {
  Statement select(connection, absl::StrCat("SELECT ", kJobColumns,
                                            " FROM job WHERE id = ?"));
  select.Bind(id);
  if (select.Step()) return ReadJob(select);
  if (!select.status().ok()) return select.status();
  return absl::NotFoundError(absl::StrCat("there is no job ", id));
}

absl::Status CheckLeased(const JobRecord& job, int64_t token) {
  if (job.state == v1::JOB_STATE_LEASED && job.token == token) {
    return absl::OkStatus();
  }
  return absl::AbortedError(
      absl::StrCat("the lease of job ", job.job.id(), " with token ", token,
                   " is lost: the job is ", v1::JobState_Name(job.state),
                   " with token ", job.token));
}

std::string StateList(const std::vector<v1::JobState>& states) {
  const std::vector<int> numbers(states.begin(), states.end());
  return absl::StrCat("(", absl::StrJoin(numbers, ", "), ")");
}

std::string OpenStateList() {
  return StateList({v1::JOB_STATE_WAITING, v1::JOB_STATE_QUEUED,
                    v1::JOB_STATE_LEASED, v1::JOB_STATE_RETRYING});
}

absl::Status SupersedeOtherVersions(sqlite3* connection, absl::Time now) {
  Statement update(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_SUPERSEDED,
                   ", token = token + 1, reason = 'the definitions of the "
                   "metrics are of another version', updated = ? WHERE "
                   "spec_version <> ? AND state IN ",
                   OpenStateList()));
  return update.Bind(now).Bind(int64_t{kSpecVersion}).Run();
}

absl::Status KeepTimes(sqlite3* connection, absl::Time now) {
  Statement leases(
      connection,
      absl::StrCat("UPDATE job SET lease_until = lease_until - renewed + ?1, "
                   "ticked = min(ticked, ?1), renewed = ?1 WHERE state = ",
                   v1::JOB_STATE_LEASED, " AND renewed > ?1"));
  absl::Status status = leases.Bind(now).Run();
  if (!status.ok()) return status;
  Statement waits(
      connection,
      absl::StrCat("UPDATE job SET not_before = not_before - updated + ?1, "
                   "updated = ?1 WHERE state IN ",
                   StateList({v1::JOB_STATE_RETRYING, v1::JOB_STATE_WAITING}),
                   " AND not_before > 0 AND updated > ?1"));
  return waits.Bind(now).Run();
}

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
  job.set_model_config(row.Text());
  if (const std::string ablation = row.Blob(); !ablation.empty()) {
    job.mutable_ablation()->ParsePartialFromString(ablation);
  }
  job.set_protocol(row.Text());
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
  return ReplaceRuns({}, {run}, origin);
}

absl::Status Store::RemoveRun(const std::string& name) {
  return ReplaceRuns({name}, {}, RunOrigin::kAdded);
}

absl::Status Store::ReplaceRuns(const std::vector<std::string>& removed,
                                const std::vector<v1::RunConfig>& put,
                                RunOrigin origin) {
  StoreLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  const absl::Time now = database_->clock();
  return database_->Transaction([&] {
    absl::Status status;
    for (const std::string& name : removed) {
      if (status.ok()) status = EndRun(connection, name, now);
    }
    for (const v1::RunConfig& run : put) {
      if (status.ok()) status = FollowRun(connection, run, origin);
    }
    return status;
  });
}

absl::Status Store::PutFolders(
    const std::string& run, const std::map<std::string, std::string>& folders) {
  StoreLock lock(database_->mutex);
  sqlite3* const connection = database_->connection;
  return database_->Transaction([&] {
    absl::Status status = ForgetFolders(connection, run);
    Statement put(connection,
                  "INSERT INTO watched_folder (run, path, identity) VALUES (?, "
                  "?, ?)");
    for (const auto& [path, identity] : folders) {
      if (!status.ok()) return status;
      put.Reset();
      status = put.Bind(run).Bind(path).Bind(identity).Run();
    }
    return status;
  });
}

absl::StatusOr<std::map<std::string, std::string>> Store::FoldersOf(
    const std::string& run) {
  StoreLock lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT path, identity FROM watched_folder WHERE run = ?");
  select.Bind(run);
  std::map<std::string, std::string> folders;
  while (select.Step()) {
    const std::string path = select.Text();
    folders[path] = select.Text();
  }
  if (!select.status().ok()) return select.status();
  return folders;
}

absl::StatusOr<std::vector<v1::RunConfig>> Store::Runs() {
  StoreLock lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT name, config FROM run WHERE followed > 0 ORDER BY "
                   "name");
  std::vector<v1::RunConfig> runs;
  while (select.Step()) {
    const std::string name = select.Text();
    v1::RunConfig run;
    if (!ReadMessage(select, "run", run).ok()) run.Clear();
    run.set_name(name);
    runs.push_back(std::move(run));
  }
  if (!select.status().ok()) return select.status();
  return runs;
}

absl::StatusOr<std::vector<std::string>> Store::ConfiguredRuns() {
  StoreLock lock(database_->mutex);
  Statement select(database_->connection,
                   "SELECT name FROM run WHERE followed = ? ORDER BY name");
  select.Bind(static_cast<int64_t>(RunOrigin::kConfigured));
  std::vector<std::string> names;
  while (select.Step()) names.push_back(select.Text());
  if (!select.status().ok()) return select.status();
  return names;
}

// --- leases -----------------------------------------------------------------

absl::StatusOr<JobRecord> Store::Lease(int64_t job_id,
                                       const std::string& worker,
                                       const LeaseLimits& limits,
                                       int max_attempts) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
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
      return EndUsedUp(connection, *job, max_attempts, now);
    }
    auto lease = GiveLease(connection, job_id, worker, now, limits.ttl);
    if (!lease.ok()) return lease.status();
    leased = *std::move(lease);
    return absl::OkStatus();
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
  StoreLock lock(database_->mutex, Urgency::kUrgent);
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
    Statement update(
        connection,
        "UPDATE job SET lease_until = ?, renewed = ?, progress = ?, "
        "ticks = ?, ticked = ? WHERE id = ?");
    return update.Bind(now + limits.ttl)
        .Bind(now)
        .Bind(progress)
        .Bind(ticks)
        .Bind(ticked)
        .Bind(job_id)
        .Run();
  });
  if (!status.ok()) return status;
  return now + limits.ttl;
}

absl::StatusOr<JobRecord> Store::CheckLease(int64_t job_id, int64_t token) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
  return FindLeased(database_->connection, job_id, token);
}

absl::Status Store::Fail(int64_t job_id, int64_t token, v1::Outcome outcome,
                         const std::string& reason,
                         const FailDecision& decision) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
  sqlite3* const connection = database_->connection;
  return database_->Transaction([&]() -> absl::Status {
    const auto job = FindLeased(connection, job_id, token);
    if (!job.ok()) return job.status();
    absl::Status status =
        EndJob(connection, job_id, decision.state, outcome, reason,
               decision.not_before, database_->clock());
    if (!status.ok() || decision.costs_attempt) return status;
    Statement give_back(connection,
                        "UPDATE job SET attempt = attempt - 1 WHERE id = ?");
    return give_back.Bind(job_id).Run();
  });
}

absl::Status Store::Release(int64_t job_id, int64_t token) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
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
  StoreLock lock(database_->mutex);
  std::vector<v1::JobState> states = {v1::JOB_STATE_DEAD};
  if (include_vanished) states.push_back(v1::JOB_STATE_VANISHED);
  const std::string which =
      steps.empty()
          ? ""
          : absl::StrCat(" AND step IN (", absl::StrJoin(steps, ","), ")");
  sqlite3* const connection = database_->connection;
  Statement update(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_QUEUED,
                   ", attempt = 0, outcome = 0, reason = 'requeued', "
                   "not_before = 0, updated = ? WHERE run = ? AND (state IN ",
                   StateList(states), " OR (state = ", v1::JOB_STATE_WAITING,
                   " AND outcome = ", v1::OUTCOME_INCOMPLETE, "))", which,
                   NotRewritten()));
  update.Bind(database_->clock()).Bind(run);
  int64_t requeued = 0;
  absl::Status status = database_->Transaction([&] {
    absl::Status updated = update.Run();
    requeued = sqlite3_changes(connection);
    return updated;
  });
  if (!status.ok()) return status;
  return requeued;
}

absl::StatusOr<JobRecord> Store::GetJob(int64_t job_id) {
  StoreLock lock(database_->mutex, Urgency::kUrgent);
  return FindJob(database_->connection, job_id);
}

}  // namespace sinkwatch::store

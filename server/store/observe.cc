// What Store does with what discovery saw.
#include <algorithm>
#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/store/database.h"
#include "server/store/job_rows.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

// Observations of one transaction: so many at least, and more as long as they
// have not held the lock for that long. What a transaction costs is the wait
// for the disk at its end, whatever it holds; leases wait for both.
constexpr size_t kGroup = 50;
constexpr size_t kMaxInGroup = 1000;
constexpr std::chrono::milliseconds kMaxHeld{20};

Statement& BindStepOf(Statement& statement, const v1::Checkpoint& checkpoint) {
  return statement.Bind(checkpoint.run())
      .Bind(checkpoint.stage())
      .Bind(checkpoint.step());
}

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

// Other jobs of the same step, not measured yet: of another content, another
// probe or other metric definitions. The new one takes their place, and a
// worker that still holds one of them is fenced off.
absl::Status SupersedeOthers(sqlite3* connection, const Observation& seen,
                             absl::Time now) {
  Statement update(
      connection,
      absl::StrCat("UPDATE job SET state = ", v1::JOB_STATE_SUPERSEDED,
                   ", token = token + 1, reason = CASE WHEN fingerprint <> ? "
                   "THEN 'the checkpoint was rewritten' WHEN probe_digest <> ? "
                   "THEN 'the probe was changed' ELSE 'the definitions of the "
                   "metrics are of another version' END, updated = ? WHERE run "
                   "= ? AND stage = ? AND step = ? AND (fingerprint <> ? OR "
                   "probe_digest <> ? OR spec_version <> ?) AND state IN ",
                   OpenStateList()));
  update.Bind(seen.checkpoint.fingerprint())
      .Bind(seen.probe.digest())
      .Bind(now);
  return BindStepOf(update, seen.checkpoint)
      .Bind(seen.checkpoint.fingerprint())
      .Bind(seen.probe.digest())
      .Bind(int64_t{seen.spec_version})
      .Run();
}

// A checkpoint that is being written has another fingerprint at each look. The
// job that waits for it and that no worker has seen takes the new one, so that
// a save leaves one job and not one per look. Returns whether there was one.
absl::StatusOr<bool> UpdateWaiting(sqlite3* connection, const Observation& seen,
                                   absl::Time now) {
  Statement update(
      connection,
      absl::StrCat(
          "UPDATE job SET fingerprint = ?, tokens = ?, path = ?, model_config "
          "= ?, ablation = ?, protocol = ?, state = ?, outcome = ?, reason = "
          "?, updated = ? WHERE id = "
          "(SELECT max(id) FROM job WHERE run = ? AND stage = ? AND step = ? "
          "AND probe_digest = ? AND spec_version = ? AND attempt = 0 AND state "
          "= ",
          v1::JOB_STATE_WAITING, ")"));
  update.Bind(seen.checkpoint.fingerprint())
      .Bind(seen.checkpoint.tokens())
      .Bind(seen.checkpoint.path())
      .Bind(seen.model_config)
      .BindBlob(seen.ablation.SerializeAsString())
      .Bind(seen.protocol)
      .Bind(int64_t{seen.state})
      .Bind(int64_t{seen.outcome})
      .Bind(seen.reason)
      .Bind(now);
  absl::Status status = BindStepOf(update, seen.checkpoint)
                            .Bind(seen.probe.digest())
                            .Bind(int64_t{seen.spec_version})
                            .Run();
  if (!status.ok()) return status;
  return sqlite3_changes(connection) > 0;
}

absl::Status InsertJob(sqlite3* connection, const Observation& seen,
                       absl::Time now) {
  Statement insert(
      connection,
      "INSERT INTO job (run, stage, step, fingerprint, probe_digest, "
      "spec_version, tokens, path, model_config, ablation, protocol, "
      "probe_name, probe_path, dtype, metrics, state, outcome, updated, "
      "reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?)");
  const v1::Checkpoint& checkpoint = seen.checkpoint;
  return BindStepOf(insert, checkpoint)
      .Bind(checkpoint.fingerprint())
      .Bind(seen.probe.digest())
      .Bind(int64_t{seen.spec_version})
      .Bind(checkpoint.tokens())
      .Bind(checkpoint.path())
      .Bind(seen.model_config)
      .BindBlob(seen.ablation.SerializeAsString())
      .Bind(seen.protocol)
      .Bind(seen.probe.name())
      .Bind(seen.probe.path())
      .Bind(seen.dtype)
      .Bind(absl::StrJoin(seen.metrics, ","))
      .Bind(int64_t{seen.state})
      .Bind(int64_t{seen.outcome})
      .Bind(now)
      .Bind(seen.reason)
      .Run();
}

// Whether a content that a worker found incomplete is to be tried again as it
// is: the back-off is over. Without a time it waits until it changes, which
// makes another fingerprint of it.
bool IsTriedAgain(const JobRecord& job, const Observation& seen,
                  absl::Time now) {
  return seen.state == v1::JOB_STATE_QUEUED &&
         job.not_before > absl::UnixEpoch() && job.not_before <= now;
}

bool MayFollow(const JobRecord& job, const Observation& seen, absl::Time now) {
  switch (job.state) {
    case v1::JOB_STATE_WAITING:
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_SKIPPED:
      if (job.outcome == v1::OUTCOME_INCOMPLETE) {
        return seen.state == v1::JOB_STATE_SKIPPED ||
               IsTriedAgain(job, seen, now);
      }
      return job.state != seen.state || job.reason != seen.reason;
    case v1::JOB_STATE_RETRYING:
      return seen.state == v1::JOB_STATE_SKIPPED;
    case v1::JOB_STATE_VANISHED:
    case v1::JOB_STATE_SUPERSEDED:
      return true;  // it is there again, as it was
    default:
      return false;
  }
}

// The same files under another name, tokens that became known, another
// configuration: a job that is not done and that no worker holds takes them.
absl::Status UpdateFacts(sqlite3* connection, const JobRecord& job,
                         const Observation& seen) {
  const v1::Checkpoint& known = job.job.checkpoint();
  if (job.state == v1::JOB_STATE_LEASED || job.state == v1::JOB_STATE_DONE ||
      (known.path() == seen.checkpoint.path() &&
       known.tokens() == seen.checkpoint.tokens() &&
       job.job.model_config() == seen.model_config &&
       job.job.protocol() == seen.protocol &&
       job.job.ablation().SerializeAsString() ==
           seen.ablation.SerializeAsString())) {
    return absl::OkStatus();
  }
  Statement update(connection,
                   "UPDATE job SET path = ?, tokens = ?, model_config = ?, "
                   "ablation = ?, protocol = ? WHERE id = ?");
  return update.Bind(seen.checkpoint.path())
      .Bind(seen.checkpoint.tokens())
      .Bind(seen.model_config)
      .BindBlob(seen.ablation.SerializeAsString())
      .Bind(seen.protocol)
      .Bind(job.job.id())
      .Run();
}

absl::Status AddNew(sqlite3* connection, const Observation& seen,
                    absl::Time now) {
  const auto updated = UpdateWaiting(connection, seen, now);
  if (!updated.ok()) return updated.status();
  absl::Status status = SupersedeOthers(connection, seen, now);
  if (!status.ok() || *updated) return status;
  return InsertJob(connection, seen, now);
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
    return AddNew(connection, seen, now);
  }
  const JobRecord job = ReadJob(select);
  absl::Status status = UpdateFacts(connection, job, seen);
  // It is there again: what was there meanwhile is not.
  if (status.ok()) status = SupersedeOthers(connection, seen, now);
  if (!status.ok() || !MayFollow(job, seen, now)) return status;
  return EndJob(connection, job.job.id(), seen.state, seen.outcome, seen.reason,
                absl::InfinitePast(), now);
}

// CANCELLED if the run of the observation was removed: who looked at it did not
// know yet.
absl::Status CheckFollowed(sqlite3* connection, const Observation& seen) {
  Statement select(connection, "SELECT followed FROM run WHERE name = ?");
  select.Bind(seen.checkpoint.run());
  if (!select.Step() || select.Int() != 0) return select.status();
  return absl::CancelledError(absl::StrCat("run \"", seen.checkpoint.run(),
                                           "\" is not followed any more"));
}

// As many observations from `next` on as one transaction takes; `next` is then
// the one after.
absl::Status ObserveGroup(sqlite3* connection,
                          std::vector<Observation>::const_iterator end,
                          absl::Time now,
                          std::vector<Observation>::const_iterator& next) {
  const auto until = std::chrono::steady_clock::now() + kMaxHeld;
  const std::string* run = nullptr;
  for (size_t count = 0; next != end && count < kMaxInGroup; ++count) {
    if (count >= kGroup && std::chrono::steady_clock::now() >= until) break;
    if (run == nullptr || *run != next->checkpoint.run()) {
      absl::Status followed = CheckFollowed(connection, *next);
      if (!followed.ok()) return followed;
      run = &next->checkpoint.run();
    }
    absl::Status one = ObserveOne(connection, *next, now);
    if (!one.ok()) return one;
    ++next;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Store::Observe(const std::vector<Observation>& observations) {
  auto next = observations.begin();
  while (next != observations.end()) {
    StoreLock lock(database_->mutex);
    const absl::Time now = database_->clock();
    absl::Status status = database_->Transaction([&] {
      return ObserveGroup(database_->connection, observations.end(), now, next);
    });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::store

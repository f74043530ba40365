#include "server/scheduler/job_model_testing.h"

#include <algorithm>
#include <tuple>

namespace sinkwatch::scheduler {

bool ModelJob::IsOpen() const {
  return state == v1::JOB_STATE_WAITING || state == v1::JOB_STATE_QUEUED ||
         state == v1::JOB_STATE_LEASED || state == v1::JOB_STATE_RETRYING;
}

bool ModelJob::operator==(const ModelJob& other) const {
  const auto all = [](const ModelJob& job) {
    return std::tie(job.step, job.fingerprint, job.state, job.outcome,
                    job.attempt, job.token, job.lease_until, job.renewed,
                    job.ticks, job.ticked, job.not_before, job.failed);
  };
  return all(*this) == all(other);
}

void JobModel::SupersedeOthers(int64_t step, const std::string& fingerprint) {
  for (auto& [id, job] : jobs) {
    if (job.step != step || job.fingerprint == fingerprint || !job.IsOpen()) {
      continue;
    }
    job.state = v1::JOB_STATE_SUPERSEDED;
    ++job.token;
  }
}

void JobModel::Observe(int64_t step, const std::string& fingerprint,
                       v1::JobState state, int64_t next_id, absl::Time now) {
  if (state == v1::JOB_STATE_VANISHED) {
    for (auto& [id, job] : jobs) {
      if (job.step == step && job.state != v1::JOB_STATE_LEASED &&
          (job.IsOpen() || job.state == v1::JOB_STATE_SKIPPED)) {
        job.state = v1::JOB_STATE_VANISHED;
        job.outcome = v1::OUTCOME_VANISHED;
      }
    }
    return;
  }
  ModelJob* known = nullptr;
  ModelJob* waiting = nullptr;
  for (auto& [id, job] : jobs) {
    if (job.step != step) continue;
    if (job.fingerprint == fingerprint) known = &job;
    if (job.state == v1::JOB_STATE_WAITING && job.attempt == 0) waiting = &job;
  }
  if (known == nullptr) {
    if (waiting == nullptr) {
      waiting = &jobs[next_id];
      waiting->step = step;
    }
    waiting->fingerprint = fingerprint;
    waiting->state = state;
    waiting->outcome = v1::OUTCOME_UNSPECIFIED;
    SupersedeOthers(step, fingerprint);
    return;
  }
  SupersedeOthers(step, fingerprint);
  bool follows = false;
  switch (known->state) {
    case v1::JOB_STATE_WAITING:
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_SKIPPED:
      follows = known->outcome != v1::OUTCOME_INCOMPLETE ||
                state == v1::JOB_STATE_SKIPPED ||
                (state == v1::JOB_STATE_QUEUED &&
                 known->not_before.has_value() && *known->not_before <= now);
      break;
    case v1::JOB_STATE_RETRYING:
      follows = state == v1::JOB_STATE_SKIPPED;
      break;
    case v1::JOB_STATE_SUPERSEDED:
    case v1::JOB_STATE_VANISHED:
      follows = true;
      break;
    default:
      break;
  }
  if (follows) {
    known->state = state;
    known->outcome = v1::OUTCOME_UNSPECIFIED;
    known->not_before.reset();
  }
}

void JobModel::Unfollow() {
  for (auto& [id, job] : jobs) {
    if (!job.IsOpen()) continue;
    job.state = v1::JOB_STATE_SKIPPED;
    ++job.token;
  }
}

void JobModel::Requeue(bool include_vanished) {
  for (auto& [id, job] : jobs) {
    const bool is_meant =
        job.state == v1::JOB_STATE_DEAD ||
        (job.state == v1::JOB_STATE_VANISHED && include_vanished) ||
        (job.state == v1::JOB_STATE_WAITING &&
         job.outcome == v1::OUTCOME_INCOMPLETE);
    const bool was_rewritten = std::any_of(
        jobs.begin(), jobs.end(), [&, id = id, &job = job](auto& o) {
          return o.second.step == job.step && o.first > id &&
                 o.second.fingerprint != job.fingerprint &&
                 o.second.state != v1::JOB_STATE_SUPERSEDED;
        });
    if (!is_meant || was_rewritten) continue;
    job.state = v1::JOB_STATE_QUEUED;
    job.outcome = v1::OUTCOME_UNSPECIFIED;
    job.attempt = 0;
    job.not_before.reset();
  }
}

void JobModel::QueueDue(absl::Time now) {
  for (auto& [id, job] : jobs) {
    if (job.state == v1::JOB_STATE_RETRYING && *job.not_before <= now) {
      job.state = v1::JOB_STATE_QUEUED;
    }
  }
}

bool JobModel::IsLeasable(const ModelJob& job, absl::Time now) const {
  return job.state == v1::JOB_STATE_QUEUED ||
         (job.state == v1::JOB_STATE_LEASED && job.lease_until < now);
}

void JobModel::Lease(int64_t id, absl::Time now) {
  ModelJob& job = jobs.at(id);
  job.state = v1::JOB_STATE_LEASED;
  ++job.attempt;
  ++job.token;
  job.lease_until = now + kModelTtl;
  job.renewed = job.ticked = now;
  job.ticks = 0;
}

bool JobModel::Renew(int64_t id, int64_t token, int64_t ticks, absl::Time now) {
  ModelJob& job = jobs.at(id);
  if (!job.Holds(token)) return false;
  const absl::Time ticked = ticks == job.ticks ? job.ticked : now;
  if (now - ticked > kModelStall) return false;
  job.ticks = ticks;
  job.ticked = ticked;
  job.renewed = now;
  job.lease_until = now + kModelTtl;
  return true;
}

absl::Duration JobModel::LongestWait(v1::Outcome outcome, int attempt) {
  // 2 s, and twice as much with each attempt; a release waits as after four.
  return outcome == v1::OUTCOME_RELEASED ? absl::Seconds(16)
                                         : absl::Seconds(1 << attempt);
}

bool JobModel::Fail(int64_t id, int64_t token, v1::Outcome outcome,
                    absl::Time now) {
  ModelJob& job = jobs.at(id);
  if (!job.Holds(token)) return false;
  job.outcome = outcome;
  job.failed = now;
  job.not_before = now + LongestWait(outcome, job.attempt);
  switch (outcome) {
    case v1::OUTCOME_CORRUPT:
    case v1::OUTCOME_UNSUPPORTED:
      job.state = v1::JOB_STATE_DEAD;
      break;
    case v1::OUTCOME_VANISHED:
      job.state = v1::JOB_STATE_VANISHED;
      break;
    case v1::OUTCOME_INCOMPLETE:
      job.state = v1::JOB_STATE_WAITING;
      if (job.IsUsedUp()) job.not_before.reset();
      break;
    case v1::OUTCOME_RELEASED:
      job.state = v1::JOB_STATE_RETRYING;
      --job.attempt;
      break;
    default:
      job.state = job.IsUsedUp() ? v1::JOB_STATE_DEAD : v1::JOB_STATE_RETRYING;
  }
  return true;
}

bool JobModel::Release(int64_t id, int64_t token) {
  ModelJob& job = jobs.at(id);
  if (!job.Holds(token)) return false;
  job.state = v1::JOB_STATE_QUEUED;
  --job.attempt;
  return true;
}

JobModel::Answer JobModel::Commit(int64_t id, int64_t token, float value) {
  ModelJob& job = jobs.at(id);
  if (job.state == v1::JOB_STATE_DONE) return Answer::kAlready;
  if (!job.Holds(token)) return Answer::kRefused;
  job.state = v1::JOB_STATE_DONE;
  job.outcome = v1::OUTCOME_UNSPECIFIED;
  values[job.step] = value;
  return Answer::kCommitted;
}

void JobModel::Restart(absl::Time now) {
  for (auto& [id, job] : jobs) {
    if (job.state == v1::JOB_STATE_LEASED && job.renewed > now) {
      job.lease_until -= job.renewed - now;
      job.ticked = std::min(job.ticked, now);
      job.renewed = now;
    }
    if (job.not_before.has_value() && job.failed > now) {
      *job.not_before -= job.failed - now;
      job.failed = now;
    }
  }
}

}  // namespace sinkwatch::scheduler

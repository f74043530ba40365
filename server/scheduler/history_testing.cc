#include "server/scheduler/history_testing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/scheduler/job_comparison_testing.h"
#include "server/scheduler/job_model_testing.h"
#include "server/scheduler/machine_testing.h"
#include "server/store/memory_disk_testing.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::scheduler {
namespace {

using store::MemoryDisk;

constexpr int kSteps = 3;

// Of an answer that says nothing about the job: the disk failed.
bool IsFault(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsInternal(status) || absl::IsDataLoss(status);
}

store::LeaseLimits Limits() { return {kModelTtl, kModelStall}; }

// A server on its machine, and what the workers remember.
class World {
 public:
  std::string Do(const Operation& operation) {
    const bool is_armed = armed_;
    std::string why = Run(operation);
    // One waits for an operation that uses the disk.
    if (is_armed && operation.what < What::kKillInNext) {
      machine_.disk().FailNoMore();
      machine_.disk().KillAt(0);
      armed_ = false;
      if (why.empty() && machine_.disk().was_killed())
        why = Reopen(power_goes_);
    }
    return why.empty() ? Compare() : why;
  }

  // The last word: whatever happened, a start without faults finds it all.
  std::string End() {
    std::string why = Reopen(false);
    for (const auto& [run, model] : ended_) {
      if (why.empty()) why = WhyJobsDiffer(machine_.store(), run, model);
      if (why.empty()) why = WhyValuesDiffer(machine_.store(), run, model);
    }
    return why;
  }

  // Begins another history in a run of its own; the one before stays in the
  // store. Not while a fault waits.
  std::string BeginAnother() {
    model_.Unfollow();
    for (const auto& [id, job] : model_.jobs) {
      first_id_ = std::max(first_id_, id + 1);
    }
    ended_.emplace_back(run_, std::exchange(model_, {}));
    run_ = absl::StrCat("toy", ended_.size());
    held_.clear();
    std::fill(std::begin(versions_), std::end(versions_), 0);
    const absl::Status replaced = machine_.store().ReplaceRuns(
        {ended_.back().first}, {Configured()}, store::RunOrigin::kAdded);
    return replaced.ok() ? "" : replaced.ToString();
  }

 private:
  struct Held {
    int64_t job;
    int64_t token;
    float value;
  };

  v1::RunConfig Configured() const {
    v1::RunConfig run;
    run.set_name(run_);
    return run;
  }
  absl::Status PutRun() { return machine_.store().PutRun(Configured()); }

  // Starts again after an end of any kind.
  std::string Start() {
    absl::Status opened = machine_.Open();
    machine_.disk().FailNoMore();
    if (!opened.ok() && armed_) {
      machine_.disk().Kill();
      opened = machine_.Open();
    }
    if (!opened.ok())
      return absl::StrCat("does not start: ", opened.ToString());
    model_.Restart(machine_.store().Now());
    for (JobModel& ghost : ghosts_) ghost.Restart(machine_.store().Now());
    std::string why = CompareWith(model_);
    for (const JobModel& ghost : ghosts_) {
      if (why.empty()) break;
      if (!CompareWith(ghost).empty()) continue;
      model_ = ghost;
      why.clear();
    }
    ghosts_.clear();
    return why.empty() ? CompareValues() : "after a start: " + why;
  }
  std::string Restart() {
    machine_.Shut();
    return Start();
  }
  std::string Reopen(bool power_goes) {
    machine_.Kill(power_goes);
    return Start();
  }

  std::string Run(const Operation& operation) {
    const auto [what, a, b] = operation;
    switch (what) {
      case What::kSee:
        return Observe(a, v1::JOB_STATE_QUEUED);
      case What::kRewrite:
        ++versions_[a % kSteps];
        return Observe(a, v1::JOB_STATE_QUEUED);
      case What::kSeeHalf:
        versions_[a % kSteps] += b % 2;
        return Observe(a, v1::JOB_STATE_WAITING);
      case What::kSkip:
        return Observe(a, v1::JOB_STATE_SKIPPED);
      case What::kVanish:
        return Observe(a, v1::JOB_STATE_VANISHED);
      case What::kUnfollow:
        return Unfollow();
      case What::kAcquire:
        return Acquire();
      case What::kRequeue:
        return Change(machine_.store().Requeue(run_, {}, a % 2 == 1).status(),
                      [&](JobModel& model) { model.Requeue(a % 2 == 1); });
      case What::kWait:
        machine_.Pass(b == 0 ? absl::Minutes(a) : absl::Seconds(a));
        return "";
      case What::kSetClock:
        machine_.SetWallClock(absl::Hours(a % 97 - 48));
        return "";
      case What::kRestart:
        return Restart();
      case What::kKill:
        return Reopen(a % 2 == 1);
      case What::kKillInNext:
        machine_.disk().KillAt(1 + a % 16);
        power_goes_ = b % 2 == 1;
        armed_ = true;
        return "";
      case What::kDiskFails:
        machine_.disk().FailAt(
            1 + a % 8,
            static_cast<MemoryDisk::Fault>(b % MemoryDisk::kNumFaults),
            b % 5 == 0 ? 1000 : 1);
        armed_ = true;
        return "";
      default:
        return held_.empty() ? "" : OfLease(operation);
    }
  }

  // What a worker says of one of the leases that it ever got.
  std::string OfLease(const Operation& operation) {
    const auto [what, a, b] = operation;
    // Mostly the last one.
    const size_t age = a % 4 == 0 ? a / 4 % held_.size() : 0;
    const Held& held = held_[held_.size() - 1 - age];
    switch (what) {
      case What::kRenew:
        return Renew(held, b);
      case What::kFail:
        return Fail(held, b);
      case What::kRelease:
        return Change(machine_.store().Release(held.job, held.token),
                      [&](JobModel& model) {
                        return model.Release(held.job, held.token);
                      });
      case What::kCommit:
        return Commit({held});
      default:
        return Commit({held, held_[b % held_.size()]});
    }
  }

  // After a call that changes what `change` changes of the model; if that
  // returns a bool, whether the call is taken. A fault changes nothing, unless
  // the process dies of it: then all of it or nothing.
  template <typename ModelChange>
  std::string Change(const absl::Status& status, const ModelChange& change) {
    JobModel after = model_;
    bool is_taken = true;
    if constexpr (std::is_void_v<decltype(change(after))>) {
      change(after);
    } else {
      is_taken = change(after);
    }
    if (IsFault(status)) return NoteFault(status, {after});
    if (status.ok() != is_taken) {
      return absl::StrCat("the answer is ", status.ToString(), ", the model's ",
                          is_taken ? "yes" : "no");
    }
    if (is_taken) Take(std::move(after));
    return "";
  }
  std::string NoteFault(const absl::Status& status,
                        std::vector<JobModel> ghosts) {
    if (!armed_) return absl::StrCat("without a fault: ", status.ToString());
    if (absl::IsDataLoss(status)) return status.ToString();
    ghosts_.insert(ghosts_.end(), std::make_move_iterator(ghosts.begin()),
                   std::make_move_iterator(ghosts.end()));
    return "";
  }
  void Take(JobModel after) {
    // What was written now lies where theirs was.
    if (!(model_.jobs == after.jobs)) ghosts_.clear();
    model_ = std::move(after);
  }

  std::string Observe(int a, v1::JobState state) {
    const int64_t step = a % kSteps;
    const std::string fingerprint = absl::StrCat("content", versions_[step]);
    store::Observation seen = store::Seen(step, fingerprint, state);
    seen.checkpoint.set_run(run_);
    const absl::Status status = machine_.store().Observe({seen});
    const absl::Time now = machine_.store().Now();
    return Change(status, [&](JobModel& model) {
      int64_t next = first_id_;
      for (const auto& [id, job] : model.jobs) next = std::max(next, id + 1);
      model.Observe(step, fingerprint, state, next, now);
    });
  }

  std::string Unfollow() {
    std::string why = Change(machine_.store().RemoveRun(run_),
                             [](JobModel& m) { m.Unfollow(); });
    const absl::Status put = PutRun();
    if (!put.ok() && (!IsFault(put) || !armed_)) return put.ToString();
    // A removed run is not found again: the next start needs it.
    if (!put.ok()) unfollowed_ = true;
    return why;
  }

  std::string Acquire() {
    const absl::Time now = machine_.store().Now();
    const auto leased = machine_.scheduler().Acquire("w");
    machine_.disk().FailNoMore();
    JobModel due = model_;
    due.QueueDue(now);
    if (!leased.ok()) return NoteFailedLease(leased.status(), due, now);
    for (auto& [id, job] : due.jobs) {
      if (!due.IsLeasable(job, now) || !job.IsUsedUp()) continue;
      // It dies when its turn comes, which is at the latest when no other
      // waits.
      const bool is_dead =
          machine_.store().GetJob(id).value().state == v1::JOB_STATE_DEAD;
      if (!is_dead && !leased->has_value()) {
        return absl::StrCat("job ", id, " is out of attempts and lives");
      }
      if (is_dead) job.state = v1::JOB_STATE_DEAD;
      if (is_dead) job.outcome = v1::OUTCOME_TRANSIENT;
    }
    if (!leased->has_value()) {
      for (const auto& [id, job] : due.jobs) {
        if (due.IsLeasable(job, now)) {
          return absl::StrCat("job ", id, " waits and is not given");
        }
      }
      model_ = std::move(due);
      return "";
    }
    const store::JobRecord& record = **leased;
    const int64_t id = record.job.id();
    if (!due.IsLeasable(due.jobs.at(id), now) || due.jobs.at(id).IsUsedUp()) {
      return absl::StrCat("job ", id, " is given and may not be");
    }
    due.Lease(id, now);
    if (record.token != due.jobs.at(id).token ||
        record.job.attempt() != due.jobs.at(id).attempt) {
      return absl::StrCat("job ", id, " has token ", record.token,
                          " and attempt ", record.job.attempt());
    }
    Take(std::move(due));
    held_.push_back({id, record.token, next_value_++});
    return "";
  }

  // Of a lease that a fault ended, each transaction was done or not.
  std::string NoteFailedLease(const absl::Status& status, const JobModel& due,
                              absl::Time now) {
    std::vector<JobModel> ghosts = {due};
    for (const auto& [id, job] : due.jobs) {
      if (!due.IsLeasable(job, now)) continue;
      JobModel& ghost = ghosts.emplace_back(due);
      if (job.IsUsedUp()) {
        ghost.jobs[id].state = v1::JOB_STATE_DEAD;
        ghost.jobs[id].outcome = v1::OUTCOME_TRANSIENT;
      } else {
        ghost.Lease(id, now);
      }
    }
    if (!machine_.disk().was_killed()) AdoptWhatWasDone(ghosts, now);
    return NoteFault(status, std::move(ghosts));
  }
  // The first transactions of a lease may have been done before the fault.
  void AdoptWhatWasDone(const std::vector<JobModel>& ghosts, absl::Time) {
    for (const JobModel& ghost : ghosts) {
      const bool is_lease = std::any_of(
          ghost.jobs.begin(), ghost.jobs.end(), [&](const auto& entry) {
            return entry.second.token != model_.jobs.at(entry.first).token;
          });
      if (!is_lease && CompareWith(ghost).empty()) model_ = ghost;
    }
  }

  std::string Renew(const Held& held, int b) {
    if (b % 2 == 0) ++ticks_;
    const auto until =
        machine_.store().Renew(held.job, held.token, .5, ticks_, Limits());
    return Change(until.status(), [&](JobModel& model) {
      return model.Renew(held.job, held.token, ticks_, machine_.store().Now());
    });
  }

  std::string Fail(const Held& held, int b) {
    constexpr v1::Outcome kOutcomes[] = {
        v1::OUTCOME_TRANSIENT,  v1::OUTCOME_TRANSIENT,  v1::OUTCOME_INCOMPLETE,
        v1::OUTCOME_CORRUPT,    v1::OUTCOME_VANISHED,   v1::OUTCOME_RELEASED,
        v1::OUTCOME_INCOMPLETE, v1::OUTCOME_UNSUPPORTED};
    const v1::Outcome outcome = kOutcomes[b % 8];
    const absl::Time now = machine_.store().Now();
    const auto state =
        machine_.scheduler().Fail(held.job, held.token, outcome, "why");
    machine_.disk().FailNoMore();
    std::string why = Change(state.status(), [&](JobModel& model) {
      return model.Fail(held.job, held.token, outcome, now);
    });
    if (!why.empty() || !state.ok()) return why;
    ModelJob& job = model_.jobs.at(held.job);
    if (*state != job.state) {
      return absl::StrCat("the failed job is ", v1::JobState_Name(*state));
    }
    // The wait is drawn: any that is not longer than the longest.
    if (job.state != v1::JOB_STATE_RETRYING) return "";
    const absl::Time not_before =
        machine_.store().GetJob(held.job).value().not_before;
    if (not_before < now || not_before > *job.not_before) {
      return absl::StrCat("waits until ", absl::FormatTime(not_before));
    }
    job.not_before = not_before;
    return "";
  }

  std::string Commit(const std::vector<Held>& results) {
    std::vector<store::Store::CommitRequest> requests;
    for (const Held& held : results) {
      v1::Job job;
      *job.mutable_checkpoint() = store::Seen(0).checkpoint;
      job.mutable_checkpoint()->set_run(run_);
      requests.push_back({held.job, held.token,
                          store::MeasurementOf(job, held.value, {1, 2, 1, 1})});
    }
    const auto answers = machine_.store().Commit(requests);
    JobModel after = model_;
    bool has_written = false;
    for (size_t i = 0; i < results.size(); ++i) {
      const Held& held = results[i];
      const auto expected = after.Commit(held.job, held.token, held.value);
      has_written |= expected == JobModel::Answer::kCommitted;
      if (IsFault(answers[i].status())) continue;
      const auto answer =
          absl::IsAborted(answers[i].status()) ? JobModel::Answer::kRefused
          : answers[i].ok() && *answers[i] == store::CommitResult::kCommitted
              ? JobModel::Answer::kCommitted
          : answers[i].ok() ? JobModel::Answer::kAlready
                            : JobModel::Answer::kRefused;
      if (answer != expected) {
        return absl::StrCat("the result of job ", held.job, " with token ",
                            held.token, ": ", answers[i].status().ToString());
      }
    }
    if (IsFault(answers[0].status())) {
      return NoteFault(answers[0].status(), {after});
    }
    if (has_written) Take(std::move(after));
    return "";
  }

  // Jobs as the model has them, and no other.
  std::string Compare() {
    if (unfollowed_) {
      const absl::Status put = PutRun();
      if (!put.ok()) return put.ToString();
      unfollowed_ = false;
    }
    return CompareWith(model_);
  }
  std::string CompareWith(const JobModel& model) {
    return WhyJobsDiffer(machine_.store(), run_, model);
  }
  std::string CompareValues() {
    return WhyValuesDiffer(machine_.store(), run_, model_);
  }

  Machine machine_;
  std::string run_ = "toy";
  int64_t first_id_ = 1;  // of a job of this history
  JobModel model_;
  std::vector<std::pair<std::string, JobModel>> ended_;  // by run
  // What the disk may hold of calls that failed, were the process to die now.
  std::vector<JobModel> ghosts_;
  std::vector<Held> held_;
  int versions_[kSteps] = {};
  int64_t ticks_ = 0;
  float next_value_ = 1;
  bool armed_ = false;  // a fault or a kill waits for the next operation
  bool power_goes_ = false;
  bool unfollowed_ = false;
};

}  // namespace

std::string WhyItDiffers(const std::vector<Operation>& history) {
  return WhyOneDiffers({history});
}

std::string WhyOneDiffers(
    const std::vector<std::vector<Operation>>& histories) {
  World world;
  for (size_t h = 0; h < histories.size(); ++h) {
    std::string why = h == 0 ? "" : world.BeginAnother();
    for (size_t i = 0; i < histories[h].size() && why.empty(); ++i) {
      why = world.Do(histories[h][i]);
      if (!why.empty()) why = absl::StrCat("operation ", i, ": ", why);
    }
    if (!why.empty()) return absl::StrCat("history ", h, ", ", why);
  }
  std::string why = world.End();
  return why.empty() ? "" : "at the end: " + why;
}

std::vector<Operation> Shrink(std::vector<Operation> history) {
  for (size_t i = history.size(); i-- > 0;) {
    std::vector<Operation> shorter = history;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    if (WhyItDiffers(shorter).empty()) continue;
    history = std::move(shorter);
    i = history.size();
  }
  return history;
}

}  // namespace sinkwatch::scheduler

#ifndef SINKWATCH_SERVER_SCHEDULER_JOB_MODEL_TESTING_H_
#define SINKWATCH_SERVER_SCHEDULER_JOB_MODEL_TESTING_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "sinkwatch/v1/checkpoint.pb.h"
#include "sinkwatch/v1/job.pb.h"

// What the README of the store says of jobs, leases and commits, in memory and
// in so few words that it is obviously right. Histories compare the real store
// with it (history_testing.h).
namespace sinkwatch::scheduler {

inline constexpr int kModelAttempts = 2;
inline constexpr absl::Duration kModelTtl = absl::Seconds(60);
inline constexpr absl::Duration kModelStall = absl::Minutes(10);

struct ModelJob {
  int64_t step = 0;
  std::string fingerprint;
  v1::JobState state = v1::JOB_STATE_QUEUED;
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  int attempt = 0;
  int64_t token = 0;
  absl::Time lease_until, renewed;
  int64_t ticks = 0;
  absl::Time ticked;
  std::optional<absl::Time> not_before;  // none: waits for a change
  absl::Time failed;

  bool IsOpen() const;
  bool Holds(int64_t with) const {
    return state == v1::JOB_STATE_LEASED && token == with;
  }
  bool IsUsedUp() const { return attempt >= kModelAttempts; }
  bool operator==(const ModelJob& other) const;
};

// One run. Times are the service's.
class JobModel {
 public:
  // What a look tells of a step: WAITING, QUEUED, SKIPPED, VANISHED. A new job
  // has the id `next_id`.
  void Observe(int64_t step, const std::string& fingerprint, v1::JobState state,
               int64_t next_id, absl::Time now);
  void Unfollow();
  void Requeue(bool include_vanished);

  // The first part of a lease: retries whose wait is over are queued again.
  void QueueDue(absl::Time now);
  bool IsLeasable(const ModelJob& job, absl::Time now) const;
  void Lease(int64_t id, absl::Time now);

  // Whether it is taken; nothing changes if not.
  bool Renew(int64_t id, int64_t token, int64_t ticks, absl::Time now);
  bool Fail(int64_t id, int64_t token, v1::Outcome outcome, absl::Time now);
  bool Release(int64_t id, int64_t token);
  enum class Answer { kRefused, kCommitted, kAlready };
  Answer Commit(int64_t id, int64_t token, float value);

  // The process starts again at `now`.
  void Restart(absl::Time now);

  // The longest wait after a failure.
  static absl::Duration LongestWait(v1::Outcome outcome, int attempt);

  std::map<int64_t, ModelJob> jobs;
  std::map<int64_t, float> values;  // that are shown, by step

 private:
  void SupersedeOthers(int64_t step, const std::string& fingerprint);
};

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_JOB_MODEL_TESTING_H_

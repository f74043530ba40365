#include "server/scheduler/retries.h"

#include <algorithm>
#include <cmath>

namespace sinkwatch::scheduler {
namespace {

constexpr int kReleasedAttempt = 4;  // as long a wait as after that one

absl::Duration Bound(int attempt, const RetryLimits& limits) {
  const double doublings = std::clamp(attempt - 1, 0, 60);
  return std::min(limits.max_backoff,
                  limits.backoff * std::pow(2.0, doublings));
}

}  // namespace

store::FailDecision DecideFailure(v1::Outcome outcome, int attempt,
                                  const RetryLimits& limits, double jitter,
                                  absl::Time now) {
  store::FailDecision decision;
  switch (outcome) {
    case v1::OUTCOME_CORRUPT:
    case v1::OUTCOME_UNSUPPORTED:
      decision.state = v1::JOB_STATE_DEAD;
      return decision;
    case v1::OUTCOME_VANISHED:
      decision.state = v1::JOB_STATE_VANISHED;
      return decision;
    case v1::OUTCOME_INCOMPLETE:
      decision.state = v1::JOB_STATE_WAITING;
      if (attempt < limits.max_attempts) {
        decision.not_before = now + Bound(attempt, limits);
      }
      return decision;
    case v1::OUTCOME_RELEASED:
      decision.state = v1::JOB_STATE_RETRYING;
      decision.not_before = now + jitter * Bound(kReleasedAttempt, limits);
      decision.costs_attempt = false;
      return decision;
    default:
      break;
  }
  if (attempt >= limits.max_attempts) {
    decision.state = v1::JOB_STATE_DEAD;
    return decision;
  }
  decision.state = v1::JOB_STATE_RETRYING;
  decision.not_before = now + jitter * Bound(attempt, limits);
  return decision;
}

}  // namespace sinkwatch::scheduler

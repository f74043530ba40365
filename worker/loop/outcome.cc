#include "worker/loop/outcome.h"

namespace sinkwatch::worker {

v1::Outcome OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return v1::OUTCOME_INCOMPLETE;
    case absl::StatusCode::kDataLoss:
      return v1::OUTCOME_CORRUPT;
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInvalidArgument:
      return v1::OUTCOME_UNSUPPORTED;
    case absl::StatusCode::kNotFound:
      return v1::OUTCOME_VANISHED;
    default:
      return v1::OUTCOME_TRANSIENT;
  }
}

}  // namespace sinkwatch::worker

#include "worker/metrics/metric.h"

#include <algorithm>

namespace sinkwatch::metrics {

QueryRows QueryRowsOf(Rows rows, int64_t tokens, int64_t window) {
  // Row t sees key 0 iff 0 > t - window.
  const int64_t sees_sink = window > 0 ? std::min(tokens, window) : tokens;
  switch (rows) {
    case Rows::kFirst:
      return {0, std::min<int64_t>(tokens, 1)};
    case Rows::kAll:
      return {0, tokens};
    case Rows::kRest:
      return {1, tokens};
    case Rows::kSeesSink:
      return {1, sees_sink};
    case Rows::kPastSeesSink:
      return {2, sees_sink};
    case Rows::kWholeSequence:
      break;
  }
  return {0, 0};
}

bool IsSoftmax(const LayerBatch& batch) {
  return batch.attention.normalisation == kernels::Normalisation::kSoftmax;
}

bool LosesMass(const LayerBatch& batch) {
  return !IsSoftmax(batch) || batch.attention.learned_sinks_H.defined();
}

bool EveryRowSeesSink(const LayerBatch& batch) {
  const int64_t window = batch.attention.window;
  return window <= 0 || window >= batch.q_BHTE.size(2);
}

bool SeesPrevious(const LayerBatch& batch) {
  return batch.attention.window != 1;
}

}  // namespace sinkwatch::metrics

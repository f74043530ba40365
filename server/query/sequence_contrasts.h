#ifndef SINKWATCH_SERVER_QUERY_SEQUENCE_CONTRASTS_H_
#define SINKWATCH_SERVER_QUERY_SEQUENCE_CONTRASTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/query/run_series.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::query {

// A value of a metric at a step, on two of a run's domains (places in its
// list).
struct SequenceQuestion {
  int64_t step = 0;
  std::optional<int> layer;
  int index = 0;  // the head
  size_t high = 0;
  size_t low = 0;
};

// Tells what each sequence gave on either domain, question by question in any
// order; those whose measurement has no such values are passed over. Reads a
// layer at a time, some hundred steps at once.
absl::Status AskSequences(
    RunSeries& run, const v1::MetricDescriptor& metric,
    std::vector<SequenceQuestion> questions,
    const std::function<void(const SequenceQuestion& question,
                             const std::vector<float>& high,
                             const std::vector<float>& low)>& tell);

// How the intervals of an answer were told, `bootstrapped` of `all` of them
// from sequences.
std::string IntervalNote(int bootstrapped, int all);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_SEQUENCE_CONTRASTS_H_

#ifndef SINKWATCH_SERVER_QUERY_RUN_ONSETS_H_
#define SINKWATCH_SERVER_QUERY_RUN_ONSETS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/run_series.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// When a metric emerged in a run, on a domain: series by series, and in the one
// that stands for them.
struct RunOnset {
  const v1::MetricDescriptor* metric = nullptr;
  std::string domain;
  std::vector<v1::Emergence> each;  // with their keys; of what has values
  std::vector<size_t> emerged;      // columns of those that did
  int unmeasured = 0;               // columns without a value, not in `each`
  int reversed = 0;                 // of these, those that fell back
  // That of the median series of those that emerged; right-censored if none
  // did.
  v1::Emergence typical;
  // Of the median over them, step by step.
  std::optional<v1::Rise> rise;
};

// The emergence in the middle of those that emerged, by their intervals;
// right-censored if none did, at the last checkpoint of all; unmeasured if
// there are none.
v1::Emergence TypicalOf(const std::vector<v1::Emergence>& emergences);

// Of every metric that has a threshold, on every domain that has values of it;
// by the metrics' order.
absl::StatusOr<std::vector<RunOnset>> OnsetsOf(RunSeries& run);

// That of a metric on a domain; null if there is none.
const RunOnset* FindOnset(const std::vector<RunOnset>& onsets,
                          const v1::MetricDescriptor* metric,
                          const std::string& domain);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_RUN_ONSETS_H_

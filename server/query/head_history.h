#ifndef SINKWATCH_SERVER_QUERY_HEAD_HISTORY_H_
#define SINKWATCH_SERVER_QUERY_HEAD_HISTORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analytics/head_set.h"
#include "server/analytics/head_state.h"
#include "server/query/run_series.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::query {

// How the dormant heads of a domain at a step differ from those before.
struct DormantSetChange {
  int64_t step = 0;
  std::string domain;
  analytics::SetChange change;
};

// What became of the heads of a run over its steps.
struct HeadHistory {
  std::vector<v1::HeadStates> heads;         // by layer and head
  std::vector<v1::HeadStateChange> changes;  // by step, oldest first
  std::vector<DormantSetChange> sets;        // by step
  int64_t step = -1;                         // the newest that was looked at
  int behind = 0;      // heads that have no value there, but before
  int unmeasured = 0;  // heads that have no value at all; not in `heads`
  // The metrics that were read; null where the run has none.
  const v1::MetricDescriptor* dormancy = nullptr;
  const v1::MetricDescriptor* drain = nullptr;
  const v1::MetricDescriptor* write = nullptr;
};

// The rule that holds: what is asked for, else what the metrics' descriptors
// say, else the defaults.
analytics::HeadStateRule StateRuleOf(const RunSeries& run,
                                     const v1::StateRule& asked);
v1::StateRule ProtoOf(const analytics::HeadStateRule& rule);

// What the states are, in a sentence with the rule's numbers and the names of
// the metrics that there are; empty where none tells dormancy.
std::string StatesNote(const RunSeries& run,
                       const analytics::HeadStateRule& rule);

// The states of all heads on the domains of `run`, step by step in order,
// whenever each checkpoint was measured; up to `last_step` if there is one.
// FAILED_PRECONDITION if no metric tells dormancy.
absl::StatusOr<HeadHistory> FollowHeads(RunSeries& run,
                                        const analytics::HeadStateRule& rule,
                                        std::optional<int64_t> last_step);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_HEAD_HISTORY_H_

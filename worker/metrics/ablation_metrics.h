#ifndef SINKWATCH_WORKER_METRICS_ABLATION_METRICS_H_
#define SINKWATCH_WORKER_METRICS_ABLATION_METRICS_H_

#include <optional>
#include <string>
#include <vector>

#include "proto/base/ablation_policy.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// What a head does on a domain, by what was measured of it there
// (README.md: states).
enum class HeadState {
  kActive,     // few queries rest on key 0, and it writes
  kMixed,      // some do
  kDormant,    // nearly all do, and the value is drained
  kBroadcast,  // nearly all do, and the value is not drained
  kQuiet,      // few do, and it writes little all the same
};
inline constexpr HeadState kHeadStates[] = {
    HeadState::kActive, HeadState::kMixed, HeadState::kDormant,
    HeadState::kBroadcast, HeadState::kQuiet};

// "active", ...
const char* HeadStateName(HeadState state);

// What the state is told by; none: not measured.
struct HeadSigns {
  double dormant_query_frac = 0;
  std::optional<double> value_norm_ratio;
  std::optional<double> head_write_frac;
  // The largest of the same head over all domains.
  std::optional<double> most_head_write_frac;
};
HeadState StateOf(const HeadSigns& signs);

// The metrics that HeadSigns are of.
const std::vector<std::string>& HeadSignMetrics();

// Names of what the loss says when one head is changed, and when all heads of a
// layer are, or all those of a state.
std::string HeadAblationMetric(base::AblationMode mode);
std::string GroupAblationMetric(std::optional<HeadState> state,
                                base::AblationMode mode);

// Definitions of what a policy can give.
std::vector<Descriptor> AblationDescriptors(const base::AblationPolicy& policy);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_ABLATION_METRICS_H_

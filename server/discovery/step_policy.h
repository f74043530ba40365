#ifndef SINKWATCH_SERVER_DISCOVERY_STEP_POLICY_H_
#define SINKWATCH_SERVER_DISCOVERY_STEP_POLICY_H_

#include <cstdint>
#include <set>
#include <vector>

#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::scheduler {

// The steps out of `steps` (of one stage, in any order) that a run's policy
// wants measured:
//   all          every step
//   latest N     the N highest
//   listed       those that are listed
//   per_decade N step 0, the highest, and for each of N points a decade, spaced
//                evenly on a log scale, the nearest step at or above it
std::set<int64_t> WantedSteps(const v1::StepPolicy& policy,
                              const std::vector<int64_t>& steps);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_DISCOVERY_STEP_POLICY_H_

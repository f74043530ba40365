#include "server/discovery/step_policy.h"

#include <cmath>

namespace sinkwatch::scheduler {
namespace {

std::set<int64_t> Latest(const std::set<int64_t>& steps, size_t count) {
  std::set<int64_t> latest;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (latest.size() == count) break;
    latest.insert(*step);
  }
  return latest;
}

std::set<int64_t> LogSpaced(const std::set<int64_t>& steps, int per_decade) {
  std::set<int64_t> spaced;
  if (steps.empty()) return spaced;
  spaced.insert(*steps.begin());
  spaced.insert(*steps.rbegin());
  const double last = static_cast<double>(*steps.rbegin());
  for (int point = 0; std::pow(10.0, point / double(per_decade)) <= last;
       ++point) {
    const double target = std::pow(10.0, point / double(per_decade));
    // Large steps are no doubles: the last one may be below its own.
    const auto found = steps.lower_bound(std::llround(target));
    if (found != steps.end()) spaced.insert(*found);
  }
  return spaced;
}

}  // namespace

std::set<int64_t> WantedSteps(const v1::StepPolicy& policy,
                              const std::vector<int64_t>& steps) {
  const std::set<int64_t> known(steps.begin(), steps.end());
  switch (policy.policy_case()) {
    case v1::StepPolicy::kLatest:
      return Latest(known, static_cast<size_t>(policy.latest()));
    case v1::StepPolicy::kPerDecade:
      return LogSpaced(known, policy.per_decade());
    case v1::StepPolicy::kListed: {
      std::set<int64_t> listed;
      for (int64_t step : policy.listed().steps()) {
        if (known.count(step) != 0) listed.insert(step);
      }
      return listed;
    }
    default:
      return known;
  }
}

}  // namespace sinkwatch::scheduler

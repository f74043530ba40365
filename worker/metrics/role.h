#ifndef SINKWATCH_WORKER_METRICS_ROLE_H_
#define SINKWATCH_WORKER_METRICS_ROLE_H_

#include <optional>
#include <string>
#include <vector>

namespace sinkwatch::metrics {

// What a metric stands for where several are read together. The numbers are
// those of sinkwatch.v1.MetricRole, which says what each means.
enum class Role {
  kDormancy = 1,
  kSinkMass = 2,
  kSinkLogit = 3,
  kValueDrain = 4,
  kResidualPeak = 5,
  kResidualNorm = 6,
  kHeadWrite = 7,
  kSinkRate = 8,
  kLoss = 9,
  kMassive = 10,
};

// A role, who plays it, and the bounds that go with it beside the metric's
// threshold.
struct RoleSpec {
  Role role;
  std::string metric;
  std::optional<double> low = std::nullopt;
  std::optional<double> contrast = std::nullopt;
};

// Each role once.
const std::vector<RoleSpec>& Roles();

// The role of a metric; null if it plays none.
const RoleSpec* RoleOf(const std::string& metric);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_ROLE_H_

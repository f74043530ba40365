#include "worker/metrics/role.h"

namespace sinkwatch::metrics {

const std::vector<RoleSpec>& Roles() {
  static const auto& roles = *new std::vector<RoleSpec>{
      {Role::kDormancy, "dormant_query_frac", 0.1, 0.3},
      {Role::kSinkMass, "sink_attention"},
      {Role::kSinkLogit, "sink_delta_logit"},
      {Role::kValueDrain, "value_norm_ratio"},
      {Role::kResidualPeak, "residual_norm_ratio"},
      {Role::kResidualNorm, "residual_norm_sink"},
      {Role::kHeadWrite, "head_write_frac", 0.3},
      {Role::kSinkRate, "sink_rate_030"},
      {Role::kLoss, "probe_loss"},
      {Role::kMassive, "massive_ratio"}};
  return roles;
}

const RoleSpec* RoleOf(const std::string& metric) {
  for (const RoleSpec& spec : Roles()) {
    if (spec.metric == metric) return &spec;
  }
  return nullptr;
}

}  // namespace sinkwatch::metrics

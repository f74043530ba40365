#include "worker/metrics/headline.h"

#include <algorithm>

namespace sinkwatch::metrics {

const std::vector<std::string>& HeadlineMetrics() {
  static const auto& names = *new std::vector<std::string>{
      "sink_attention",      "dormant_query_frac", "value_norm_ratio",
      "residual_norm_ratio", "sink_rate_030",      "dormant_head_frac",
      "probe_loss"};
  return names;
}

bool IsHeadline(const std::string& name) {
  const std::vector<std::string>& names = HeadlineMetrics();
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace sinkwatch::metrics

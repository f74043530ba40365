// What an AblationRun has to tell: values, and what was left out.
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/executor/ablation_run.h"

namespace sinkwatch::executor {

using metrics::MetricVector;

namespace {

std::string Plural(int64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

// The vector of that domain, metric and layer, made at its first use with
// nothing measured.
using Vectors =
    std::map<std::tuple<std::string, std::string, int>, MetricVector>;

MetricVector& VectorAt(const std::string& domain, const std::string& metric,
                       int layer, size_t width, Vectors& vectors) {
  MetricVector& vector = vectors[{domain, metric, layer}];
  if (vector.values.empty()) {
    vector.domain = domain;
    vector.metric = metric;
    vector.layer = layer;
    vector.values.assign(width, std::numeric_limits<float>::quiet_NaN());
    vector.standard_error = vector.values;
  }
  return vector;
}

}  // namespace

std::vector<MetricVector> AblationRun::Finish() const {
  Vectors vectors;
  for (const Variant& variant : variants_) {
    if (variant.dropped) continue;
    const std::optional<int> head = variant.set.head;
    const std::string metric =
        head ? metrics::HeadAblationMetric(variant.mode)
             : metrics::GroupAblationMetric(variant.set.state, variant.mode);
    for (size_t d = 0; d < domains_.size(); ++d) {
      for (int64_t g = 0; g < variant.difference[d].groups(); ++g) {
        const auto estimate = variant.difference[d].Finish(g);
        // A loss that is no number makes a value that was not measured.
        if (!estimate || !std::isfinite(estimate->value)) continue;
        MetricVector& vector =
            VectorAt(domains_[d].Group(g), metric, variant.layer,
                     head ? architecture_.shape().heads : 1, vectors);
        vector.values[head.value_or(0)] = static_cast<float>(estimate->value);
        vector.standard_error[head.value_or(0)] =
            static_cast<float>(estimate->standard_error);
        vector.count = variant.difference[d].count(g);
      }
    }
  }
  std::vector<MetricVector> all;
  for (auto& [key, vector] : vectors) all.push_back(std::move(vector));
  return all;
}

std::vector<std::string> AblationRun::Notes() const {
  int64_t sets = 0;
  for (const Variant& variant : variants_) {
    sets += !variant.dropped && variant.mode == modes_.front();
  }
  std::string note =
      absl::StrCat("ablation: ", Plural(sets, "set"), " of heads in ",
                   Plural(static_cast<int64_t>(modes_.size()), "mode"), ", on ",
                   picked_, " of ", sequences_, " sequences");
  if (passes_ > 1) absl::StrAppend(&note, ", in ", passes_, " passes");
  std::vector<std::string> notes = {note};
  const auto left_out = [&](int64_t count, const std::string& why) {
    if (count == 0) return;
    notes.push_back(absl::StrCat("ablation: ", count, " left out: ", why));
  };
  left_out(left_out_by_budget_,
           absl::StrCat("the budget of ", options_.policy.budget.value_or(0),
                        " of the measurement's work is used up"));
  left_out(left_out_by_time_,
           absl::StrCat("the budget of ", options_.policy.budget.value_or(0),
                        " of the measurement's time is used up"));
  left_out(left_out_by_memory_, "no memory for their streams");
  return notes;
}

}  // namespace sinkwatch::executor

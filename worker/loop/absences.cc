#include "worker/loop/absences.h"

namespace sinkwatch::worker {
namespace {

constexpr int32_t kNoLayer = -2;  // model scope; -1 is the embedding

bool IsClass(const std::string& domain) {
  return domain.find('/') != std::string::npos;
}

}  // namespace

void Absences::Start(const MeasureFacts& facts) {
  metrics_ = facts.metrics;
  layers_ = facts.model.layers;
}

void Absences::Note(const std::vector<metrics::MetricVector>& values) {
  for (const metrics::MetricVector& vector : values) {
    domains_.insert(vector.domain);
    metrics_that_came_.insert(vector.metric);
    came_[{vector.metric, vector.domain}].insert(
        vector.layer.value_or(kNoLayer));
  }
}

std::set<int32_t> Absences::LackOf(const metrics::Descriptor& metric,
                                   const std::string& domain) const {
  std::set<int32_t> lack;
  if (metric.scope == metrics::Scope::kModel) {
    lack.insert(kNoLayer);
  } else {
    for (int32_t layer = 0; layer < layers_; ++layer) lack.insert(layer);
  }
  const auto came = came_.find({metric.name, domain});
  if (came == came_.end()) return lack;
  for (int32_t layer : came->second) lack.erase(layer);
  return lack;
}

std::string Absences::ReasonFor(const metrics::Descriptor& metric,
                                const std::string& domain) const {
  if (metrics_that_came_.count(metric.name) == 0) {
    return "has no meaning for this model and probe";
  }
  if (IsClass(domain) && came_.count({metric.name, domain}) == 0) {
    return "is not given for classes of rows";
  }
  return "has no meaning for these layers, or too few rows";
}

std::vector<v1::AbsentValues> Absences::List() const {
  std::vector<v1::AbsentValues> list;
  for (const metrics::Descriptor& metric : metrics_) {
    for (const std::string& domain : domains_) {
      const std::set<int32_t> lack = LackOf(metric, domain);
      if (lack.empty()) continue;
      v1::AbsentValues& absent = list.emplace_back();
      absent.set_metric(metric.name);
      absent.set_domain(domain);
      absent.set_reason(ReasonFor(metric, domain));
      const bool all = came_.count({metric.name, domain}) == 0;
      if (!all) *absent.mutable_layers() = {lack.begin(), lack.end()};
    }
  }
  return list;
}

}  // namespace sinkwatch::worker

#include "server/exporter/head_counts.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "server/analytics/head_state.h"

namespace sinkwatch::exporter {
namespace {

using analytics::HeadSignals;
using Head = std::pair<int, int>;  // layer, head

const v1::MetricDescriptor* Playing(const v1::Measurement& m,
                                    v1::MetricRole role) {
  for (const v1::MetricDescriptor& metric : m.header().metrics()) {
    if (metric.role() == role && metric.scope() == v1::SCOPE_HEAD) {
      return &metric;
    }
  }
  return nullptr;
}

analytics::HeadStateRule RuleOf(const v1::MetricDescriptor& dormancy,
                                const v1::MetricDescriptor* drain,
                                const v1::MetricDescriptor* write) {
  analytics::HeadStateRule rule;
  if (dormancy.has_threshold()) rule.dormant = dormancy.threshold();
  if (dormancy.has_low()) rule.active = dormancy.low();
  if (dormancy.has_contrast()) rule.contrast = dormancy.contrast();
  if (drain != nullptr && drain->has_threshold()) {
    rule.drained = drain->threshold();
  }
  if (write != nullptr && write->has_low()) rule.quiet = write->low();
  return rule;
}

std::string LabelOf(const std::string& domain) {
  return domain.substr(0, domain.find('/'));
}

using ByDomain = std::map<std::string, std::map<Head, HeadSignals>>;

// Calls set(signals, value, error) for each value of a metric.
template <typename Set>
void Fill(const v1::Measurement& m, const v1::MetricDescriptor* metric,
          ByDomain& heads, const Set& set) {
  if (metric == nullptr) return;
  for (const v1::MetricVector& vector : m.vectors()) {
    if (vector.metric() != metric->name()) continue;
    for (int h = 0; h < vector.values_size(); ++h) {
      const double error =
          h < vector.standard_errors_size() ? vector.standard_errors(h) : NAN;
      set(heads[vector.domain()][{vector.layer(), h}], vector.values(h), error);
    }
  }
}

// What is no mean over query rows is that of the label.
void FillFromLabels(ByDomain& heads) {
  for (auto& [domain, signals] : heads) {
    const auto label = heads.find(LabelOf(domain));
    if (label == heads.end() || label->first == domain) continue;
    for (auto& [head, own] : signals) {
      const auto of_label = label->second.find(head);
      if (of_label == label->second.end()) continue;
      if (std::isnan(own.drain)) own.drain = of_label->second.drain;
    }
  }
}

// Domains between which heads switch.
std::vector<std::string> Compared(const ByDomain& heads) {
  std::vector<std::string> labels, classes;
  for (const auto& [domain, signals] : heads) {
    (domain == LabelOf(domain) ? labels : classes).push_back(domain);
  }
  return labels.size() == 1 && classes.size() > 1 ? classes : labels;
}

std::vector<HeadSignals> OfDomains(const ByDomain& heads, const Head& head,
                                   const std::vector<std::string>& domains) {
  std::vector<HeadSignals> signals;
  for (const std::string& domain : domains) {
    const auto& of_domain = heads.at(domain);
    const auto found = of_domain.find(head);
    signals.push_back(found == of_domain.end() ? HeadSignals() : found->second);
  }
  return signals;
}

}  // namespace

HeadCounts CountHeads(const v1::Measurement& m) {
  HeadCounts counts;
  const auto* dormancy = Playing(m, v1::METRIC_ROLE_DORMANCY);
  const auto* drain = Playing(m, v1::METRIC_ROLE_VALUE_DRAIN);
  const auto* write = Playing(m, v1::METRIC_ROLE_HEAD_WRITE);
  if (dormancy == nullptr) return counts;
  ByDomain heads;
  Fill(m, dormancy, heads, [](HeadSignals& s, double value, double error) {
    s.dormancy = value;
    s.dormancy_error = error;
  });
  Fill(m, drain, heads,
       [](HeadSignals& s, double value, double) { s.drain = value; });
  Fill(m, write, heads,
       [](HeadSignals& s, double value, double) { s.write = value; });
  FillFromLabels(heads);
  const analytics::HeadStateRule rule = RuleOf(*dormancy, drain, write);
  const std::vector<std::string> compared = Compared(heads);
  if (compared.empty()) return counts;
  for (const auto& [domain, signals] : heads) {
    for (const auto& [head, own] : signals) {
      const double largest =
          analytics::LargestWrite(OfDomains(heads, head, compared));
      const v1::HeadState state = analytics::StateOf(own, largest, rule);
      if (state != v1::HEAD_STATE_UNSPECIFIED) ++counts.states[domain][state];
    }
  }
  for (const auto& [head, own] : heads.at(compared[0])) {
    const v1::HeadType type =
        analytics::TypeOf(OfDomains(heads, head, compared), rule);
    if (compared.size() < 2 || type == v1::HEAD_TYPE_UNSPECIFIED) continue;
    counts.switching =
        counts.switching.value_or(0) + (type == v1::HEAD_TYPE_SWITCHING);
  }
  return counts;
}

}  // namespace sinkwatch::exporter

#include "server/exporter/shown_metrics.h"

#include <algorithm>
#include <set>

namespace sinkwatch::exporter {
namespace {

Descriptors Headlines(const Descriptors& all) {
  Descriptors headlines;
  std::copy_if(all.begin(), all.end(),
               google::protobuf::RepeatedFieldBackInserter(&headlines),
               [](const v1::MetricDescriptor& m) { return m.headline(); });
  return headlines.empty() ? all : headlines;
}

}  // namespace

Descriptors ShownMetrics(const Descriptors& all,
                         const std::vector<std::string>& configured) {
  if (configured.empty()) return Headlines(all);
  Descriptors shown;
  std::set<std::string> named(configured.begin(), configured.end());
  for (const std::string& name : configured) {
    for (const v1::MetricDescriptor& metric : all) {
      const bool wanted =
          name == "*" ? named.count(metric.name()) == 0 : metric.name() == name;
      if (wanted) *shown.Add() = metric;
    }
  }
  return shown;
}

}  // namespace sinkwatch::exporter

#include "server/exporter/now_plane.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/exporter/family_name.h"
#include "server/exporter/page_plan.h"
#include "server/exporter/run_facts.h"
#include "server/exporter/sample_family.h"
#include "server/exporter/text_format.h"
#include "server/names.h"

namespace sinkwatch::exporter {
namespace {

using v1::MetricDescriptor;
using v1::MetricVector;

// One measurement while its series are chosen.
struct Source {
  std::string run;
  Labels labels;  // run and stage
  std::map<std::string, std::pair<int, const MetricDescriptor*>> metrics;
  // Vectors of (metric, domain), over layers.
  std::map<std::pair<std::string, std::string>,
           std::vector<const MetricVector*>>
      whole_run;
};

int64_t CountFinite(const MetricVector& vector) {
  return std::count_if(vector.values().begin(), vector.values().end(),
                       [](float value) { return std::isfinite(value); });
}

class Plane {
 public:
  Plane(const NowInput& input, const NowOptions& options)
      : input_(input), options_(options), plan_(input.runs, options) {}

  NowPage Render() {
    if (options_.facts) AddFactsOfRuns(input_, plan_);
    for (const auto& measurement : input_.latest) {
      const auto& checkpoint = measurement->header().checkpoint();
      if (plan_.Has(checkpoint.run())) AddMeasurement(*measurement);
    }
    return std::move(plan_).Render();
  }

 private:
  void AddMeasurement(const v1::Measurement& m) {
    const v1::Checkpoint& checkpoint = m.header().checkpoint();
    Source& source = sources_.emplace_back();
    source.run = checkpoint.run();
    source.labels = {{"run", checkpoint.run()}};
    if (!checkpoint.stage().empty()) {
      if (!IsLabelValue(checkpoint.stage())) {
        plan_.Drop("invalid_label", m.vectors_size());
        return;
      }
      source.labels.emplace_back("stage", checkpoint.stage());
    }
    int order = 0;
    for (const MetricDescriptor& metric : m.header().metrics()) {
      source.metrics[metric.name()] = {order++, &metric};
    }
    if (options_.facts) AddFactsOfMeasurement(m, source.labels, plan_);
    for (const MetricVector& vector : m.vectors()) AddVector(vector, &source);
    if (options_.runs) AddWholeRun(source);
  }

  void AddVector(const MetricVector& vector, Source* source) {
    const auto found = source->metrics.find(vector.metric());
    if (found == source->metrics.end() ||
        !server::IsMetricName(vector.metric())) {
      plan_.Drop("invalid_name", vector.values_size());
      return;
    }
    if (!IsLabelValue(vector.domain())) {
      plan_.Drop("invalid_label", vector.values_size());
      return;
    }
    const int64_t finite = CountFinite(vector);
    plan_.Drop("not_finite", vector.values_size() - finite);
    if (finite == 0) return;
    const auto& [order, metric] = found->second;
    if (metric->scope() == v1::SCOPE_MODEL) {
      if (options_.layers || options_.runs) {
        AddValue(*metric, order, GroupKind::kModelValues, vector, *source);
      }
      return;
    }
    if (options_.runs) {
      source->whole_run[{vector.metric(), vector.domain()}].push_back(&vector);
    }
    const bool per_head = metric->scope() != v1::SCOPE_LAYER;
    if (options_.layers && per_head) {
      AddDistribution(*metric, order, LabelsOf(vector, *source), {&vector},
                      "over the heads of a layer", source->run);
    } else if (options_.layers) {
      AddValue(*metric, order, GroupKind::kLayerValues, vector, *source);
    }
    if (options_.heads && per_head) {
      AddHeads(*metric, order, vector, finite, *source);
    }
  }

  void AddWholeRun(const Source& source) {
    for (const auto& [key, vectors] : source.whole_run) {
      const auto& [order, metric] = source.metrics.at(key.first);
      const bool layer = metric->scope() == v1::SCOPE_LAYER;
      AddDistribution(*metric, order, With(source.labels, "domain", key.second),
                      vectors, layer ? "over layers" : "over all heads",
                      source.run);
    }
  }

  void AddValue(const MetricDescriptor& metric, int order, GroupKind kind,
                const MetricVector& vector, const Source& source) {
    Group group;
    group.kind = kind;
    group.metric_order = order;
    group.series = 1;
    group.labels = LabelsOf(vector, source);
    group.vectors = {&vector};
    plan_.AddGroup(source.run, metric, FamilyName(metric), HelpOf(metric, ""),
                   FamilyType::kGauge, std::move(group));
  }

  void AddDistribution(const MetricDescriptor& metric, int order,
                       const Labels& labels,
                       const std::vector<const MetricVector*>& vectors,
                       const std::string& over, const std::string& run) {
    Group group;
    group.kind = GroupKind::kQuantiles;
    group.metric_order = order;
    group.series = std::size(kShownQuantiles);
    group.labels = labels;
    group.vectors = vectors;
    Group histogram = group;
    plan_.AddGroup(run, metric, FamilyName(metric),
                   HelpOf(metric, absl::StrCat(" (quantiles ", over, ")")),
                   FamilyType::kSummary, std::move(group));
    if (!options_.histograms) return;
    histogram.kind = GroupKind::kHistograms;
    histogram.series = 1;
    plan_.AddGroup(
        run, metric, HistogramFamilyName(metric),
        HelpOf(metric, absl::StrCat(" (native histogram ", over, ")")),
        FamilyType::kNativeHistogram, std::move(histogram));
  }

  void AddHeads(const MetricDescriptor& metric, int order,
                const MetricVector& vector, int64_t finite,
                const Source& source) {
    Group group;
    group.kind = GroupKind::kHeadValues;
    group.metric_order = order;
    group.series = finite;
    group.labels = LabelsOf(vector, source);
    group.vectors = {&vector};
    group.head_label = metric.scope() == v1::SCOPE_KV_HEAD ? "kv_head" : "head";
    plan_.AddGroup(source.run, metric, HeadFamilyName(metric),
                   HelpOf(metric, " (each head)"), FamilyType::kGauge,
                   std::move(group));
  }

  static Labels LabelsOf(const MetricVector& vector, const Source& source) {
    Labels labels = With(source.labels, "domain", vector.domain());
    if (vector.has_layer()) {
      labels.emplace_back("layer", absl::StrCat(vector.layer()));
    }
    return labels;
  }

  const NowInput& input_;
  const NowOptions& options_;
  std::deque<Source> sources_;
  PagePlan plan_;
};

}  // namespace

NowPage RenderNow(const NowInput& input, const NowOptions& options) {
  return Plane(input, options).Render();
}

}  // namespace sinkwatch::exporter

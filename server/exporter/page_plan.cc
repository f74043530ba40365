#include "server/exporter/page_plan.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/analytics/head_aggregation.h"
#include "server/exporter/protobuf_format.h"
#include "server/exporter/text_format.h"
#include "server/names.h"

namespace sinkwatch::exporter {
namespace {

using v1::MetricVector;

// Max-min fair: nobody gets less than an equal share unless it wants less.
std::map<std::string, int64_t> ShareOut(
    const std::map<std::string, int64_t>& wanted, int64_t capacity) {
  std::vector<std::pair<int64_t, std::string>> by_want;
  for (const auto& [run, want] : wanted) by_want.emplace_back(want, run);
  std::sort(by_want.begin(), by_want.end());
  std::map<std::string, int64_t> share;
  int64_t left = static_cast<int64_t>(by_want.size());
  for (const auto& [want, run] : by_want) {
    share[run] = std::min(want, std::max<int64_t>(0, capacity) / left--);
    capacity -= share[run];
  }
  return share;
}

std::vector<float> FiniteOf(const std::vector<const MetricVector*>& vectors) {
  std::vector<float> finite;
  for (const MetricVector* vector : vectors) {
    std::copy_if(vector->values().begin(), vector->values().end(),
                 std::back_inserter(finite),
                 [](float value) { return std::isfinite(value); });
  }
  return finite;
}

void RenderQuantiles(const Group& group, SampleFamily* family) {
  std::vector<float> values = FiniteOf(group.vectors);
  std::sort(values.begin(), values.end());
  for (const auto& [text, q] : kShownQuantiles) {
    family->samples.push_back(
        {With(group.labels, "quantile", text),
         static_cast<float>(analytics::Quantile(values, q)), true});
  }
}

void RenderHeads(const Group& group, SampleFamily* family) {
  const MetricVector& vector = *group.vectors[0];
  for (int h = 0; h < vector.values_size(); ++h) {
    if (!std::isfinite(vector.values(h))) continue;
    family->samples.push_back(
        {With(group.labels, group.head_label, absl::StrCat(h)),
         vector.values(h), true});
  }
}

void RenderGroup(const Group& group, SampleFamily* family) {
  switch (group.kind) {
    case GroupKind::kFacts:
      family->samples.insert(family->samples.end(), group.facts.begin(),
                             group.facts.end());
      return;
    case GroupKind::kQuantiles:
      return RenderQuantiles(group, family);
    case GroupKind::kHistograms:
      family->histograms.emplace_back(
          group.labels, MakeNativeHistogram(FiniteOf(group.vectors)));
      return;
    case GroupKind::kHeadValues:
      return RenderHeads(group, family);
    default:
      family->samples.push_back(
          {group.labels, group.vectors[0]->values(0), true});
  }
}

}  // namespace

Labels With(Labels labels, const char* name, std::string value) {
  labels.emplace_back(name, std::move(value));
  return labels;
}

PagePlan::PagePlan(const std::vector<std::string>& runs,
                   const NowOptions& options)
    : options_(options) {
  for (const std::string& run : runs) {
    if (server::IsRunName(run)) {
      groups_[run];
    } else {
      Drop("invalid_name", 1);
    }
  }
}

std::vector<std::string> PagePlan::Runs() const {
  std::vector<std::string> runs;
  for (const auto& [run, groups] : groups_) runs.push_back(run);
  return runs;
}

void PagePlan::AddFact(const std::string& run, const std::string& name,
                       const std::string& help, const Labels& labels,
                       double value) {
  AddFacts(run, name, help, {{labels, value, false}});
}

void PagePlan::AddFacts(const std::string& run, const std::string& name,
                        const std::string& help, std::vector<Sample> samples) {
  Family& family =
      families_.emplace(name, Family{help, FamilyType::kGauge, "fact", {}})
          .first->second;
  Group group;
  group.series = static_cast<int64_t>(samples.size());
  group.facts = std::move(samples);
  groups_.at(run).push_back({std::move(group), &family});
}

void PagePlan::AddGroup(const std::string& run,
                        const v1::MetricDescriptor& metric,
                        const std::string& name, const std::string& help,
                        FamilyType type, Group group) {
  const std::string meaning = absl::StrCat(
      metric.name(), "/", v1::Scope_Name(metric.scope()), "/", metric.unit());
  if (options_.taken_names.count(name) == 0) {
    Family& family =
        families_.emplace(name, Family{help, type, meaning, {}}).first->second;
    if (family.meaning == meaning) {
      groups_.at(run).push_back({std::move(group), &family});
      return;
    }
  }
  Drop("conflict", group.series);
}

void PagePlan::Drop(const char* reason, int64_t series) {
  page_.dropped[reason] += series;
}

GroupKind PagePlan::Placed::Priority() const {
  return group.kind == GroupKind::kHistograms ? GroupKind::kQuantiles
                                              : group.kind;
}

bool PagePlan::Placed::operator<(const Placed& other) const {
  return std::make_pair(Priority(), group.metric_order) <
         std::make_pair(other.Priority(), other.group.metric_order);
}

void PagePlan::Select() {
  std::map<std::string, int64_t> wanted;
  for (auto& [run, groups] : groups_) {
    std::stable_sort(groups.begin(), groups.end());
    for (const Placed& placed : groups) wanted[run] += placed.group.series;
  }
  const auto share = ShareOut(wanted, options_.max_series);
  for (auto& [run, groups] : groups_) {
    int64_t left = groups.empty() ? 0 : share.at(run);
    for (const Placed& placed : groups) {
      const int64_t series = placed.group.series;
      if (series > left) {
        left = 0;
        Drop("cap", series);
        continue;
      }
      left -= series;
      page_.series += series;
      placed.family->shown.push_back(&placed.group);
    }
  }
}

void PagePlan::AppendRendered(const std::string& name, const Family& family) {
  SampleFamily rendered;
  rendered.name = name;
  rendered.help = family.help;
  rendered.type = family.type;
  for (const Group* group : family.shown) RenderGroup(*group, &rendered);
  if (options_.format == PageFormat::kText) {
    AppendTextFamily(rendered, &page_.text);
  } else {
    AppendFamily(rendered, &page_.text);
  }
}

NowPage PagePlan::Render() && {
  Select();
  for (const auto& [name, family] : families_) {
    if (!family.shown.empty()) AppendRendered(name, family);
  }
  return std::move(page_);
}

}  // namespace sinkwatch::exporter

#include "server/exporter/now_plane.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"
#include "server/analytics/head_aggregation.h"
#include "server/exporter/text_format.h"
#include "server/names.h"

namespace sinkwatch::exporter {
namespace {

// Within a run, what is kept first when the cap bites.
enum Priority { kFacts, kModelValues, kLayerValues, kQuantiles, kHeadValues };

// Series that are shown or left out together.
struct Group {
  int priority = kFacts;
  int metric_order = 0;
  std::string family;
  std::string lines;
  int64_t series = 0;

  bool operator<(const Group& other) const {
    return std::tie(priority, metric_order) <
           std::tie(other.priority, other.metric_order);
  }
};

struct Family {
  std::string help;
  std::string type;
  std::string meaning;  // what must agree for two runs to share the family
  std::string body;
};

// The metric's name with its unit behind, as Prometheus names are; a count has
// no unit.
std::string WithUnit(const v1::MetricDescriptor& metric) {
  const std::string& unit = metric.unit();
  const bool in_name = absl::StrContains(absl::StrCat("_", metric.name(), "_"),
                                         absl::StrCat("_", unit, "_"));
  if (!server::IsMetricName(unit) || unit == "count" || in_name)
    return metric.name();
  return absl::StrCat(metric.name(), "_", unit);
}

std::string FamilyName(const v1::MetricDescriptor& metric) {
  const std::string name = WithUnit(metric);
  for (const char* reserved :
       {"_count", "_sum", "_bucket", "_total", "_info", "_created"}) {
    if (absl::EndsWith(name, reserved)) {
      return absl::StrCat("sinkwatch_", name, "_value");
    }
  }
  return absl::StrCat("sinkwatch_", name);
}

std::string HelpOf(const v1::MetricDescriptor& metric,
                   absl::string_view shown_as) {
  std::string help(absl::StripSuffix(metric.meaning(), "."));
  if (help.empty()) help = metric.name();
  if (!metric.unit().empty()) absl::StrAppend(&help, " [", metric.unit(), "]");
  absl::StrAppend(&help, shown_as, ".");
  return help;
}

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

class Plane {
 public:
  Plane(const NowInput& input, const NowOptions& options)
      : input_(input), options_(options) {
    for (const std::string& run : input.runs) {
      if (server::IsRunName(run)) {
        groups_[run];
      } else {
        ++page_.dropped["invalid_name"];
      }
    }
  }

  NowPage Render() {
    if (options_.facts) {
      AddJobs();
      AddDiscovery();
    }
    for (const v1::Measurement& m : input_.latest) {
      if (groups_.count(m.header().checkpoint().run()) == 0) continue;
      AddMeasurement(m);
    }
    Select();
    for (const auto& [name, family] : families_) {
      if (family.body.empty()) continue;
      AppendFamilyHeader(name, family.help, family.type, &page_.text);
      page_.text += family.body;
    }
    return std::move(page_);
  }

 private:
  // One measurement while its vectors are added.
  struct Source {
    std::string run;
    std::string labels;  // run and stage
    std::map<std::string, std::pair<int, const v1::MetricDescriptor*>> metrics;
    // All finite values of (metric, domain) over layers and heads.
    std::map<std::pair<std::string, std::string>, std::vector<float>> whole_run;
  };

  void AddJobs() {
    std::map<std::string, std::map<int, int64_t>> by_run;
    for (const auto& [run, groups] : groups_) {
      for (int s = v1::JobState_MIN + 1; s <= v1::JobState_MAX; ++s) {
        by_run[run][s] = 0;
      }
    }
    for (const auto& job : input_.jobs) {
      auto it = by_run.find(job.run);
      if (it != by_run.end()) it->second[job.state] = job.count;
    }
    for (const auto& [run, states] : by_run) {
      Group group = Fact("sinkwatch_checkpoints", "Checkpoints by state.");
      for (const auto& [state, count] : states) {
        std::string labels;
        AppendLabel("run", run, &labels);
        AppendLabel("state",
                    server::StateName(static_cast<v1::JobState>(state)),
                    &labels);
        AddLine(labels, static_cast<double>(count), &group);
      }
      Put(run, std::move(group));
    }
  }

  void AddDiscovery() {
    for (const auto& [run, discovery] : input_.discovery) {
      if (groups_.count(run) == 0) continue;
      if (discovery.last_success == absl::InfinitePast()) continue;
      std::string labels;
      AppendLabel("run", run, &labels);
      AddFact(
          run, "sinkwatch_last_discovery_success_timestamp_seconds",
          "When the run's root was last read with success.", labels,
          absl::ToDoubleSeconds(discovery.last_success - absl::UnixEpoch()));
    }
  }

  void AddMeasurement(const v1::Measurement& m) {
    const v1::Checkpoint& checkpoint = m.header().checkpoint();
    Source source;
    source.run = checkpoint.run();
    AppendLabel("run", checkpoint.run(), &source.labels);
    if (!checkpoint.stage().empty()) {
      if (!IsLabelValue(checkpoint.stage())) {
        page_.dropped["invalid_label"] += m.vectors_size();
        return;
      }
      AppendLabel("stage", checkpoint.stage(), &source.labels);
    }
    int order = 0;
    for (const v1::MetricDescriptor& metric : m.header().metrics()) {
      source.metrics[metric.name()] = {order++, &metric};
    }
    if (options_.facts) AddRunFacts(m, source);
    for (const v1::MetricVector& vector : m.vectors()) {
      AddVector(vector, &source);
    }
    if (options_.runs) AddWholeRun(source);
  }

  void AddRunFacts(const v1::Measurement& m, const Source& source) {
    const v1::Checkpoint& checkpoint = m.header().checkpoint();
    AddFact(source.run, "sinkwatch_latest_step",
            "Step of the latest plausible measurement.", source.labels,
            static_cast<double>(checkpoint.step()));
    if (checkpoint.tokens() > 0) {
      AddFact(source.run, "sinkwatch_latest_tokens",
              "Training tokens seen at the latest plausible measurement.",
              source.labels, static_cast<double>(checkpoint.tokens()));
    }
    if (m.has_committed()) {
      using google::protobuf::util::TimeUtil;
      AddFact(source.run, "sinkwatch_last_result_timestamp_seconds",
              "When the latest plausible measurement was committed.",
              source.labels,
              static_cast<double>(
                  TimeUtil::TimestampToMilliseconds(m.committed())) /
                  1e3);
    }
    AddFact(source.run, "sinkwatch_run_info",
            "What the latest plausible measurement was made of; always 1.",
            InfoLabels(m.header(), source.labels), 1);
  }

  static std::string InfoLabels(const v1::MeasurementHeader& header,
                                std::string labels) {
    const std::pair<const char*, std::string> facts[] = {
        {"architecture", header.model().architecture()},
        {"dtype", header.dtype()},
        {"probe", header.probe().name()},
        {"bos_policy", header.bos_policy()},
        {"sequence_length", absl::StrCat(header.sequence_length())},
        {"spec_version", absl::StrCat(header.spec_version())}};
    for (const auto& [name, value] : facts) {
      if (IsLabelValue(value)) AppendLabel(name, value, &labels);
    }
    return labels;
  }

  void AddVector(const v1::MetricVector& vector, Source* source) {
    const auto found = source->metrics.find(vector.metric());
    if (found == source->metrics.end() ||
        !server::IsMetricName(vector.metric())) {
      page_.dropped["invalid_name"] += vector.values_size();
      return;
    }
    if (!IsLabelValue(vector.domain())) {
      page_.dropped["invalid_label"] += vector.values_size();
      return;
    }
    std::vector<float> finite;
    for (float value : vector.values()) {
      if (std::isfinite(value)) finite.push_back(value);
    }
    page_.dropped["not_finite"] += vector.values_size() - finite.size();
    if (finite.empty()) return;
    const auto& [order, metric] = found->second;
    if (metric->scope() == v1::SCOPE_MODEL) {
      if (options_.layers || options_.runs) {
        AddValue(*metric, order, kModelValues, vector, *source);
      }
      return;
    }
    if (options_.runs) {
      auto& all = source->whole_run[{vector.metric(), vector.domain()}];
      all.insert(all.end(), finite.begin(), finite.end());
    }
    const bool per_head = metric->scope() != v1::SCOPE_LAYER;
    if (options_.layers && per_head) {
      AddQuantiles(*metric, order, Labels(vector, *source), finite,
                   " (quantiles over the heads of a layer)", source->run);
    } else if (options_.layers) {
      AddValue(*metric, order, kLayerValues, vector, *source);
    }
    if (options_.heads && per_head) AddHeads(*metric, order, vector, *source);
  }

  void AddValue(const v1::MetricDescriptor& metric, int order,
                Priority priority, const v1::MetricVector& vector,
                const Source& source) {
    Group group;
    group.priority = priority;
    group.metric_order = order;
    group.family = FamilyName(metric);
    if (!Claim(metric, HelpOf(metric, ""), "gauge", group.family, 1)) return;
    AddLine(Labels(vector, source), vector.values(0), &group);
    Put(source.run, std::move(group));
  }

  void AddQuantiles(const v1::MetricDescriptor& metric, int order,
                    const std::string& labels, std::vector<float> values,
                    absl::string_view shown_as, const std::string& run) {
    Group group;
    group.priority = kQuantiles;
    group.metric_order = order;
    group.family = FamilyName(metric);
    if (!Claim(metric, HelpOf(metric, shown_as), "summary", group.family, 3)) {
      return;
    }
    std::sort(values.begin(), values.end());
    for (const auto& [text, q] :
         {std::pair<const char*, double>{"0.5", .5}, {"0.9", .9}, {"1", 1}}) {
      std::string with_quantile = labels;
      AppendLabel("quantile", text, &with_quantile);
      AddLine(with_quantile, static_cast<float>(analytics::Quantile(values, q)),
              &group);
    }
    Put(run, std::move(group));
  }

  void AddHeads(const v1::MetricDescriptor& metric, int order,
                const v1::MetricVector& vector, const Source& source) {
    Group group;
    group.priority = kHeadValues;
    group.metric_order = order;
    group.family = absl::StrCat("sinkwatch_", WithUnit(metric), "_by_head");
    if (!Claim(metric, HelpOf(metric, " (each head)"), "gauge", group.family,
               vector.values_size())) {
      return;
    }
    const char* label =
        metric.scope() == v1::SCOPE_KV_HEAD ? "kv_head" : "head";
    const std::string labels = Labels(vector, source);
    for (int h = 0; h < vector.values_size(); ++h) {
      if (!std::isfinite(vector.values(h))) continue;
      std::string with_head = labels;
      AppendLabel(label, absl::StrCat(h), &with_head);
      AddLine(with_head, vector.values(h), &group);
    }
    Put(source.run, std::move(group));
  }

  void AddWholeRun(const Source& source) {
    for (const auto& [key, values] : source.whole_run) {
      const auto& [order, metric] = source.metrics.at(key.first);
      std::string labels = source.labels;
      AppendLabel("domain", key.second, &labels);
      const bool layer = metric->scope() == v1::SCOPE_LAYER;
      AddQuantiles(
          *metric, order, labels, values,
          layer ? " (quantiles over layers)" : " (quantiles over all heads)",
          source.run);
    }
  }

  static std::string Labels(const v1::MetricVector& vector,
                            const Source& source) {
    std::string labels = source.labels;
    AppendLabel("domain", vector.domain(), &labels);
    if (vector.has_layer()) {
      AppendLabel("layer", absl::StrCat(vector.layer()), &labels);
    }
    return labels;
  }

  // Makes `family` belong to `metric`. False, and counted, if it belongs to
  // another one already.
  bool Claim(const v1::MetricDescriptor& metric, const std::string& help,
             const std::string& type, const std::string& family,
             int64_t series) {
    const std::string meaning = absl::StrCat(
        metric.name(), "/", v1::Scope_Name(metric.scope()), "/", metric.unit());
    if (options_.taken_names.count(family) == 0) {
      const auto it =
          families_.emplace(family, Family{help, type, meaning, ""}).first;
      if (it->second.meaning == meaning) return true;
    }
    page_.dropped["conflict"] += series;
    return false;
  }

  Group Fact(const std::string& name, const std::string& help) {
    families_.emplace(name, Family{help, "gauge", "fact", ""});
    Group group;
    group.family = name;
    return group;
  }

  void AddFact(const std::string& run, const std::string& name,
               const std::string& help, const std::string& labels,
               double value) {
    Group group = Fact(name, help);
    AddLine(labels, value, &group);
    Put(run, std::move(group));
  }

  template <typename Number>
  static void AddLine(const std::string& labels, Number value, Group* group) {
    absl::StrAppend(&group->lines, group->family, "{", labels, "} ");
    AppendNumber(value, &group->lines);
    group->lines.push_back('\n');
    ++group->series;
  }

  void Put(const std::string& run, Group group) {
    groups_[run].push_back(std::move(group));
  }

  // Keeps what fits; a run's groups are cut at the first that does not.
  void Select() {
    std::map<std::string, int64_t> wanted;
    for (auto& [run, groups] : groups_) {
      std::stable_sort(groups.begin(), groups.end());
      for (const Group& group : groups) wanted[run] += group.series;
    }
    const auto share = ShareOut(wanted, options_.max_series);
    for (auto& [run, groups] : groups_) {
      int64_t left = groups.empty() ? 0 : share.at(run);
      for (const Group& group : groups) {
        if (group.series > left) {
          left = 0;
          page_.dropped["cap"] += group.series;
          continue;
        }
        left -= group.series;
        page_.series += group.series;
        families_.at(group.family).body += group.lines;
      }
    }
  }

  const NowInput& input_;
  const NowOptions& options_;
  std::map<std::string, std::vector<Group>> groups_;  // by run
  std::map<std::string, Family> families_;
  NowPage page_;
};

}  // namespace

NowPage RenderNow(const NowInput& input, const NowOptions& options) {
  return Plane(input, options).Render();
}

}  // namespace sinkwatch::exporter

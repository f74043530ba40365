#include "server/exporter/now_plane.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"
#include "server/analytics/head_aggregation.h"
#include "server/answers/names.h"
#include "server/exporter/family_name.h"
#include "server/exporter/head_counts.h"
#include "server/exporter/protobuf_format.h"
#include "server/exporter/sample_family.h"
#include "server/exporter/text_format.h"
#include "server/names.h"

namespace sinkwatch::exporter {
namespace {

using v1::MetricDescriptor;
using v1::MetricVector;

// What a group holds. Within a run, also what is kept first when the cap bites;
// a histogram stands beside the quantiles of its metric.
enum Kind {
  kFacts,
  kModelValues,
  kLayerValues,
  kQuantiles,
  kHistograms,
  kHeadValues,
};

constexpr std::pair<const char*, double> kShownQuantiles[] = {
    {"0", 0}, {"0.1", .1}, {"0.5", .5}, {"0.9", .9}, {"1", 1}};

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

struct Family;

// Series that are shown or left out together, not rendered yet.
struct Group {
  Kind kind = kFacts;
  int metric_order = 0;
  Family* family = nullptr;
  int64_t series = 0;
  std::vector<Sample> facts;  // of kFacts
  Labels labels;              // of the others
  std::vector<const MetricVector*> vectors;
  const char* head_label = "";

  int Priority() const { return kind == kHistograms ? kQuantiles : kind; }
  bool operator<(const Group& other) const {
    return std::make_pair(Priority(), metric_order) <
           std::make_pair(other.Priority(), other.metric_order);
  }
};

struct Family {
  std::string help;
  FamilyType type = FamilyType::kGauge;
  std::string meaning;  // what must agree for two runs to share the family
  std::vector<const Group*> shown;
};

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

int64_t CountFinite(const MetricVector& vector) {
  return std::count_if(vector.values().begin(), vector.values().end(),
                       [](float value) { return std::isfinite(value); });
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

Labels With(Labels labels, const char* name, std::string value) {
  labels.emplace_back(name, std::move(value));
  return labels;
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

void Render(const Group& group, SampleFamily* family) {
  switch (group.kind) {
    case kFacts:
      family->samples.insert(family->samples.end(), group.facts.begin(),
                             group.facts.end());
      return;
    case kQuantiles:
      return RenderQuantiles(group, family);
    case kHistograms:
      family->histograms.emplace_back(
          group.labels, MakeNativeHistogram(FiniteOf(group.vectors)));
      return;
    case kHeadValues:
      return RenderHeads(group, family);
    default:
      family->samples.push_back(
          {group.labels, group.vectors[0]->values(0), true});
  }
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
      AddTrouble();
    }
    for (const auto& measurement : input_.latest) {
      const auto& checkpoint = measurement->header().checkpoint();
      if (groups_.count(checkpoint.run()) > 0) AddMeasurement(*measurement);
    }
    Select();
    for (const auto& [name, family] : families_) {
      if (!family.shown.empty()) AppendRendered(name, family);
    }
    return std::move(page_);
  }

 private:
  // --- what is known of a run ----------------------------------------------
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
      std::vector<Sample> samples;
      for (const auto& [state, count] : states) {
        samples.push_back(
            {{{"run", run},
              {"state", answers::StateName(static_cast<v1::JobState>(state))}},
             static_cast<double>(count),
             false});
      }
      AddFacts(run, "sinkwatch_checkpoints", "Checkpoints by state.",
               std::move(samples));
    }
  }

  void AddDiscovery() {
    for (const auto& [run, discovery] : input_.discovery) {
      if (groups_.count(run) == 0) continue;
      if (discovery.last_success == absl::InfinitePast()) continue;
      AddFact(
          run, "sinkwatch_last_discovery_success_timestamp_seconds",
          "When the run's root was last read with success.", {{"run", run}},
          absl::ToDoubleSeconds(discovery.last_success - absl::UnixEpoch()));
      std::vector<Sample> samples;
      for (const auto& [kind, count] : discovery.left_alone) {
        samples.push_back({{{"run", run}, {"kind", kind}},
                           static_cast<double>(count),
                           false});
      }
      if (samples.empty()) continue;
      AddFacts(run, "sinkwatch_left_alone",
               "Entries under the run's root that are no checkpoint of it, by "
               "kind; `sinkctl runs RUN` names them.",
               std::move(samples));
    }
  }

  void AddTrouble() {
    for (const auto& [run, groups] : groups_) {
      AddFact(run, "sinkwatch_newest_implausible",
              "1 if the newest measurement is marked implausible and an older "
              "one is shown in its place.",
              {{"run", run}},
              static_cast<double>(input_.implausible.count(run)));
      const auto found = input_.unreadable.find(run);
      const int64_t count =
          found == input_.unreadable.end() ? 0 : found->second;
      AddFact(run, "sinkwatch_unreadable_values",
              "Stored values of the latest measurement that cannot be read "
              "back and are missing here; the log names them.",
              {{"run", run}}, static_cast<double>(count));
      const auto same = input_.same_weights.find(run);
      AddFact(
          run, "sinkwatch_same_weights",
          "Measured checkpoints whose weights are, wholly or in part, those "
          "of a second step; `sinkctl checkpoints RUN` names both.",
          {{"run", run}},
          same == input_.same_weights.end()
              ? 0
              : static_cast<double>(same->second));
    }
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
    if (m.load_seconds() > 0 || m.compute_seconds() > 0) {
      AddFact(source.run, "sinkwatch_latest_load_seconds",
              "Time that reading the latest measured checkpoint took.",
              source.labels, m.load_seconds());
      AddFact(source.run, "sinkwatch_latest_compute_seconds",
              "Time that computing the latest measurement took.", source.labels,
              m.compute_seconds());
    }
    AddHeadCounts(m, source);
    AddFact(source.run, "sinkwatch_run_info",
            "What the latest plausible measurement was made of; always 1.",
            InfoLabels(m.header(), source.labels), 1);
  }

  void AddHeadCounts(const v1::Measurement& m, const Source& source) {
    const HeadCounts counts = CountHeads(m);
    std::vector<Sample> samples;
    for (const auto& [domain, states] : counts.states) {
      if (!IsLabelValue(domain)) continue;
      for (v1::HeadState state : answers::AllHeadStates()) {
        const auto found = states.find(state);
        samples.push_back(
            {With(With(source.labels, "domain", domain), "state",
                  answers::HeadStateName(state)),
             found == states.end() ? 0.0 : static_cast<double>(found->second),
             false});
      }
    }
    if (!samples.empty()) {
      AddFacts(source.run, "sinkwatch_heads",
               "Heads by what they do on a domain at the latest plausible "
               "measurement, without memory of those before.",
               std::move(samples));
    }
    if (!counts.switching.has_value()) return;
    AddFact(source.run, "sinkwatch_switching_heads",
            "Heads that are dormant on one domain and not on another at the "
            "latest plausible measurement.",
            source.labels, static_cast<double>(*counts.switching));
  }

  static Labels InfoLabels(const v1::MeasurementHeader& header, Labels labels) {
    const std::pair<const char*, std::string> facts[] = {
        {"architecture", header.model().architecture()},
        {"dtype", header.dtype()},
        {"probe", header.probe().name()},
        {"bos_policy", header.bos_policy()},
        {"sequence_length", absl::StrCat(header.sequence_length())},
        {"spec_version", absl::StrCat(header.spec_version())}};
    for (const auto& [name, value] : facts) {
      if (IsLabelValue(value)) labels.emplace_back(name, value);
    }
    return labels;
  }

  // --- what was measured ---------------------------------------------------
  void AddMeasurement(const v1::Measurement& m) {
    const v1::Checkpoint& checkpoint = m.header().checkpoint();
    Source& source = sources_.emplace_back();
    source.run = checkpoint.run();
    source.labels = {{"run", checkpoint.run()}};
    if (!checkpoint.stage().empty()) {
      if (!IsLabelValue(checkpoint.stage())) {
        page_.dropped["invalid_label"] += m.vectors_size();
        return;
      }
      source.labels.emplace_back("stage", checkpoint.stage());
    }
    int order = 0;
    for (const MetricDescriptor& metric : m.header().metrics()) {
      source.metrics[metric.name()] = {order++, &metric};
    }
    if (options_.facts) AddRunFacts(m, source);
    for (const MetricVector& vector : m.vectors()) AddVector(vector, &source);
    if (options_.runs) AddWholeRun(source);
  }

  void AddVector(const MetricVector& vector, Source* source) {
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
    const int64_t finite = CountFinite(vector);
    page_.dropped["not_finite"] += vector.values_size() - finite;
    if (finite == 0) return;
    const auto& [order, metric] = found->second;
    if (metric->scope() == v1::SCOPE_MODEL) {
      if (options_.layers || options_.runs) {
        AddValue(*metric, order, kModelValues, vector, *source);
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
      AddValue(*metric, order, kLayerValues, vector, *source);
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

  void AddValue(const MetricDescriptor& metric, int order, Kind kind,
                const MetricVector& vector, const Source& source) {
    Group group;
    group.kind = kind;
    group.metric_order = order;
    group.series = 1;
    group.labels = LabelsOf(vector, source);
    group.vectors = {&vector};
    Put(metric, FamilyName(metric), HelpOf(metric, ""), FamilyType::kGauge,
        source.run, std::move(group));
  }

  void AddDistribution(const MetricDescriptor& metric, int order,
                       const Labels& labels,
                       const std::vector<const MetricVector*>& vectors,
                       const std::string& over, const std::string& run) {
    Group group;
    group.kind = kQuantiles;
    group.metric_order = order;
    group.series = std::size(kShownQuantiles);
    group.labels = labels;
    group.vectors = vectors;
    Group histogram = group;
    Put(metric, FamilyName(metric),
        HelpOf(metric, absl::StrCat(" (quantiles ", over, ")")),
        FamilyType::kSummary, run, std::move(group));
    if (!options_.histograms) return;
    histogram.kind = kHistograms;
    histogram.series = 1;
    Put(metric, HistogramFamilyName(metric),
        HelpOf(metric, absl::StrCat(" (native histogram ", over, ")")),
        FamilyType::kNativeHistogram, run, std::move(histogram));
  }

  void AddHeads(const MetricDescriptor& metric, int order,
                const MetricVector& vector, int64_t finite,
                const Source& source) {
    Group group;
    group.kind = kHeadValues;
    group.metric_order = order;
    group.series = finite;
    group.labels = LabelsOf(vector, source);
    group.vectors = {&vector};
    group.head_label = metric.scope() == v1::SCOPE_KV_HEAD ? "kv_head" : "head";
    Put(metric, HeadFamilyName(metric), HelpOf(metric, " (each head)"),
        FamilyType::kGauge, source.run, std::move(group));
  }

  static Labels LabelsOf(const MetricVector& vector, const Source& source) {
    Labels labels = With(source.labels, "domain", vector.domain());
    if (vector.has_layer()) {
      labels.emplace_back("layer", absl::StrCat(vector.layer()));
    }
    return labels;
  }

  // --- families, and what of them is shown ---------------------------------
  // Puts a group into the family `name`, which becomes that of `metric`. If it
  // belongs to another one already, the group is dropped and counted.
  void Put(const MetricDescriptor& metric, const std::string& name,
           const std::string& help, FamilyType type, const std::string& run,
           Group group) {
    const std::string meaning = absl::StrCat(
        metric.name(), "/", v1::Scope_Name(metric.scope()), "/", metric.unit());
    if (options_.taken_names.count(name) == 0) {
      Family& family = families_.emplace(name, Family{help, type, meaning, {}})
                           .first->second;
      if (family.meaning == meaning) {
        group.family = &family;
        groups_[run].push_back(std::move(group));
        return;
      }
    }
    page_.dropped["conflict"] += group.series;
  }

  void AddFact(const std::string& run, const std::string& name,
               const std::string& help, const Labels& labels, double value) {
    AddFacts(run, name, help, {{labels, value, false}});
  }

  void AddFacts(const std::string& run, const std::string& name,
                const std::string& help, std::vector<Sample> samples) {
    Group group;
    group.family =
        &families_.emplace(name, Family{help, FamilyType::kGauge, "fact", {}})
             .first->second;
    group.series = static_cast<int64_t>(samples.size());
    group.facts = std::move(samples);
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
        group.family->shown.push_back(&group);
      }
    }
  }

  void AppendRendered(const std::string& name, const Family& family) {
    SampleFamily rendered;
    rendered.name = name;
    rendered.help = family.help;
    rendered.type = family.type;
    for (const Group* group : family.shown) {
      exporter::Render(*group, &rendered);
    }
    if (options_.format == PageFormat::kText) {
      AppendTextFamily(rendered, &page_.text);
    } else {
      AppendFamily(rendered, &page_.text);
    }
  }

  const NowInput& input_;
  const NowOptions& options_;
  std::deque<Source> sources_;
  std::map<std::string, std::vector<Group>> groups_;  // by run
  std::map<std::string, Family> families_;
  NowPage page_;
};

}  // namespace

NowPage RenderNow(const NowInput& input, const NowOptions& options) {
  return Plane(input, options).Render();
}

}  // namespace sinkwatch::exporter

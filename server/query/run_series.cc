#include "server/query/run_series.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/base/status_macros.h"
#include "server/analytics/order_statistics.h"
#include "server/query/name_list.h"

namespace sinkwatch::query {
namespace {

// Values that are kept for the next who asks: 128 MB with their errors.
constexpr size_t kMaxCells = size_t{16} << 20;

std::string LabelOf(const std::string& domain) {
  return std::vector<std::string>(
      absl::StrSplit(domain, absl::MaxSplits('/', 1)))[0];
}

// A share of heads that emerges in a direction.
bool IsShareOfHeads(const v1::MetricDescriptor& metric, bool below) {
  return metric.scope() == v1::SCOPE_HEAD && metric.has_threshold() &&
         metric.below() == below && metric.unit() == "ratio";
}

const v1::MetricDescriptor* FirstShare(
    const std::vector<v1::MetricDescriptor>& metrics, bool below) {
  for (const bool headline : {true, false}) {
    for (const v1::MetricDescriptor& metric : metrics) {
      if (IsShareOfHeads(metric, below) && (metric.headline() || !headline)) {
        return &metric;
      }
    }
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> DefaultDomains(const v1::RunStatus& run) {
  std::vector<std::string> labels, classes;
  for (const std::string& domain : run.domains()) {
    (absl::StrContains(domain, '/') ? classes : labels).push_back(domain);
  }
  return labels.size() == 1 && classes.size() > 1 ? classes : labels;
}

absl::StatusOr<std::unique_ptr<RunSeries>> RunSeries::Open(Queries* queries,
                                                           RunChoice choice) {
  std::unique_ptr<RunSeries> series(new RunSeries(queries, std::move(choice)));
  RunChoice& chosen = series->choice_;
  RETURN_IF_ERROR(CheckNameList("domains", chosen.domains));
  ASSIGN_OR_RETURN(series->run_, queries->Run(chosen.run));
  if (series->run_.domains().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("run \"", chosen.run, "\" has no measurements yet"));
  }
  if (chosen.domains.empty()) chosen.domains = DefaultDomains(series->run_);
  v1::ListMetricsRequest request;
  request.set_run(chosen.run);
  request.set_page_size(store::kMaxPage);
  ASSIGN_OR_RETURN(const v1::ListMetricsResponse metrics,
                   queries->Metrics(request));
  series->metrics_ = {metrics.metrics().begin(), metrics.metrics().end()};
  if (series->metrics_.empty()) {
    return absl::DataLossError(absl::StrCat(
        "run \"", chosen.run,
        "\": no definition of its metrics can be read back (`sinkctl store "
        "check` names them, `store repair` has them measured again)"));
  }
  // A domain that there is not is told before anything is read of others, and
  // the stage is what the first series is of.
  for (const std::string& domain : chosen.domains) {
    RETURN_IF_ERROR(
        series->Read(series->metrics_.at(0).name(), domain).status());
  }
  return series;
}

const v1::MetricDescriptor* RunSeries::Playing(v1::MetricRole role) const {
  for (const v1::MetricDescriptor& metric : metrics_) {
    if (metric.role() == role) return &metric;
  }
  if (role == v1::METRIC_ROLE_DORMANCY) return FirstShare(metrics_, false);
  if (role == v1::METRIC_ROLE_VALUE_DRAIN) return FirstShare(metrics_, true);
  return nullptr;
}

bool RunSeries::IsKnown(const std::string& metric,
                        const std::string& domain) const {
  const auto& domains = run_.domains();
  return std::count(domains.begin(), domains.end(), domain) > 0 &&
         std::any_of(metrics_.begin(), metrics_.end(),
                     [&](const v1::MetricDescriptor& known) {
                       return known.name() == metric;
                     });
}

absl::Status RunSeries::LookForSameWeights() {
  if (knows_weights_) return absl::OkStatus();
  ASSIGN_OR_RETURN(same_weights_,
                   queries_->StepsOfSameWeights(choice_.run, stage_));
  knows_weights_ = true;
  return absl::OkStatus();
}

absl::StatusOr<store::Series> RunSeries::Fetch(const std::string& metric,
                                               const std::string& domain) {
  v1::SeriesSelector selector;
  selector.set_run(choice_.run);
  if (choice_.stage.has_value()) selector.set_stage(*choice_.stage);
  selector.set_metric(metric);
  selector.set_domain(domain);
  selector.set_include_implausible(choice_.include_implausible);
  ASSIGN_OR_RETURN(Queries::StoredSeries stored, queries_->Stored(selector));
  stage_ = stored.stage;
  RETURN_IF_ERROR(LookForSameWeights());
  DropSteps(same_weights_, stored.series);
  tokens_.Add(stored.series);
  if (!stored.series.steps.empty() || LabelOf(domain) == domain) {
    return std::move(stored.series);
  }
  taken_from_[{metric, domain}] = LabelOf(domain);
  return Fetch(metric, LabelOf(domain));
}

absl::Status RunSeries::ReadSequences(
    const std::string& metric, const std::string& domain,
    std::optional<int> layer, std::pair<int64_t, int64_t> steps,
    const std::function<void(int64_t, const store::SequenceBlob&)>& tell) {
  store::SequenceQuery query;
  query.run = choice_.run;
  query.stage = stage_;
  query.metric = metric;
  const auto taken = taken_from_.find({metric, domain});
  query.domain = taken == taken_from_.end() ? domain : taken->second;
  query.layer = layer;
  std::tie(query.first_step, query.last_step) = steps;
  query.include_implausible = true;  // a step that is asked for is meant
  return queries_->Sequences(query, tell);
}

absl::StatusOr<RunSeries::SharedSeries> RunSeries::Read(
    const std::string& metric, const std::string& domain) {
  const auto key = std::make_pair(metric, domain);
  const auto found = read_.find(key);
  if (found != read_.end()) return found->second;
  auto series = Fetch(metric, domain);
  // Of a metric that was measured once, on other terms than are shown now,
  // there is nothing.
  if (absl::IsNotFound(series.status()) && IsKnown(metric, domain)) {
    series = store::Series();
  }
  RETURN_IF_ERROR(series.status());
  if (cells_ + series->values.size() > kMaxCells) {
    read_.clear();
    cells_ = 0;
  }
  cells_ += series->values.size();
  auto shared = std::make_shared<const store::Series>(*std::move(series));
  read_[key] = shared;
  return shared;
}

void DropSteps(const std::vector<int64_t>& steps, store::Series& series) {
  if (steps.empty()) return;
  const size_t columns = series.columns.size();
  size_t kept = 0;
  for (size_t row = 0; row < series.steps.size(); ++row) {
    if (std::binary_search(steps.begin(), steps.end(), series.steps[row])) {
      continue;
    }
    if (row == kept++) continue;
    series.steps[kept - 1] = series.steps[row];
    series.tokens[kept - 1] = series.tokens[row];
    for (std::vector<float>* cells :
         {&series.values, &series.standard_errors}) {
      std::copy_n(cells->begin() + row * columns, columns,
                  cells->begin() + (kept - 1) * columns);
    }
  }
  series.steps.resize(kept);
  series.tokens.resize(kept);
  series.values.resize(kept * columns);
  series.standard_errors.resize(kept * columns);
}

std::vector<analytics::SeriesPoint> PointsOf(const store::Series& series,
                                             size_t column) {
  std::vector<analytics::SeriesPoint> points;
  points.reserve(series.steps.size());
  for (size_t row = 0; row < series.steps.size(); ++row) {
    const float value = series.value(row, column);
    if (!std::isfinite(value)) continue;
    points.push_back(
        {series.steps[row], value, series.standard_error(row, column)});
  }
  return points;
}

std::vector<size_t> ColumnsOfHeads(const store::Series& series,
                                   const v1::ModelInfo& model,
                                   const HeadPlaces& heads) {
  const v1::Scope scope = series.metric.scope();
  if (scope != v1::SCOPE_HEAD && scope != v1::SCOPE_KV_HEAD) return {};
  const int share = scope == v1::SCOPE_HEAD || model.kv_heads() < 1
                        ? 1
                        : std::max(1, model.heads() / model.kv_heads());
  std::vector<size_t> columns;
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const auto& [layer, index] = series.columns[c];
    const auto first = heads.lower_bound({layer.value_or(0), index * share});
    if (first == heads.end()) continue;
    if (*first < std::make_pair(layer.value_or(0), (index + 1) * share)) {
      columns.push_back(c);
    }
  }
  return columns;
}

std::vector<analytics::SeriesPoint> MedianCurve(
    const store::Series& series, const std::vector<size_t>& columns) {
  std::vector<analytics::SeriesPoint> curve;
  for (size_t row = 0; row < series.steps.size(); ++row) {
    std::vector<double> values;
    const size_t count =
        columns.empty() ? series.columns.size() : columns.size();
    for (size_t i = 0; i < count; ++i) {
      const float value = series.value(row, columns.empty() ? i : columns[i]);
      if (std::isfinite(value)) values.push_back(value);
    }
    if (values.empty()) continue;
    curve.push_back(
        {series.steps[row], analytics::MedianOf(std::move(values))});
  }
  return curve;
}

}  // namespace sinkwatch::query

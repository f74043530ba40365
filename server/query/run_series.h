#ifndef SINKWATCH_SERVER_QUERY_RUN_SERIES_H_
#define SINKWATCH_SERVER_QUERY_RUN_SERIES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analytics/series_point.h"
#include "server/query/queries.h"
#include "server/query/step_tokens.h"
#include "server/store/series.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Which run, and what of it.
struct RunChoice {
  std::string run;
  std::optional<std::string> stage;
  std::vector<std::string> domains;  // empty: DefaultDomains
  bool include_implausible = false;
};

// The domains that a question is about where none is named: the probe's labels;
// where there is one label and its rows have classes, these.
std::vector<std::string> DefaultDomains(const v1::RunStatus& run);

// The series of one run while a question is answered. Those that were read are
// kept for the next who asks, up to a bound on their size.
//
// Thread-compatible. The queries must outlive it.
class RunSeries {
 public:
  // Codes are those of Queries; FAILED_PRECONDITION of a run without
  // measurements.
  static absl::StatusOr<std::unique_ptr<RunSeries>> Open(Queries* queries,
                                                         RunChoice choice);

  const v1::RunStatus& run() const { return run_; }
  const std::string& stage() const { return stage_; }
  const std::vector<std::string>& domains() const { return choice_.domains; }
  const std::vector<v1::MetricDescriptor>& metrics() const { return metrics_; }

  // On what terms the newest values are given; without a sequence length where
  // that is not known.
  v1::MeasurementHeader Terms() const {
    return queries_->Terms(choice_.run, stage_)
        .value_or(v1::MeasurementHeader());
  }

  // Which of its measurements count, where that is a question.
  absl::StatusOr<std::vector<std::string>> MeasuringNotes() const {
    return queries_->MeasuringNotes(choice_.run, stage_);
  }

  // The metric that plays a role; null if none does. Where none says that it
  // tells dormancy or drain, measured before there were roles, the first
  // headline share of heads that emerges upward, or downward, is taken.
  const v1::MetricDescriptor* Playing(v1::MetricRole role) const;

  // Steps that are in no series, because their weights are those of another
  // step: ascending, known once a series was read.
  const std::vector<int64_t>& same_weights() const { return same_weights_; }

  // The tokens of the steps of all series that were read.
  const StepTokens& tokens() const { return tokens_; }

  // A metric in a domain; without steps where the domain has no value of it.
  // What is not given for a class of rows ("label/class") is that of its label:
  // it is no mean over query rows.
  using SharedSeries = std::shared_ptr<const store::Series>;
  absl::StatusOr<SharedSeries> Read(const std::string& metric,
                                    const std::string& domain);

  // What each sequence gave, of a metric in one of the domains and a layer, at
  // the steps from first to last that have it. The domain is that which Read
  // took, so it comes after it.
  absl::Status ReadSequences(
      const std::string& metric, const std::string& domain,
      std::optional<int> layer, std::pair<int64_t, int64_t> steps,
      const std::function<void(int64_t step, const store::SequenceBlob&)>&
          tell);

 private:
  RunSeries(Queries* queries, RunChoice choice)
      : queries_(queries), choice_(std::move(choice)) {}
  // Asks for same_weights_ once.
  absl::Status LookForSameWeights();
  bool IsKnown(const std::string& metric, const std::string& domain) const;
  absl::StatusOr<store::Series> Fetch(const std::string& metric,
                                      const std::string& domain);

  Queries* const queries_;
  RunChoice choice_;
  v1::RunStatus run_;
  std::string stage_;
  std::vector<v1::MetricDescriptor> metrics_;
  bool knows_weights_ = false;
  std::vector<int64_t> same_weights_;
  std::map<std::pair<std::string, std::string>, SharedSeries> read_;
  size_t cells_ = 0;  // of all that are kept
  StepTokens tokens_;
  // Where a metric was taken from the label of its domain.
  std::map<std::pair<std::string, std::string>, std::string> taken_from_;
};

// Takes the rows of some steps (ascending) out.
void DropSteps(const std::vector<int64_t>& steps, store::Series& series);

// The values of a column that are there, by step.
std::vector<analytics::SeriesPoint> PointsOf(const store::Series& series,
                                             size_t column);

// Layers and heads.
using HeadPlaces = std::set<std::pair<int, int>>;

// The columns of a metric of heads that are of these heads, whatever layers it
// has; of one of key/value heads, those that they read. None of another scope.
std::vector<size_t> ColumnsOfHeads(const store::Series& series,
                                   const v1::ModelInfo& model,
                                   const HeadPlaces& heads);

// The median, over some columns, of the values at each step; empty columns:
// all. Without standard errors.
std::vector<analytics::SeriesPoint> MedianCurve(
    const store::Series& series, const std::vector<size_t>& columns);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_RUN_SERIES_H_

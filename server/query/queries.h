#ifndef SINKWATCH_SERVER_QUERY_QUERIES_H_
#define SINKWATCH_SERVER_QUERY_QUERIES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/query/columns.h"
#include "server/query/merge_runs.h"
#include "server/query/step_tokens.h"
#include "server/store/store.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Checkpoints that a page has at most.
inline constexpr int32_t kMaxCheckpoints = 5000;
// Columns that a series has at most, and values that a page of it has.
inline constexpr int32_t kMaxColumns = 8192;
inline constexpr int64_t kMaxValues = 1'000'000;

// Every question about runs and their measurements, answered once: gRPC and
// HTTP only carry requests to it and answers from it. What a request may leave
// out, what it may not ask for and how much an answer holds is said in
// query_service.proto and decided here.
//
// NOT_FOUND for a run, stage, domain, metric, step, layer or head that there is
// not, with what there is (shortened where that is long) and the nearest name.
// INVALID_ARGUMENT for a choice that the request leaves open, a token of
// another list, or more than an answer may hold; it carries the name of the
// broken rule (answers/parse.h). Other codes are Store's.
//
// Thread-safe. `store` must outlive it.
class Queries {
 public:
  // Why a run's root could not be read last time; empty if it could.
  using DiscoveryError = std::function<std::string(const std::string& run)>;

  // Adds what discovery knows of a run and the store does not: what was left
  // alone under its root.
  using Survey = std::function<void(v1::RunStatus& run)>;

  // `discovery_error` and `survey` may be empty: the store does not know such
  // errors.
  Queries(store::Store* store, DiscoveryError discovery_error,
          Survey survey = nullptr);

  absl::StatusOr<v1::ListRunsResponse> Runs(const v1::ListRunsRequest& request);
  // Costs this run, however many there are.
  absl::StatusOr<v1::RunStatus> Run(const std::string& name);
  absl::StatusOr<v1::ListCheckpointsResponse> Checkpoints(
      const v1::ListCheckpointsRequest& request);
  absl::StatusOr<v1::ListMetricsResponse> Metrics(
      const v1::ListMetricsRequest& request);
  absl::StatusOr<v1::Measurement> Measurement(
      const v1::GetMeasurementRequest& request);
  absl::StatusOr<v1::QuerySeriesResponse> Series(
      const v1::QuerySeriesRequest& request);
  absl::StatusOr<v1::QueryMatrixResponse> Matrix(
      const v1::QueryMatrixRequest& request);
  absl::StatusOr<v1::GetEmergenceResponse> Emergence(
      const v1::GetEmergenceRequest& request);

  // The stored values of one metric, and the stage and domain that were meant.
  struct StoredSeries {
    store::Series series;
    std::string stage;
    std::string domain;
  };
  absl::StatusOr<StoredSeries> Stored(const v1::SeriesSelector& selector);
  // Steps of a run's stage, ascending, whose weights are those of another step:
  // emergence is not told by them, because which is right is not known.
  absl::StatusOr<std::vector<int64_t>> StepsOfSameWeights(
      const std::string& run, const std::string& stage);

  // What a person should know of which measurements of a run's stage an answer
  // is about, a sentence each: which of several of a step counts, and which
  // steps were measured on other terms.
  absl::StatusOr<std::vector<std::string>> MeasuringNotes(
      const std::string& run, const std::string& stage);

  // The header of the latest plausible measurement of a run's stage: on what
  // terms its values are given. NOT_FOUND if there is none.
  absl::StatusOr<v1::MeasurementHeader> Terms(const std::string& run,
                                              const std::string& stage);
  // As Store::ReadSequences.
  absl::Status Sequences(
      const store::SequenceQuery& query,
      const std::function<void(int64_t step, const store::SequenceBlob&)>&
          tell);

  // Differs whenever an answer about the run may differ: after every commit and
  // every change of the state of one of its jobs. Empty `run`: of all runs.
  absl::StatusOr<std::string> Version(const std::string& run);
  // Of the store: rises with every commit.
  int64_t revision() const;

 private:
  // With what only discovery knows.
  void Complete(v1::RunStatus& run) const;

  // A run, and the stage and domain that are meant: those of the request, or
  // the only ones.
  struct Place {
    v1::RunStatus run;
    std::string stage;
    std::string domain;
  };
  absl::StatusOr<std::string> StageOf(const v1::RunStatus& run, bool given,
                                      const std::string& stage) const;
  absl::StatusOr<Place> PlaceOf(const v1::SeriesSelector& selector);

  // The columns of all the selector's runs, and where each is; the first is the
  // answer's.
  struct Gathered {
    std::vector<Place> places;
    std::map<std::string, StepTokens> tokens;  // by run
    RunColumns columns;
  };
  absl::StatusOr<Gathered> Gather(const v1::SeriesSelector& selector);
  // Of all its runs.
  absl::StatusOr<std::vector<std::string>> MeasuringNotes(
      const Gathered& gathered);

  // The whole series of the selected layers and heads.
  absl::StatusOr<store::Series> Read(const Place& place,
                                     const v1::SeriesSelector& selector);
  absl::StatusOr<store::Series> ReadStored(const Place& place,
                                           const store::SeriesQuery& query);
  // Steps of a series that emergence is not told by, because their weights are
  // those of another step; says so in the answer.
  absl::StatusOr<std::set<int64_t>> StepsLeftOut(
      const Place& place, const store::Series& series,
      v1::GetEmergenceResponse& response);
  // NOT_FOUND if a layer or head that was asked for is in no step.
  absl::Status CheckNumbers(const Place& place,
                            const v1::SeriesSelector& selector,
                            const store::Series& series);
  // Why the store has not the metric.
  absl::Status ExplainMetric(const Place& place, const std::string& metric,
                             const absl::Status& status);
  absl::Status ExplainStep(const Place& place, int64_t step,
                           const absl::Status& status);

  store::Store* const store_;
  const DiscoveryError discovery_error_;
  const Survey survey_;
};

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_QUERIES_H_

// The methods of Queries about runs, checkpoints, metrics and measurements, and
// what is meant where a request leaves something out.
#include "server/query/queries.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/time_util.h"
#include "proto/base/status_macros.h"
#include "server/answers/parse.h"
#include "server/query/unknown.h"

namespace sinkwatch::query {
namespace {

constexpr int32_t kDefaultCheckpoints = 100;

using Names = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> ListOf(const Names& names) {
  return {names.begin(), names.end()};
}

bool Holds(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string LackOf(const v1::RunStatus& run, const char* what) {
  return absl::StrCat("run \"", run.name(), "\" has no ", what);
}

// The only choice; "" if there is none yet.
absl::StatusOr<std::string> OnlyOf(const v1::RunStatus& run, const char* what,
                                   const Names& choices) {
  if (choices.empty()) return std::string();
  if (choices.size() == 1) return choices[0];
  return answers::BadParameter(
      "missing_parameter",
      absl::StrCat("a ", what, " is needed: run \"", run.name(), "\" has ",
                   absl::StrJoin(choices, ", ")));
}

absl::StatusOr<std::string> DomainOf(const v1::RunStatus& run, bool given,
                                     const std::string& domain) {
  if (!given) return OnlyOf(run, "domain", run.domains());
  if (Holds(run.domains(), domain)) return domain;
  return UnknownName(LackOf(run, "domain"), domain, ListOf(run.domains()),
                     "it has no measurements yet");
}

google::protobuf::Timestamp Stamp(absl::Time time) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(
      absl::ToUnixMicros(time));
}

bool WaitsForATime(const store::JobRecord& job) {
  return (job.state == v1::JOB_STATE_RETRYING ||
          job.state == v1::JOB_STATE_WAITING) &&
         job.not_before > absl::UnixEpoch() &&
         job.not_before < absl::InfiniteFuture();
}

v1::CheckpointStatus StatusOf(const store::JobRecord& job,
                              const std::optional<store::MeasurementCost>& cost,
                              const store::WeightFacts& weights) {
  v1::CheckpointStatus status;
  *status.mutable_checkpoint() = job.job.checkpoint();
  status.set_state(job.state);
  status.set_job_id(job.job.id());
  status.set_attempts(job.job.attempt());
  status.set_outcome(job.outcome);
  status.set_reason(job.reason);
  status.set_worker(job.worker);
  status.set_progress(job.progress);
  if (job.updated > absl::InfinitePast()) {
    *status.mutable_updated() = Stamp(job.updated);
  }
  if (WaitsForATime(job)) *status.mutable_not_before() = Stamp(job.not_before);
  if (cost.has_value()) {
    status.set_load_seconds(cost->load_seconds);
    status.set_compute_seconds(cost->compute_seconds);
    status.set_device(cost->device);
  }
  *status.mutable_same_weights() = {weights.same.begin(), weights.same.end()};
  if (weights.measurements > 1) {
    status.set_measurements(weights.measurements);
    status.set_counts(weights.counts);
  }
  return status;
}

absl::StatusOr<store::CheckpointQuery> CheckpointsOf(
    const v1::ListCheckpointsRequest& request) {
  store::CheckpointQuery query;
  query.run = request.run();
  if (request.has_stage()) query.stage = request.stage();
  for (int state : request.states()) {
    // Each is a part of the question.
    if (!v1::JobState_IsValid(state)) {
      return answers::BadParameter("unknown_value",
                                   absl::StrCat("states: ", state, " is none"));
    }
    query.states.push_back(static_cast<v1::JobState>(state));
  }
  query.newest_first = request.order() != v1::CHECKPOINT_ORDER_OLDEST_FIRST;
  query.page.token = request.page_token();
  return query;
}

}  // namespace

Queries::Queries(store::Store* store, DiscoveryError discovery_error,
                 Survey survey)
    : store_(store),
      discovery_error_(std::move(discovery_error)),
      survey_(std::move(survey)) {}

void Queries::Complete(v1::RunStatus& run) const {
  if (discovery_error_) run.set_discovery_error(discovery_error_(run.name()));
  if (survey_) survey_(run);
}

int64_t Queries::revision() const { return store_->revision(); }

absl::StatusOr<v1::ListRunsResponse> Queries::Runs(
    const v1::ListRunsRequest& request) {
  store::PageOptions page;
  if (request.page_size() > 0) page.size = request.page_size();
  page.token = request.page_token();
  ASSIGN_OR_RETURN(v1::ListRunsResponse runs, store_->ListRuns(page));
  for (v1::RunStatus& run : *runs.mutable_runs()) Complete(run);
  return runs;
}

absl::StatusOr<v1::RunStatus> Queries::Run(const std::string& name) {
  auto run = store_->Run(name);
  if (absl::IsNotFound(run.status())) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, store_->RunNames());
    return UnknownName("there is no run", name, names, "none is configured");
  }
  if (run.ok()) Complete(*run);
  return run;
}

absl::StatusOr<std::string> Queries::StageOf(const v1::RunStatus& run,
                                             bool given,
                                             const std::string& stage) const {
  if (!given) return OnlyOf(run, "stage", run.stages());
  if (Holds(run.stages(), stage)) return stage;
  return UnknownName(LackOf(run, "stage"), stage, ListOf(run.stages()),
                     "it has no checkpoints yet");
}

absl::StatusOr<Queries::Place> Queries::PlaceOf(
    const v1::SeriesSelector& selector) {
  Place place;
  ASSIGN_OR_RETURN(place.run, Run(selector.run()));
  ASSIGN_OR_RETURN(place.stage,
                   StageOf(place.run, selector.has_stage(), selector.stage()));
  ASSIGN_OR_RETURN(place.domain, DomainOf(place.run, selector.has_domain(),
                                          selector.domain()));
  return place;
}

absl::StatusOr<v1::ListCheckpointsResponse> Queries::Checkpoints(
    const v1::ListCheckpointsRequest& request) {
  ASSIGN_OR_RETURN(const v1::RunStatus run, Run(request.run()));
  if (request.has_stage()) {
    RETURN_IF_ERROR(StageOf(run, true, request.stage()).status());
  }
  ASSIGN_OR_RETURN(store::CheckpointQuery query, CheckpointsOf(request));
  const int32_t size = request.page_size() > 0
                           ? std::min(request.page_size(), kMaxCheckpoints)
                           : kDefaultCheckpoints;
  v1::ListCheckpointsResponse response;
  ASSIGN_OR_RETURN(const int64_t total, store_->CountCheckpoints(query));
  response.set_total(total);
  // The store's pages are smaller than this one may be.
  do {
    query.page.size =
        std::min(size - response.checkpoints_size(), store::kMaxPage);
    ASSIGN_OR_RETURN(const store::CheckpointPage page,
                     store_->Checkpoints(query));
    for (size_t i = 0; i < page.jobs.size(); ++i) {
      *response.add_checkpoints() =
          StatusOf(page.jobs[i], page.costs[i], page.weights[i]);
    }
    query.page.token = page.next_page_token;
  } while (!query.page.token.empty() && response.checkpoints_size() < size);
  response.set_next_page_token(query.page.token);
  return response;
}

absl::StatusOr<v1::ListMetricsResponse> Queries::Metrics(
    const v1::ListMetricsRequest& request) {
  if (!request.run().empty()) RETURN_IF_ERROR(Run(request.run()).status());
  return store_->ListMetrics(request);
}

absl::StatusOr<v1::Measurement> Queries::Measurement(
    const v1::GetMeasurementRequest& request) {
  Place place;
  auto run = Run(request.run());
  if (!run.ok()) {
    // What was measured of a run stays when it is followed no more.
    auto measurement = store_->GetMeasurement(request);
    if (measurement.ok()) return measurement;
    return run.status();
  }
  place.run = *std::move(run);
  ASSIGN_OR_RETURN(place.stage,
                   StageOf(place.run, request.has_stage(), request.stage()));
  v1::GetMeasurementRequest chosen = request;
  chosen.set_stage(place.stage);
  auto measurement = store_->GetMeasurement(chosen);
  if (!absl::IsNotFound(measurement.status())) return measurement;
  return ExplainStep(place, request.step(), measurement.status());
}

absl::Status Queries::ExplainStep(const Place& place, int64_t step,
                                  const absl::Status& status) {
  ASSIGN_OR_RETURN(const auto measured,
                   store_->MeasuredSteps(place.run.name(), place.stage));
  std::vector<int64_t> steps;
  for (const store::Store::MeasuredStep& at : measured) {
    steps.push_back(at.step);
  }
  if (std::binary_search(steps.begin(), steps.end(), step)) return status;
  return UnknownStep(LackOf(place.run, "measurement"), step, steps);
}

absl::StatusOr<std::vector<std::string>> Queries::MeasuringNotes(
    const std::string& run, const std::string& stage) {
  ASSIGN_OR_RETURN(const auto found,
                   store_->StepsMeasuredOtherwise(run, stage));
  const auto steps = [&run](const std::vector<int64_t>& of) {
    return of.size() == 1
               ? absl::StrCat("run ", run, ": step ", of[0], " was ")
               : absl::StrCat("run ", run, ": ", of.size(),
                              " steps, the first is ", of[0], ", were ");
  };
  std::vector<std::string> notes;
  if (!found.again.empty()) {
    notes.push_back(absl::StrCat(
        steps(found.again),
        "measured more than once: the last measurement of a step counts"));
  }
  if (!found.on_other_terms.empty()) {
    notes.push_back(absl::StrCat(
        steps(found.on_other_terms),
        "measured only on other terms (probe, dtype, sequence length, protocol "
        "or metric definitions) than the newest measurement, and left out"));
  }
  return notes;
}

absl::StatusOr<v1::MeasurementHeader> Queries::Terms(const std::string& run,
                                                     const std::string& stage) {
  ASSIGN_OR_RETURN(const auto latest, store_->LatestKeys());
  for (const store::Store::LatestKey& key : latest) {
    if (key.run != run || key.stage != stage) continue;
    ASSIGN_OR_RETURN(v1::Measurement facts,
                     store_->MeasurementFacts(key.measurement));
    return std::move(*facts.mutable_header());
  }
  return absl::NotFoundError(
      absl::StrCat("run \"", run, "\" has no plausible measurement"));
}

absl::Status Queries::Sequences(
    const store::SequenceQuery& query,
    const std::function<void(int64_t, const store::SequenceBlob&)>& tell) {
  return store_->ReadSequences(query, tell);
}

absl::StatusOr<std::string> Queries::Version(const std::string& run) {
  // Read first: a commit in between makes it too old, never too new.
  std::string version = absl::StrCat(store_->revision());
  if (!run.empty()) {
    ASSIGN_OR_RETURN(const v1::RunStatus status, Run(run));
    for (const v1::StateCount& entry : status.states()) {
      absl::StrAppend(&version, ";", entry.state(), "=", entry.count());
    }
    return version;
  }
  ASSIGN_OR_RETURN(const auto counts, store_->CountJobs());
  for (const store::Store::StateCount& entry : counts) {
    absl::StrAppend(&version, ";", entry.run, "/", entry.state, "=",
                    entry.count);
  }
  return version;
}

}  // namespace sinkwatch::query

#ifndef SINKWATCH_SERVER_ANSWERS_TABLES_H_
#define SINKWATCH_SERVER_ANSWERS_TABLES_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "server/answers/table.h"
#include "sinkwatch/v1/job.pb.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::answers {

// Answers of the QueryService as tables. The HTTP API and sinkctl both use
// these, so a column means the same wherever it is read. What is not known is
// no value, never a sentinel.

template <typename Message>
using Repeated = google::protobuf::RepeatedPtrField<Message>;

// INVALID_ARGUMENT (rule "unknown_value") for what is no state.
absl::StatusOr<v1::JobState> ParseState(const std::string& name);
// "corrupt" for OUTCOME_CORRUPT, "" where nothing went wrong.
std::string OutcomeName(v1::Outcome outcome);
// "kv_head" for SCOPE_KV_HEAD.
std::string ScopeName(v1::Scope scope);
// "each", "mean", "median", "p90", "max", "min". INVALID_ARGUMENT else.
absl::StatusOr<v1::Aggregation> ParseAggregation(const std::string& name);

// The stage or domain that a run shows where none is asked for: its only one,
// "" if it has none yet. INVALID_ARGUMENT (rule "missing_parameter"), listing
// the choices of `parameter`, if there are several.
absl::StatusOr<std::string> OnlyOf(const Repeated<std::string>& choices,
                                   const std::string& parameter);

// name, root, stages, domains, latest_step, last_commit, probe, architecture,
// layers, heads, kv_heads, discovery_error, and the number of checkpoints in
// each state.
Table RunsTable(const Repeated<v1::RunStatus>& runs);

// stage, step, tokens, state, outcome, reason, attempts, worker, progress,
// updated, not_before, path, job_id.
Table CheckpointsTable(const Repeated<v1::CheckpointStatus>& checkpoints);

// name, unit, scope, meaning, formula, source.
Table MetricsTable(const Repeated<v1::MetricDescriptor>& metrics);

// x and one column per series. `x` is "step", "tokens" or "log10_step" (which
// is log10(1 + step), so that step 0 has a place). Over tokens, checkpoints
// whose count is not known, or is that of the one before, are left out; `note`
// then says so, and that counts from names are rounded; else it is empty.
// INVALID_ARGUMENT, rule "x_not_ascending", where x would fall.
absl::StatusOr<Table> SeriesTable(const v1::QuerySeriesResponse& series,
                                  const std::string& x, std::string* note);

// layer, ascending, and one column per head (H0, H1, ...) or one named "value".
Table MatrixTable(const v1::QueryMatrixResponse& matrix);

// series, layer, head, censoring, after_step, by_step, estimate, provisional.
Table EmergenceTable(const v1::GetEmergenceResponse& emergence);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_TABLES_H_

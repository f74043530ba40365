#ifndef SINKWATCH_SERVER_ANSWERS_TABLES_H_
#define SINKWATCH_SERVER_ANSWERS_TABLES_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "server/answers/table.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::answers {

// Answers of the QueryService as tables. The HTTP API and sinkctl both use
// these, so a column means the same wherever it is read. What is not known is
// no value, never a sentinel.

template <typename Message>
using Repeated = google::protobuf::RepeatedPtrField<Message>;

// name, root, stages, domains, latest_step, last_commit, probe, architecture,
// layers, heads, kv_heads, discovery_error, left_alone (how many entries under
// the root), left_alone_why (a sentence for each kind, with its first names),
// notes, labels ("seed=3"), and the number of checkpoints in each state.
Table RunsTable(const Repeated<v1::RunStatus>& runs);

// Of one run: kind, count, examples, reason.
Table LeftAloneTable(const v1::RunStatus& run);

// stage, step, tokens, state, outcome, reason, attempts, worker, progress,
// updated, not_before, path, job_id, load_seconds, compute_seconds, device,
// same_weights (a sentence for each step whose weights it has), measurements
// and counts (where the step was measured more than once), note (both, in
// words).
Table CheckpointsTable(const Repeated<v1::CheckpointStatus>& checkpoints);

// name, unit, scope, meaning, formula, source, threshold, below; the last two
// are no value where the metric has no threshold.
Table MetricsTable(const Repeated<v1::MetricDescriptor>& metrics);

// How a series is laid out. `x` is "step", "tokens" or "log10_step" (which is
// log10(1 + step), so that step 0 has a place).
struct SeriesLayout {
  std::string x = "step";
  bool standard_errors = false;
};

// x and one column per series, then, if wanted, "LABEL stderr" for each. Over
// tokens, checkpoints whose count is not known, or is that of the one before,
// are left out; `note` then says so, and that counts from names are rounded;
// else it is empty. INVALID_ARGUMENT, rule "x_not_ascending", where x would
// fall. INTERNAL if the matrix has not its columns.
absl::StatusOr<Table> SeriesTable(const v1::QuerySeriesResponse& series,
                                  const SeriesLayout& layout,
                                  std::string* note);

// layer, ascending, and one column per head (H0, H1, ...) or one named "value";
// then, if wanted, "H0 stderr", ...
Table MatrixTable(const v1::QueryMatrixResponse& matrix,
                  bool standard_errors = false);

// series, layer, head, censoring, after_step, by_step, estimate, provisional,
// holds_from_step, reversal_step; then how it rises, whatever the threshold:
// half_after_step, half_by_step, half_step, width, width_low, width_high,
// shape; run, of questions about several; after_tokens, by_tokens where they
// are known; checkpoints, how many have a value.
Table EmergenceTable(const v1::GetEmergenceResponse& emergence);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_TABLES_H_

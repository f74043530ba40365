// Queries::Matrix: the layers and heads of one step.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/query/queries.h"
#include "server/query/stored_series.h"

namespace sinkwatch::query {
namespace {

// The rows of one step, layer by layer.
void FillMatrix(const store::Series& series,
                v1::QueryMatrixResponse& response) {
  for (size_t c = 0; c < series.columns.size(); ++c) {
    const std::optional<int>& layer = series.columns[c].first;
    if (c == 0 || layer != series.columns[c - 1].first) {
      v1::QueryMatrixResponse::Row& row = *response.add_rows();
      if (layer.has_value()) row.set_layer(*layer);
    }
    v1::QueryMatrixResponse::Row& row = *response.mutable_rows()->rbegin();
    row.add_values(series.value(0, c));
    row.add_standard_errors(series.standard_error(0, c));
  }
}

}  // namespace

absl::StatusOr<v1::QueryMatrixResponse> Queries::Matrix(
    const v1::QueryMatrixRequest& request) {
  v1::SeriesSelector selector;
  selector.set_run(request.run());
  if (request.has_stage()) selector.set_stage(request.stage());
  if (request.has_domain()) selector.set_domain(request.domain());
  selector.set_metric(request.metric());
  v1::QueryMatrixResponse response;
  response.set_revision(store_->revision());
  ASSIGN_OR_RETURN(const Place place, PlaceOf(selector));
  store::SeriesQuery query = QueryOf(selector);
  query.newest = true;
  query.max_steps = 1;
  if (request.has_step()) query.first_step = query.last_step = request.step();
  ASSIGN_OR_RETURN(store::Series series, ReadStored(place, query));
  if (series.steps.empty()) {
    query.include_implausible = true;
    ASSIGN_OR_RETURN(series, ReadStored(place, query));
    response.set_implausible(true);
  }
  if (series.steps.empty() && !series.damaged.empty()) {
    const auto& [step, what] = *series.damaged.rbegin();
    return absl::DataLossError(absl::StrCat(
        "run \"", request.run(), "\", step ", step, ", metric \"",
        request.metric(), "\", domain \"", place.domain, "\": ", what,
        "; `sinkctl store repair` has it measured again"));
  }
  if (series.steps.empty()) {
    const absl::Status lack = absl::NotFoundError(absl::StrCat(
        "run \"", request.run(), "\" has no ", request.metric(),
        " in domain \"", place.domain, "\"",
        request.has_step() ? absl::StrCat(" at step ", request.step()) : ""));
    return request.has_step() ? ExplainStep(place, request.step(), lack) : lack;
  }
  *response.mutable_metric() = series.metric;
  response.set_step(series.steps[0]);
  response.set_tokens(series.tokens[0]);
  response.set_stage(place.stage);
  response.set_domain(place.domain);
  FillMatrix(series, response);
  return response;
}

}  // namespace sinkwatch::query

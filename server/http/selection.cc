#include "server/http/selection.h"

#include "proto/base/status_macros.h"
#include "server/answers/names.h"

namespace sinkwatch::http {

absl::StatusOr<v1::SeriesSelector> SelectSeries(Params& params) {
  v1::SeriesSelector selector;
  ASSIGN_OR_RETURN(const v1::Aggregation aggregation,
                   answers::ParseAggregation(params.Text("agg", "each")));
  selector.set_aggregation(aggregation);
  selector.set_across_layers(params.Bool("across_layers"));
  selector.set_include_implausible(params.Bool("include_implausible"));
  selector.set_include_same_weights(params.Bool("include_same_weights"));
  SelectHeads(params, &selector);
  AddNames(params.Text("with", ""), selector.mutable_more_runs());
  SelectMetric(params, &selector);
  RETURN_IF_ERROR(params.status());
  return selector;
}

std::vector<Parameter> SeriesParameters(const Parameter& domain,
                                        const std::vector<Parameter>& more) {
  std::vector<Parameter> all = {kRun,
                                kMetric,
                                domain,
                                kStage,
                                kLayer,
                                kHead,
                                {"with", "further runs: b,c"},
                                kImplausible};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace sinkwatch::http

#ifndef SINKWATCH_SERVER_QUERY_MERGE_RUNS_H_
#define SINKWATCH_SERVER_QUERY_MERGE_RUNS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/columns.h"
#include "server/store/series.h"

namespace sinkwatch::query {

// The selected columns of a run, with the steps and tokens of its series.
struct RunColumns {
  std::string run;
  store::Series series;
  SelectedColumns selected;
};

// Several runs as one: the columns side by side, each labelled with its run
// ("toy L3H1"), over the steps that any of them has, NaN where a run has none.
// The metric, and the tokens of a step, are those of the first run that has
// them. There is at least one run; of one run it is that, as it was. Of several
// it takes its memory out of `hold`: OUT_OF_RANGE above `max_cells`, which runs
// without a common step soon are, and the hold's codes.
absl::StatusOr<RunColumns> MergeRuns(
    std::vector<RunColumns> runs, int64_t max_cells,
    std::shared_ptr<store::CellBudget::Hold> hold);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_MERGE_RUNS_H_

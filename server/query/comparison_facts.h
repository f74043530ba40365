#ifndef SINKWATCH_SERVER_QUERY_COMPARISON_FACTS_H_
#define SINKWATCH_SERVER_QUERY_COMPARISON_FACTS_H_

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "server/query/facts.h"
#include "server/query/head_history.h"
#include "server/query/run_onsets.h"
#include "server/query/run_series.h"

// What is to be said of runs beside each other, each against the first.
namespace sinkwatch::query {

struct ComparedRun {
  std::unique_ptr<RunSeries> series;
  std::vector<RunOnset> onsets;
  Facts jumps;
  std::optional<HeadHistory> history;  // none: nothing tells dormancy
};

// The onset of each run, and whether that of another run is earlier or later
// than the first one's, or unresolved because the intervals overlap; with how
// many series (same layer and head) say so.
void AddOnsetComparison(const std::vector<ComparedRun>& runs, Facts& facts);

// Each run's jumps, and whether the first run jumped in the same interval.
void AddJumpComparison(const std::vector<ComparedRun>& runs, Facts& facts);

// Which heads switch in one run only.
void AddSwitchingComparison(const std::vector<ComparedRun>& runs, Facts& facts);

// The losses at the last step that both have.
absl::Status AddLossComparison(std::vector<ComparedRun>& runs, Facts& facts);

// Least, median and largest over runs that differ only in their seed, of every
// headline metric (its median head or layer) at the last step that all of them
// have: over all of `runs` if they are `seeds`, else over those whose names
// differ only in the number of the seed.
absl::Status AddBands(std::vector<ComparedRun>& runs, bool seeds, Facts& facts);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_COMPARISON_FACTS_H_

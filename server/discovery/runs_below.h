#ifndef SINKWATCH_SERVER_DISCOVERY_RUNS_BELOW_H_
#define SINKWATCH_SERVER_DISCOVERY_RUNS_BELOW_H_

#include <vector>

#include "absl/status/statusor.h"
#include "server/discovery/left_alone.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::discovery {

// The runs below a root, and what else lies there.
struct RunsFound {
  // Ascending by folder. Each is as the run that was asked for, but for its
  // name (NAME.FOLDER, in the letters that names have), root, labels (the
  // pattern's named groups) and found_below.
  std::vector<v1::RunConfig> runs;
  Survey survey;
};

// Every folder below `run`'s root, at most three deep, whose path its
// runs_below pattern matches from end to end; below such a folder nothing more
// is looked for. Links are followed as far as the root. At most 1000 runs, the
// first by path, and 10,000 folders; a note says what was cut. Codes as
// ListRoot, INVALID_ARGUMENT for a pattern that is none.
absl::StatusOr<RunsFound> FindRunsBelow(const v1::RunConfig& run);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_RUNS_BELOW_H_

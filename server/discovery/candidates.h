#ifndef SINKWATCH_SERVER_DISCOVERY_CANDIDATES_H_
#define SINKWATCH_SERVER_DISCOVERY_CANDIDATES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/base/step_name.h"
#include "server/discovery/entry.h"
#include "server/discovery/left_alone.h"
#include "server/discovery/manifest.h"
#include "sinkwatch/v1/config.pb.h"

// Where a run's checkpoints may be: three ways to find them (step_folders.h and
// hub_cache.h have the others). What is in the folders is not looked at here.
namespace sinkwatch::discovery {

// A place of a checkpoint.
struct Candidate {
  std::string path;
  base::StepName name;
  // When an entry of the folder came, went or was renamed last; 0: not known.
  int64_t modified_ns = 0;
  std::string stage;  // with everything that tells it from others of its step
  int64_t step = 0;
  int64_t tokens = 0;  // 0: not known
  // Named by a list (a manifest, refs of a download cache) and not by a folder:
  // that it is not there is something to wait for.
  bool is_listed = false;
  // Of a download cache: nothing comes that the hub does not have.
  bool is_download = false;
  // Set where it is a file and no folder; the config beside it, if one is.
  std::optional<Entry> file;
  std::optional<Entry> file_config;
  // Empty, or why there is no folder to look at.
  std::string why_missing;
  // Empty, or why the row that names it is not followed, whatever is there.
  std::string why_bad;
};

// A root or a stage folder whose entries were sorted.
struct SortedFolder {
  std::string stage;  // what its path says
  int depth = 0;      // 0: the root
  // Hashes of the names, without those that say that they are under way.
  absl::flat_hash_set<size_t> names;
};

// Everything under a root: what may be a checkpoint, and what was left alone.
struct Found {
  std::vector<Candidate> candidates;
  LeftAlone left;
  // The folders below the root that were listed (of stages, of a download
  // cache, of a manifest's rows), and their own times before it.
  std::vector<std::pair<std::string, int64_t>> listed;
  // By path below the root; none of a download cache or of a manifest.
  std::map<std::string, SortedFolder> sorted;
  // Of folders that hold checkpoints further down: roots that would work, by
  // path, with a checkpoint in each. The first 20.
  std::map<std::string, std::string> other_roots;
};

// Appends a candidate per row of the manifest. A row's folder is the end of its
// directory under the run's root: the shortest end that tells it from all other
// rows, else longer ones. That of a bad row is not looked for.
absl::Status FindManifestRows(const v1::RunConfig& run,
                              const Manifest& manifest, Found* found);

// Stage of a checkpoint whose folder has this name and lies in `folder_stage`
// (empty: at the top), in a run whose root is of `run_stage`: with everything
// that tells it from other checkpoints of its number, so a seed, what makes a
// variant of it, and "tokens" or "epochs" where the number is no step.
std::string StageOf(const std::string& run_stage,
                    const std::string& folder_stage,
                    const base::StepName& name);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_CANDIDATES_H_

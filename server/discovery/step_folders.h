#ifndef SINKWATCH_SERVER_DISCOVERY_STEP_FOLDERS_H_
#define SINKWATCH_SERVER_DISCOVERY_STEP_FOLDERS_H_

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "server/discovery/candidates.h"
#include "server/discovery/unknown_folder.h"
#include "server/name_pattern.h"

namespace sinkwatch::discovery {

// What names were read as, for those who read them again: reading costs more
// than finding. Of files with a slash behind.
using ReadNames =
    std::unordered_map<std::string, std::optional<base::StepName>>;

// How the names under a root are read.
struct Naming {
  const v1::RunConfig& run;
  // The run's step_pattern, if it has one.
  const std::optional<server::NamePattern>& step_pattern;
  std::string real_root;
  ReadNames* read = nullptr;
};

// Sorts every entry of a root, and of its stage folders and of theirs
// (stage2/soup/step5 is step 5 of stage "stage2/soup"), down to three of them,
// into what may be a checkpoint and what is left alone. `entries` are those of
// the root with its links (ListRoot). A link to a folder in the root counts as
// that folder, under the link's name, unless the folder is found by its own.
// Folders whose names tell nothing are looked into through `unknown`.
absl::Status FindStepFolders(const Naming& naming,
                             const std::vector<Entry>& entries,
                             UnknownFolders& unknown, Found* found);

// The same of folders that have come into one that was sorted before, `path`
// below the root.
absl::Status FindNewFolders(const Naming& naming, const std::string& path,
                            const SortedFolder& folder,
                            const std::vector<Entry>& entries,
                            UnknownFolders& unknown, Found* found);

// Whether one of the entries is a folder whose name tells a step.
bool HoldsSteps(const Naming& naming, const std::vector<Entry>& entries);

// What a name is in a sorted folder.
size_t NameKey(const std::string& name);

// Counts an unknown folder, `path` below the root, as what is in it.
void LeaveUnknown(const Naming& naming, const std::string& path,
                  int64_t modified_ns, UnknownFolders& unknown, Found* found);

// The name by the run's step_pattern, else by the built-in rules; none if
// neither finds a step.
std::optional<base::StepName> ReadStepName(const Naming& naming,
                                           const std::string& name,
                                           bool is_file);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_STEP_FOLDERS_H_

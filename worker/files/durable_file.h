#ifndef SINKWATCH_WORKER_FILES_DURABLE_FILE_H_
#define SINKWATCH_WORKER_FILES_DURABLE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::files {

// Writes `parts` one after the other as the whole of `path` (created, or
// truncated) and syncs the file. UNAVAILABLE, with the path, for every error of
// the system.
absl::Status WriteDurably(const std::string& path,
                          const std::vector<absl::string_view>& parts);

// Starts a folder that PublishFolder will name `folder`: ALREADY_EXISTS if that
// is there; what an earlier attempt left at TemporaryName(folder) is removed,
// and an empty folder made there.
absl::Status BeginFolder(const std::string& folder);

// Syncs TemporaryName(folder), renames it to `folder` and syncs their parent.
// A reader finds nothing or the whole under the final name. ALREADY_EXISTS if
// somebody else has made `folder` meanwhile.
absl::Status PublishFolder(const std::string& folder);

// `folder` + "-tmp": the name that trainers and watchers agree to ignore.
std::string TemporaryName(const std::string& folder);

}  // namespace sinkwatch::files

#endif  // SINKWATCH_WORKER_FILES_DURABLE_FILE_H_

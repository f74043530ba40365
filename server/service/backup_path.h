#ifndef SINKWATCH_SERVER_SERVICE_BACKUP_PATH_H_
#define SINKWATCH_SERVER_SERVICE_BACKUP_PATH_H_

#include <string>

#include "absl/status/statusor.h"

namespace sinkwatch::service {

// Where a backup that a client calls `file` goes: below `folder`, which is made
// if it is not there. A relative name is taken from there; an absolute one must
// lead there, links followed. INVALID_ARGUMENT for a name that leads out, has
// no file name, or whose own folder is not there: it is never told what else
// there is. UNAVAILABLE if `folder` cannot be made.
absl::StatusOr<std::string> BackupPath(const std::string& folder,
                                       const std::string& file);

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_BACKUP_PATH_H_

#ifndef SINKWATCH_SERVER_RUN_PATHS_H_
#define SINKWATCH_SERVER_RUN_PATHS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::server {

// What of a run's paths cannot be opened, a sentence each that names the run
// and the field: root (a folder), probe (its probe.json), manifest,
// model_config. Empty if all can. Fields that are empty are not looked at. With
// `allow_missing` root and probe may be missing: a run that will be there later
// has a discovery error until then; a list that is wrong is never allowed. A
// file system that does not answer for 5 s is as one that is missing; a thread
// of its own goes on waiting for it.
std::vector<std::string> PathErrors(const v1::RunConfig& run,
                                    bool allow_missing);

// The same as one INVALID_ARGUMENT; UNAVAILABLE while 16 others have not been
// answered.
absl::Status CheckPaths(const v1::RunConfig& run, bool allow_missing);

// UNAVAILABLE if the file system of the folder in which a file lies, or would
// lie, does not answer for 5 s, or while 16 others have not been answered.
absl::Status CheckAnswers(const std::string& path);

// PERMISSION_DENIED, naming the field, unless root, probe, manifest and
// model_config of the run lie below one of `roots`, by their names; no file
// system is asked. Without roots any may do.
absl::Status CheckAllowed(const v1::RunConfig& run,
                          const std::vector<std::string>& roots);

// Of every run, 64 asked at once.
std::vector<std::string> PathErrors(const v1::ServerConfig& config,
                                    bool allow_missing);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_RUN_PATHS_H_

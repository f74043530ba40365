#ifndef SINKWATCH_SERVER_SERVER_FLAGS_H_
#define SINKWATCH_SERVER_SERVER_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/base/command_line.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::server {

// The flags of sinkwatch_server.
const base::ProgramSpec& ServerProgram();

// The file of --config, what flags override in it, and the runs of --run behind
// the file's; with defaults. INVALID_ARGUMENT for a file or a run that cannot
// be read; what is wrong with their values is for ConfigErrors and PathErrors.
absl::StatusOr<v1::ServerConfig> ConfigFromFlags(
    const base::Arguments& arguments);

// Those of --allowed_root, absolute.
std::vector<std::string> AllowedRoots(const base::Arguments& arguments);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_SERVER_FLAGS_H_

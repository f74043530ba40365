#ifndef SINKWATCH_SERVER_CONFIG_H_
#define SINKWATCH_SERVER_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::server {

// Reads a text-proto ServerConfig. INVALID_ARGUMENT names file, line, column
// and what is wrong; a field that does not exist is an error. Defaults are not
// filled in here.
absl::StatusOr<v1::ServerConfig> ReadConfig(const std::string& path);

// Fills in what is absent, here and nowhere else, and makes paths absolute.
void ApplyDefaults(v1::ServerConfig& config);
void ApplyDefaults(v1::RunConfig& run);

// Everything that is wrong with a config to which defaults were applied, a
// sentence each; empty if its values can be run with. Opens nothing: paths are
// for PathErrors (run_paths.h).
std::vector<std::string> ConfigErrors(const v1::ServerConfig& config);
std::vector<std::string> RunErrors(const v1::RunConfig& run);

// The above as one INVALID_ARGUMENT.
absl::Status CheckRun(const v1::RunConfig& run);

// "NAME=ROOT,probe=DIR[,stage=S][,dtype=D][,manifest=FILE][,model_config=FILE]",
// what --run takes.
absl::StatusOr<v1::RunConfig> ParseRunFlag(const std::string& text);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_CONFIG_H_

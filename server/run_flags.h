#ifndef SINKWATCH_SERVER_RUN_FLAGS_H_
#define SINKWATCH_SERVER_RUN_FLAGS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/sinkwatch/v1/config.pb.h"

namespace sinkwatch::server {

// The runs of all --run flags: each occurrence adds one.
struct RunFlags {
  std::vector<v1::RunConfig> runs;
};

// How absl reads and prints a flag of this type.
bool AbslParseFlag(absl::string_view text, RunFlags* flags, std::string* error);
std::string AbslUnparseFlag(const RunFlags& flags);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_RUN_FLAGS_H_

#ifndef SINKWATCH_SERVER_RUN_FLAGS_H_
#define SINKWATCH_SERVER_RUN_FLAGS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::server {

// The value of --run: one run or several, with ';' in between. ParseRunFlag
// (config.h) has the form of one.
struct RunFlags {
  std::vector<v1::RunConfig> runs;
};

// How absl reads and prints a flag of this type.
bool AbslParseFlag(absl::string_view text, RunFlags* flags, std::string* error);
std::string AbslUnparseFlag(const RunFlags& flags);

// The arguments with every --run=A, --run=B joined to the last one, because
// absl's flags keep only their last occurrence.
std::vector<std::string> JoinRunFlags(int argc, char** argv);

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_RUN_FLAGS_H_

#include "server/run_flags.h"

#include "absl/strings/str_cat.h"
#include "server/config.h"

namespace sinkwatch::server {

// absl parses into a copy of the flag's value so far, so that occurrences add
// up.
bool AbslParseFlag(absl::string_view text, RunFlags* flags,
                   std::string* error) {
  auto run = ParseRunFlag(std::string(text));
  if (!run.ok()) {
    *error = std::string(run.status().message());
    return false;
  }
  flags->runs.push_back(*std::move(run));
  return true;
}

std::string AbslUnparseFlag(const RunFlags& flags) {
  std::string text;
  for (const v1::RunConfig& run : flags.runs) {
    absl::StrAppend(&text, text.empty() ? "" : " ", run.name(), "=", run.root(),
                    ",probe=", run.probe());
  }
  return text;
}

}  // namespace sinkwatch::server

#include "server/run_flags.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/config.h"

namespace sinkwatch::server {

bool AbslParseFlag(absl::string_view text, RunFlags* flags,
                   std::string* error) {
  flags->runs.clear();
  for (absl::string_view part : absl::StrSplit(text, ';', absl::SkipEmpty())) {
    auto run = ParseRunFlag(std::string(part));
    if (!run.ok()) {
      *error = std::string(run.status().message());
      return false;
    }
    flags->runs.push_back(*std::move(run));
  }
  return true;
}

std::string AbslUnparseFlag(const RunFlags& flags) {
  std::string text;
  for (const v1::RunConfig& run : flags.runs) {
    absl::StrAppend(&text, text.empty() ? "" : ";", run.name(), "=", run.root(),
                    ",probe=", run.probe());
    if (!run.stage().empty()) absl::StrAppend(&text, ",stage=", run.stage());
    if (!run.dtype().empty()) absl::StrAppend(&text, ",dtype=", run.dtype());
    if (!run.manifest().empty()) {
      absl::StrAppend(&text, ",manifest=", run.manifest());
    }
    if (!run.model_config().empty()) {
      absl::StrAppend(&text, ",model_config=", run.model_config());
    }
  }
  return text;
}

std::vector<std::string> JoinRunFlags(int argc, char** argv) {
  std::vector<std::string> arguments;
  std::string runs;
  for (int i = 0; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (!absl::ConsumePrefix(&argument, "--run=")) {
      arguments.push_back(argv[i]);
      continue;
    }
    absl::StrAppend(&runs, runs.empty() ? "" : ";", argument);
  }
  if (!runs.empty()) arguments.push_back("--run=" + runs);
  return arguments;
}

}  // namespace sinkwatch::server

// Gives every file of a corpus folder to the target. The name of a file begins
// with the outcome that it must have: good, incomplete, corrupt, unsupported,
// invalid; or with `found`: an input of a fuzzer that any outcome but a crash
// will do for.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"

namespace sinkwatch::fuzz {
namespace {

constexpr char kAnyOutcome[] = "found";

absl::string_view OutcomeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return "good";
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return "incomplete";
    case absl::StatusCode::kDataLoss:
      return "corrupt";
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kResourceExhausted:
      return "unsupported";
    case absl::StatusCode::kInvalidArgument:
      return "invalid";
    default:
      return "another outcome";
  }
}

std::vector<std::filesystem::path> FilesOf(const char* folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Whether the file had the outcome of its name.
bool Replay(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  std::printf("%s\n", name.c_str());
  std::fflush(stdout);  // a crash must leave the name behind
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const absl::Status status = FuzzOneChecked(bytes);
  if (in.good() && (absl::StartsWith(name, kAnyOutcome) ||
                    absl::StartsWith(name, OutcomeOf(status)))) {
    return true;
  }
  std::printf("  failed: the outcome is: %s\n", status.ToString().c_str());
  return false;
}

int ReplayFolder(const char* folder) {
  const std::vector<std::filesystem::path> files = FilesOf(folder);
  int num_failed = 0;
  for (const std::filesystem::path& file : files) num_failed += !Replay(file);
  std::printf("%zu inputs, %d failed\n", files.size(), num_failed);
  if (files.empty()) std::printf("there is no corpus in %s\n", folder);
  return files.empty() || num_failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace sinkwatch::fuzz

int main(int argc, char** argv) {
  if (argc == 2) return sinkwatch::fuzz::ReplayFolder(argv[1]);
  std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
  return 2;
}

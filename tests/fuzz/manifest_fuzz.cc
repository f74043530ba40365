// The list of a published series, which names the folders to look for.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "server/discovery/manifest.h"
#include "tests/fuzz/fuzz.h"

namespace sinkwatch::fuzz {
namespace {

using discovery::Manifest;
using discovery::ManifestRow;

bool IsPlain(const std::string& part) {
  return !part.empty() && part != "." && part != ".." &&
         std::none_of(part.begin(), part.end(), [](char c) {
           return c == '/' ||
                  absl::ascii_iscntrl(static_cast<unsigned char>(c));
         });
}

void ExpectRow(const ManifestRow& row) {
  Expect(row.step >= 0 && row.tokens >= 0, "counts are not negative");
  Expect(!row.path.empty() &&
             std::all_of(row.path.begin(), row.path.end(), IsPlain),
         "a directory is plain names, none of them a way up");
  Expect(row.stage.size() <= 80 && (row.stage.empty() || IsPlain(row.stage)),
         "a stage is a short plain name");
}

// Of the rows that are followed no two are of one directory.
void ExpectApart(const Manifest& manifest) {
  std::set<std::vector<std::string>> directories;
  for (const ManifestRow& row : manifest.rows) {
    if (!row.why_bad.empty()) continue;
    Expect(directories.insert(row.path).second,
           "a directory is of one row that is followed");
  }
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto manifest =
      discovery::ParseManifest("list.csv", std::string(input));
  if (!manifest.ok()) {
    // Whoever shows it escapes what the file brought.
    return absl::Status(
        manifest.status().code(),
        absl::CHexEscape(manifest.status().message().substr(0, 400)));
  }
  for (const ManifestRow& row : manifest->rows) {
    ExpectRow(row);
    Expect(manifest->common < row.path.size(),
           "what all rows share is shorter than a directory");
  }
  ExpectApart(*manifest);
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz

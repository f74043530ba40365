#include "server/discovery/hub_cache.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/discovery/listing.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kDeepestRevision = 4;
constexpr size_t kMaxCommit = 64;

// The commit that a file of refs holds; empty if it holds none.
std::string ReadCommit(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxCommit + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const std::string commit(absl::StripAsciiWhitespace(text));
  const bool hex = std::all_of(commit.begin(), commit.end(), [](char c) {
    return absl::ascii_isxdigit(static_cast<unsigned char>(c));
  });
  return hex && commit.size() <= kMaxCommit ? commit : "";
}

Candidate Revision(const v1::RunConfig& run, const std::string& ref,
                   const std::string& stage, const base::StepName& name) {
  Candidate candidate;
  candidate.name = name;
  candidate.stage = StageOf(run.stage(), stage, name);
  candidate.step = name.step;
  candidate.tokens = name.tokens;
  candidate.is_listed = true;
  const std::string commit = ReadCommit(absl::StrCat(run.root(), "/", ref));
  candidate.path = absl::StrCat(run.root(), "/snapshots/", commit);
  if (commit.empty()) {
    candidate.path = absl::StrCat(run.root(), "/", ref);
    candidate.why_missing = absl::StrCat(ref, " holds no commit");
  }
  return candidate;
}

absl::Status AddRefs(const v1::RunConfig& run, const std::string& folder,
                     const std::string& stage, int depth,
                     std::vector<Candidate>* found) {
  const auto entries = ListFolder(absl::StrCat(run.root(), "/", folder));
  if (absl::IsNotFound(entries.status())) return absl::OkStatus();
  if (!entries.ok()) return entries.status();
  for (const Entry& entry : *entries) {
    const std::string ref = absl::StrCat(folder, "/", entry.name);
    if (entry.is_folder) {
      if (depth == kDeepestRevision) continue;
      absl::Status status = AddRefs(
          run, ref,
          stage.empty() ? entry.name : absl::StrCat(stage, "/", entry.name),
          depth + 1, found);
      if (!status.ok()) return status;
      continue;
    }
    const auto name = base::ParseStepName(entry.name);
    // A number alone is a pull request.
    if (!name.has_value() || name->form == base::NameForm::kNumber) continue;
    found->push_back(Revision(run, ref, stage, *name));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsHubCache(const std::vector<Entry>& entries) {
  const auto has = [&](const char* name) {
    return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.is_folder && entry.name == name;
    });
  };
  return has("refs") && has("snapshots");
}

absl::Status FindRevisions(const v1::RunConfig& run,
                           std::vector<Candidate>* found) {
  return AddRefs(run, "refs", "", 0, found);
}

absl::StatusOr<std::set<std::string>> DownloadsIn(const std::string& root) {
  std::set<std::string> hashes;
  const auto entries = ListFolder(absl::StrCat(root, "/blobs"));
  // Without links a cache has no blobs.
  if (absl::IsNotFound(entries.status())) return hashes;
  if (!entries.ok()) return entries.status();
  for (const Entry& entry : *entries) {
    if (!absl::EndsWith(entry.name, ".incomplete")) continue;
    hashes.insert(entry.name.substr(0, entry.name.find('.')));
  }
  return hashes;
}

void MarkDownloads(const std::set<std::string>& downloads, Listing* listing) {
  for (Entry& entry : listing->entries) {
    const std::string blob = entry.link.substr(entry.link.rfind('/') + 1);
    if (blob.empty() || downloads.count(blob) == 0) continue;
    entry.broken = absl::StrCat("is still being downloaded: blobs/", blob,
                                " has a file .incomplete beside it");
  }
}

}  // namespace sinkwatch::discovery

#include "server/discovery/candidates.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/discovery/listing.h"
#include "server/discovery/stillness.h"

namespace sinkwatch::discovery {
namespace {

void AddPart(const std::string& part, std::string* stage) {
  if (part.empty()) return;
  absl::StrAppend(stage, stage->empty() ? "" : "/", part);
}

// Which folders there are under a root, each parent listed once.
class Folders {
 public:
  using Times = std::map<std::string, int64_t>;  // of folders, by name

  // Notes in `listed` the own times of the folders that decide what there is.
  Folders(std::string root, std::string real_root, Found* found)
      : root_(std::move(root)),
        real_root_(std::move(real_root)),
        found_(*found) {}

  // The folder's own time; none where it is not there.
  absl::StatusOr<std::optional<int64_t>> Find(const std::string& parent,
                                              const std::string& name) {
    auto place = known_.find(parent);
    if (place == known_.end()) {
      NoteTimes(parent);
      auto names = NamesIn(parent);
      if (!names.ok()) return names.status();
      place = known_.emplace(parent, *std::move(names)).first;
    }
    const auto time = place->second.find(name);
    if (time == place->second.end()) return std::optional<int64_t>();
    return std::optional<int64_t>(time->second);
  }

 private:
  // A parent that is not there comes into one that is.
  void NoteTimes(std::string folder) {
    for (; folder.size() > root_.size();
         folder = folder.substr(0, folder.rfind('/'))) {
      const int64_t time = Stillness::TimeOf(folder);
      if (time != 0) found_.listed.emplace_back(folder, time);
    }
  }

  absl::StatusOr<Times> NamesIn(const std::string& parent) {
    Times names;
    const auto real = RealPath(parent);
    if (absl::IsNotFound(real.status())) return names;
    if (!real.ok()) return real.status();
    if (*real != real_root_ && !absl::StartsWith(*real, real_root_ + "/")) {
      return names;  // a link out of the root
    }
    const auto entries = ListFolder(parent);
    if (absl::IsNotFound(entries.status())) return names;
    if (!entries.ok()) return entries.status();
    for (const Entry& entry : *entries) {
      if (entry.is_folder) names.emplace(entry.name, entry.modified_ns);
    }
    return names;
  }

  const std::string root_;
  const std::string real_root_;
  Found& found_;
  std::map<std::string, Times> known_;
};

std::string JoinFrom(const std::string& root,
                     const std::vector<std::string>& path, size_t start) {
  return absl::StrCat(
      root, "/",
      absl::StrJoin(path.begin() + static_cast<std::ptrdiff_t>(start),
                    path.end(), "/"));
}

// Puts the row's folder into the candidate, if it is there.
absl::Status FindFolder(const std::string& root, const ManifestRow& row,
                        size_t common, Folders& folders, Candidate* candidate) {
  for (size_t start = common + 1; start-- > 0;) {
    const std::string path = JoinFrom(root, row.path, start);
    const std::string parent = path.substr(0, path.rfind('/'));
    const auto time = folders.Find(parent, row.path.back());
    if (!time.ok()) return time.status();
    if (!time->has_value()) continue;
    candidate->path = path;
    candidate->modified_ns = **time;
    break;
  }
  return absl::OkStatus();
}

// Ingredients restart within a stage, which only the run knows.
std::string StageOfRow(const v1::RunConfig& run, const ManifestRow& row) {
  if (row.stage.empty()) return run.stage();
  if (row.is_ingredient && !run.stage().empty()) {
    return absl::StrCat(run.stage(), "-", row.stage);
  }
  return row.stage;
}

Candidate CandidateOfRow(const v1::RunConfig& run, const ManifestRow& row) {
  Candidate candidate;
  candidate.is_listed = true;
  if (const auto name = base::ParseStepName(row.path.back()))
    candidate.name = *name;
  candidate.stage = StageOfRow(run, row);
  candidate.step = row.step;
  candidate.tokens = row.tokens;
  candidate.why_bad = row.why_bad;
  return candidate;
}

}  // namespace

std::string StageOf(const std::string& run_stage,
                    const std::string& folder_stage,
                    const base::StepName& name) {
  std::string stage = folder_stage;
  AddPart(name.stage, &stage);
  if (stage.empty()) stage = run_stage;
  if (name.axis == base::StepAxis::kTokens) AddPart("tokens", &stage);
  if (name.axis == base::StepAxis::kEpochs) AddPart("epochs", &stage);
  AddPart(name.variant, &stage);
  if (!name.seed.empty()) AddPart(absl::StrCat("seed-", name.seed), &stage);
  if (name.converted) AddPart("hf", &stage);
  return stage;
}

absl::Status FindManifestRows(const v1::RunConfig& run,
                              const Manifest& manifest, Found* found) {
  auto real_root = RealPath(run.root());
  if (!real_root.ok()) return real_root.status();
  Folders folders(run.root(), *std::move(real_root), found);
  for (const ManifestRow& row : manifest.rows) {
    Candidate candidate = CandidateOfRow(run, row);
    const std::string wanted = JoinFrom(run.root(), row.path, manifest.common);
    if (row.why_bad.empty()) {
      RETURN_IF_ERROR(
          FindFolder(run.root(), row, manifest.common, folders, &candidate));
      if (candidate.path.empty()) {
        candidate.why_missing = absl::StrCat("not there yet: ", wanted);
      }
    }
    if (candidate.path.empty()) candidate.path = wanted;
    found->candidates.push_back(std::move(candidate));
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::discovery

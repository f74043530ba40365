#include "server/discovery/hub_cache.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/small_file.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/discovery/listing.h"
#include "server/discovery/stillness.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kDeepestRevision = 4;
constexpr size_t kMaxCommit = 64;
constexpr char kPullRequests[] = "pr";
constexpr char kMain[] = "main";

// The commit that a file of refs holds; empty if it holds none.
std::string ReadCommit(const std::string& path) {
  const auto text = base::ReadSmallFile(path, /*most_mebibytes=*/1);
  if (!text.ok()) return "";
  const std::string commit(absl::StripAsciiWhitespace(*text));
  const bool hex = std::all_of(commit.begin(), commit.end(), [](char c) {
    return absl::ascii_isxdigit(static_cast<unsigned char>(c));
  });
  return hex && commit.size() <= kMaxCommit ? commit : "";
}

Candidate Revision(const v1::RunConfig& run, const std::string& ref,
                   const std::string& stage, const base::StepName& name) {
  Candidate candidate;
  candidate.name = name;
  candidate.stage = base::EscapeBytes(StageOf(run.stage(), stage, name));
  candidate.step = name.step;
  candidate.tokens = name.tokens;
  candidate.is_listed = true;
  candidate.is_download = true;
  const std::string commit = ReadCommit(absl::StrCat(run.root(), "/", ref));
  candidate.path = absl::StrCat(run.root(), "/snapshots/", commit);
  if (commit.empty()) {
    candidate.path = absl::StrCat(run.root(), "/", ref);
    candidate.why_missing = absl::StrCat(ref, " holds no commit");
  }
  return candidate;
}

class Revisions {
 public:
  Revisions(const Naming& naming, UnknownFolders& unknown, Found* found)
      : naming_(naming), unknown_(unknown), found_(*found) {}

  absl::Status AddRefs(const std::string& folder, const std::string& stage,
                       int depth) {
    NoteTime(folder);
    const auto entries = ListFolder(PathOf(folder));
    if (absl::IsNotFound(entries.status())) return absl::OkStatus();
    if (!entries.ok()) return entries.status();
    for (const Entry& entry : *entries) {
      const std::string ref = absl::StrCat(folder, "/", entry.name);
      if (!entry.is_folder) {
        AddRef(ref, stage, entry.name);
      } else if (depth == kDeepestRevision) {
        found_.left.Add(WhyAlone::kTooDeep, ref);
      } else {
        RETURN_IF_ERROR(AddRefs(
            ref,
            stage.empty() ? entry.name : absl::StrCat(stage, "/", entry.name),
            depth + 1));
      }
    }
    return absl::OkStatus();
  }

  // Tells the revisions when their snapshots were changed, so that not every
  // one is listed at each look, and leaves those of other revisions alone.
  absl::Status AddSnapshots() {
    NoteTime("blobs");  // what is being downloaded
    NoteTime("snapshots");
    const auto entries = ListFolder(PathOf("snapshots"));
    if (absl::IsNotFound(entries.status())) return absl::OkStatus();
    if (!entries.ok()) return entries.status();
    std::map<std::string, int64_t> times;
    for (const Entry& entry : *entries) {
      const std::string path = absl::StrCat("snapshots/", entry.name);
      times[PathOf(path)] = entry.modified_ns;
      if (snapshots_.count(PathOf(path)) == 0) {
        found_.left.Add(WhyAlone::kNoStep, path);
      }
    }
    for (Candidate& candidate : found_.candidates) {
      const auto time = times.find(candidate.path);
      if (time != times.end()) candidate.modified_ns = time->second;
    }
    return absl::OkStatus();
  }

 private:
  void NoteTime(const std::string& folder) {
    const int64_t time = Stillness::TimeOf(PathOf(folder));
    if (time != 0) found_.listed.emplace_back(PathOf(folder), time);
  }

  std::string PathOf(const std::string& path) const {
    return absl::StrCat(naming_.run.root(), "/", path);
  }

  void AddRef(const std::string& ref, const std::string& stage,
              const std::string& text) {
    auto name = ReadStepName(naming_, text, false);
    if (!name.has_value() || stage == kPullRequests) {
      const bool holds_steps =
          stage != kPullRequests && AddStepsIn(ref, stage, text);
      if (!holds_steps) found_.left.Add(WhyAlone::kNoStep, ref);
      return;
    }
    // A revision that is named for a step is no other thing.
    if (name->form == base::NameForm::kLoose)
      name->form = base::NameForm::kStep;
    found_.candidates.push_back(Revision(naming_.run, ref, stage, *name));
    snapshots_.insert(found_.candidates.back().path);
  }

  // Whether the snapshot of a revision that is none of a step holds folders of
  // steps, which are followed then.
  bool AddStepsIn(const std::string& ref, const std::string& stage,
                  const std::string& text) {
    const std::string commit = ReadCommit(PathOf(ref));
    if (commit.empty()) return false;
    const std::string path = absl::StrCat("snapshots/", commit);
    const auto entries = ListRoot(PathOf(path), naming_.real_root);
    if (!entries.ok() || !HoldsSteps(naming_, *entries)) return false;
    if (!snapshots_.insert(PathOf(path)).second) return true;
    found_.listed.emplace_back(PathOf(path), Stillness::TimeOf(PathOf(path)));
    SortedFolder folder;
    if (stage.empty() && text != kMain) folder.stage = text;
    if (!stage.empty()) folder.stage = absl::StrCat(stage, "/", text);
    const size_t before = found_.candidates.size();
    const absl::Status status =
        FindNewFolders(naming_, path, folder, *entries, unknown_, &found_);
    for (size_t i = before; i < found_.candidates.size(); ++i) {
      found_.candidates[i].is_download = true;
    }
    return status.ok();
  }

  const Naming& naming_;
  UnknownFolders& unknown_;
  Found& found_;
  std::set<std::string> snapshots_;
};

}  // namespace

bool IsHubCache(const std::vector<Entry>& entries) {
  const auto has = [&](const char* name) {
    return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.is_folder && entry.name == name;
    });
  };
  return has("refs") && has("snapshots");
}

std::vector<Entry> BesideHubCache(const std::vector<Entry>& entries) {
  static const std::set<std::string> kOwn = {
      "refs", "snapshots", "blobs", ".no_exist", "trees", ".locks"};
  std::vector<Entry> others;
  for (const Entry& entry : entries) {
    if (kOwn.count(entry.name) == 0) others.push_back(entry);
  }
  return others;
}

absl::Status FindRevisions(const Naming& naming, UnknownFolders& unknown,
                           Found* found) {
  Revisions revisions(naming, unknown, found);
  RETURN_IF_ERROR(revisions.AddRefs("refs", "", 0));
  return revisions.AddSnapshots();
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

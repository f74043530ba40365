#include "server/discovery/root_notes.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/base/step_name.h"
#include "proto/base/utf8.h"
#include "server/discovery/foreign_format.h"
#include "server/discovery/hub_cache.h"
#include "server/discovery/layout.h"
#include "server/discovery/listing.h"

namespace sinkwatch::discovery {
namespace {

std::string LastPart(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// Empty unless the root is a checkpoint itself.
std::string NoteOfItself(const std::string& root,
                         const std::string& real_root) {
  const auto listing = ListCheckpoint(root, real_root, CountedFolders());
  if (!listing.ok() || !HoldsCheckpoint(*listing)) return "";
  const ForeignFormat* const format = FindForeignFormat(*listing);
  std::string files;
  for (const Entry& entry : listing->entries) {
    if (entry.is_folder || !BelongsToCheckpoint("", entry)) continue;
    absl::StrAppend(&files, files.empty() ? "" : ", ", entry.name);
    if (files.size() > 100) break;
  }
  // Each of its files is one, or a part of one, with a config for all.
  if (!HasKnownWeights(*listing) && format != nullptr && IsOfOneFile(*format)) {
    return "";
  }
  const std::string parent = real_root.substr(0, real_root.rfind('/'));
  const std::string what =
      absl::StrCat("the root is itself a checkpoint (",
                   files.empty() ? "weights" : files, " in it)");
  if (base::ParseStepName(LastPart(real_root)).has_value()) {
    return absl::StrCat(what, ": the root that would work is ",
                        parent.empty() ? "/" : parent);
  }
  return absl::StrCat(what,
                      ": put it into a folder that is named by its step, as ",
                      real_root, "/step0, or rename it so and take ",
                      parent.empty() ? "/" : parent, " as the root");
}

// Empty unless the root is a part of a download cache: its snapshots, or one.
std::string NoteOfCache(const std::string& real_root) {
  std::string snapshots = real_root;
  if (LastPart(snapshots) != "snapshots") {
    snapshots = snapshots.substr(0, snapshots.rfind('/'));
  }
  if (LastPart(snapshots) != "snapshots") return "";
  const std::string cache = snapshots.substr(0, snapshots.rfind('/'));
  const auto entries = ListFolder(cache);
  if (!entries.ok() || !IsHubCache(*entries)) return "";
  return absl::StrCat(
      "the root is a part of a download cache of Hugging Face, whose refs tell "
      "the steps: the root that would work is ",
      cache);
}

std::string NoteOfOthers(const std::map<std::string, std::string>& roots) {
  if (roots.empty()) return "";
  const auto& [first, checkpoint] = *roots.begin();
  const std::string what =
      absl::StrCat("no checkpoint lies in the root itself: ", first,
                   " would work as the root (it holds ", checkpoint, ")");
  if (roots.size() == 1) return what;
  return absl::StrCat(what, ", so would ", roots.size() - 1,
                      " other folders; runs_below { pattern: \"[^/]+\" } "
                      "follows each as a run of its own");
}

std::string NoteOfAxis(base::StepAxis axis, const char* what,
                       const std::vector<const Candidate*>& followed) {
  for (const Candidate* candidate : followed) {
    if (candidate->name.axis != axis) continue;
    return absl::StrCat("names such as ", LastPart(candidate->path), " tell ",
                        what, " and no step: the steps of stage \"",
                        candidate->stage, "\" count ", what);
  }
  return "";
}

}  // namespace

std::vector<std::string> RootNotes(
    const std::string& root, const std::string& real_root, const Found& found,
    const std::vector<const Candidate*>& followed) {
  std::vector<std::string> notes;
  if (followed.empty()) {
    notes = {NoteOfCache(real_root), NoteOfOthers(found.other_roots)};
    if (notes[0].empty()) notes[0] = NoteOfItself(root, real_root);
  }
  notes.push_back(NoteOfAxis(base::StepAxis::kTokens, "tokens", followed));
  notes.push_back(NoteOfAxis(base::StepAxis::kEpochs, "epochs", followed));
  notes.erase(std::remove(notes.begin(), notes.end(), ""), notes.end());
  for (std::string& note : notes) note = base::EscapeBytes(note);
  return notes;
}

}  // namespace sinkwatch::discovery

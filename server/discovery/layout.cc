#include "server/discovery/layout.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "proto/base/sha256.h"
#include "proto/base/step_name.h"
#include "server/discovery/foreign_format.h"
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

// Names alone, then signs that only one trainer leaves, then what is left.
const Layout* const kLayouts[] = {&kGptNeox, &kNanotron,   &kHfTrainer,
                                  &kOlmo,    &kTorchDcp,   &kOlmoCore,
                                  &kDcpHf,   &kHuggingFace};

// What the layouts state, by the sub-folder that it lies in.
using Patterns = std::map<std::string, std::set<absl::string_view>>;

const Patterns& FilesThatCount() {
  static const Patterns* const kPatterns = [] {
    auto* const patterns = new Patterns;
    for (const Layout* layout : kLayouts) {
      for (absl::string_view path : layout->files) {
        const size_t slash = path.rfind('/');
        const bool is_top = slash == absl::string_view::npos;
        const std::string folder(is_top ? "" : path.substr(0, slash));
        (*patterns)[folder].insert(is_top ? path : path.substr(slash + 1));
      }
    }
    return patterns;
  }();
  return *kPatterns;
}

// Of '#' nine digits at most: no number of a shard has more.
bool Matches(absl::string_view pattern, absl::string_view name) {
  if (pattern.empty()) return name.empty();
  const absl::string_view rest = pattern.substr(1);
  if (pattern[0] != '*' && pattern[0] != '#') {
    return absl::ConsumePrefix(&name, pattern.substr(0, 1)) &&
           Matches(rest, name);
  }
  const bool is_number = pattern[0] == '#';
  for (size_t taken = is_number ? 1 : 0; taken <= name.size(); ++taken) {
    if (is_number && (taken > 9 || !absl::ascii_isdigit(name[taken - 1]))) {
      return false;
    }
    if (Matches(rest, name.substr(taken))) return true;
  }
  return false;
}

// Every file that counts, by its path in the folder.
std::map<std::string, const Entry*> FilesOf(const Listing& listing) {
  std::map<std::string, const Entry*> files;
  for (const Entry& entry : listing.entries) {
    if (BelongsToCheckpoint("", entry)) files[entry.name] = &entry;
  }
  for (const auto& [folder, entries] : listing.folders) {
    for (const Entry& entry : entries) {
      if (!BelongsToCheckpoint(folder, entry)) continue;
      files[absl::StrCat(folder, "/", entry.name)] = &entry;
    }
  }
  return files;
}

void AppendFile(const std::string& path, const Entry& entry,
                std::string* text) {
  absl::StrAppend(text, path, "\t", entry.size, "\t", entry.modified_ns, "\n");
}

// What a link leads to may still come; where it leads stays as it is.
Verdict WaitingForLink(const std::string& path, const Entry& link) {
  Verdict verdict = WaitingFor(absl::StrCat(path, " ", link.broken));
  if (!absl::StrContains(link.broken, "leaves the run's root")) return verdict;
  verdict.later = Verdict::Kind::kUnsupported;
  verdict.code = "link-out";
  verdict.why_later = absl::StrCat(
      verdict.why,
      ": take a folder that holds both as the root, or put the file here");
  return verdict;
}

void SayUnsupported(const std::string& code, std::string why,
                    Verdict* verdict) {
  verdict->later = Verdict::Kind::kUnsupported;
  verdict->code = code;
  verdict->why_later = std::move(why);
}

// Nothing that a save begins with, and nothing that is on the way. In sharded/
// are ranks' parts on the way to be made one.
bool HoldsNothingKnown(const Listing& listing) {
  return !listing.entries.empty() && !HasKnownWeights(listing) &&
         !HasDcpFiles(listing.entries) && !HasOwnConfig(listing) &&
         std::none_of(listing.entries.begin(), listing.entries.end(),
                      [](const Entry& entry) {
                        return entry.name == "sharded" ||
                               base::IsUnderWay(entry.name);
                      });
}

// What a folder is once nothing has changed in it for the grace time: whole if
// only what is no part of a model is missing, or of a form that is not read, or
// it is waited for on.
void SayLater(const Layout& layout, const Subject& subject, Verdict* verdict) {
  const Listing& listing = subject.listing;
  if (IsWholeHuggingFace(subject)) {
    verdict->later = Verdict::Kind::kComplete;
    return;
  }
  const bool lacks_config = HasWholeWeights(listing.entries) &&
                            FindFile(listing.entries, "config.json") == nullptr;
  // save_pretrained writes it before the weights.
  if (lacks_config && (subject.is_download || &layout == &kHuggingFace ||
                       &layout == &kHfTrainer || &layout == &kDcpHf)) {
    SayUnsupported("no-config",
                   absl::StrCat("config.json is not there, though the weights "
                                "are whole",
                                ConfigsOfOthers(listing.entries),
                                ": give the run a model_config"),
                   verdict);
    return;
  }
  const ForeignFormat* const format =
      HasKnownWeights(listing) ? nullptr : FindForeignFormat(listing);
  if (format != nullptr) {
    SayUnsupported(format->code, WhyForeign(*format, listing), verdict);
  } else if (&layout == &kHuggingFace && HoldsNothingKnown(listing)) {
    SayUnsupported(kNothingKnown,
                   absl::StrCat(WhatIsThere(listing),
                                ", none of which is of a form that is known: "
                                "if weights lie further down, move them up"),
                   verdict);
  } else if (verdict->why_later.empty()) {
    verdict->why_later = absl::StrCat(verdict->why, "; ", WhatIsThere(listing));
  }
}

}  // namespace

const Layout* FindLayout(const Subject& subject) {
  if (subject.name.form == base::NameForm::kLoose &&
      !HoldsCheckpoint(subject.listing)) {
    const ForeignFormat* const format = FindForeignFormat(subject.listing);
    if (format == nullptr || !IsProof(*format, subject.listing)) {
      return nullptr;
    }
  }
  for (const Layout* layout : kLayouts) {
    if (layout->recognises(subject)) return layout;
  }
  return nullptr;
}

bool HoldsCheckpoint(const Listing& listing) {
  if (HasKnownWeights(listing) || HasDcpFiles(listing.entries)) return true;
  if (FindFile(listing.entries, "model_config.json") != nullptr) return true;
  // Files alone: folders of such names (hf, weights) hold other things too.
  Listing files;
  for (const Entry& entry : listing.entries) {
    if (!entry.is_folder) files.entries.push_back(entry);
  }
  const ForeignFormat* const format = FindForeignFormat(files);
  // An archive may be of anything, and a trainer's state lies beside runs too.
  return format != nullptr && format->kind != ForeignFormat::Kind::kArchive &&
         format->kind != ForeignFormat::Kind::kState;
}

Verdict Judge(const Layout& layout, const Subject& subject) {
  for (const auto& [path, entry] : FilesOf(subject.listing)) {
    if (!entry->broken.empty()) return WaitingForLink(path, *entry);
  }
  for (const Entry& entry : subject.listing.entries) {
    if (entry.name == "model_and_optim" && !entry.broken.empty()) {
      return WaitingForLink(entry.name, entry);
    }
  }
  Verdict verdict = layout.judge(subject);
  if (verdict.kind == Verdict::Kind::kWaiting) {
    SayLater(layout, subject, &verdict);
  }
  return verdict;
}

bool BelongsToCheckpoint(const std::string& folder, const Entry& entry) {
  if (entry.is_folder || base::IsUnderWay(entry.name)) return false;
  const auto patterns = FilesThatCount().find(folder);
  return patterns != FilesThatCount().end() &&
         std::any_of(patterns->second.begin(), patterns->second.end(),
                     [&](absl::string_view pattern) {
                       return Matches(pattern, entry.name);
                     });
}

bool HasKnownWeights(const Listing& listing) {
  for (const auto& [path, entry] : FilesOf(listing)) {
    if (path != "config.json" && path != "config.yaml" &&
        path != "run_config.yaml") {
      return true;
    }
  }
  return false;
}

const std::set<std::string>& CountedFolders() {
  static const auto* const kFolders = [] {
    auto* const folders = new std::set<std::string>;
    for (const auto& [folder, patterns] : FilesThatCount()) {
      if (!folder.empty()) folders->insert(folder);
    }
    return folders;
  }();
  return *kFolders;
}

bool HasOwnConfig(const Listing& listing) {
  return FindFile(listing.entries, "config.json") != nullptr ||
         FindFile(listing.entries, "config.yaml") != nullptr;
}

std::string Fingerprint(const Listing& listing, const Entry* config) {
  std::string text;
  for (const auto& [path, entry] : FilesOf(listing)) {
    AppendFile(path, *entry, &text);
  }
  if (config != nullptr && !HasOwnConfig(listing)) {
    AppendFile("the run's model_config", *config, &text);
  }
  return base::Sha256Hex(text);
}

int64_t LatestUnderWay(const Listing& listing) {
  int64_t latest = 0;
  for (Entry entry : listing.entries) {
    if (!base::IsUnderWay(entry.name)) continue;
    entry.name = base::WithoutUnderWay(entry.name);
    if (!BelongsToCheckpoint("", entry)) continue;
    latest = std::max(latest, entry.modified_ns);
  }
  return latest;
}

int64_t LatestChange(const Listing& listing) {
  int64_t latest = 0;
  for (const auto& [path, entry] : FilesOf(listing)) {
    latest = std::max(latest, entry->modified_ns);
  }
  return latest;
}

}  // namespace sinkwatch::discovery

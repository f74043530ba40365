#include "server/discovery/step_folders.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/discovery/flat_file.h"
#include "server/discovery/foreign_format.h"
#include "server/discovery/layout.h"
#include "server/discovery/listing.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kDeepestStage = 3;
constexpr size_t kMaxRoots = 20;

std::string Join(const std::string& folder, const std::string& name) {
  if (folder.empty() || name.empty()) return folder + name;
  return absl::StrCat(folder, "/", name);
}

// Names that are read otherwise are none; a count that is none is no step.
std::optional<base::StepName> ByPattern(const server::NamePattern& pattern,
                                        const std::string& name) {
  const auto groups = pattern.Match(name);
  if (!groups.has_value()) return std::nullopt;
  const auto text = [&](const char* group) {
    const auto place = groups->find(group);
    return place == groups->end() ? "" : place->second;
  };
  base::StepName parsed;
  parsed.form = base::NameForm::kLoose;
  parsed.stage = text("stage");
  parsed.seed = text("seed");
  const auto tokens = base::ParseCount(text("tokens"));
  const auto step = base::ParseCount(text("step"));
  parsed.tokens = tokens.value_or(0);
  if (!step.has_value() && !tokens.has_value()) return std::nullopt;
  parsed.step = step.value_or(parsed.tokens);
  if (!step.has_value()) parsed.axis = base::StepAxis::kTokens;
  return parsed;
}

bool IsWeightsFile(const std::string& name) {
  for (const char* end : {".pt", ".pth", ".ckpt", ".bin", ".safetensors"}) {
    if (absl::EndsWith(name, end)) return true;
  }
  return false;
}

// Whether a file of weights says nothing of a step, and so for a person to
// name: model.safetensors, last.ckpt. A .bin may hold anything.
bool IsUnnamed(const std::string& name, const ForeignFormat* format) {
  const bool is_known = BelongsToCheckpoint("", {name, false, 1, 0, "", ""});
  return is_known ? IsWeightsFile(name)
                  : format != nullptr &&
                        format->kind == ForeignFormat::Kind::kWeightsFile &&
                        !absl::EndsWith(name, ".bin");
}

// Why a file that tells no step as a checkpoint of its own is left alone.
WhyAlone WhyNoCheckpoint(const std::string& name) {
  const ForeignFormat* const format = FindForeignFile(name);
  if (IsUnnamed(name, format)) return WhyAlone::kNoStep;
  if (format == nullptr || format->kind == ForeignFormat::Kind::kWeightsFile ||
      format->kind == ForeignFormat::Kind::kState) {
    return WhyAlone::kFile;
  }
  // Arrays and archives may hold anything, unless they are named by a step.
  const std::string stem = name.substr(0, name.find('.'));
  return IsProof(*format, {}) || base::ParseStepName(stem).has_value()
             ? WhyAlone::kForeign
             : WhyAlone::kFile;
}

class Search {
 public:
  Search(const Naming& naming, UnknownFolders& unknown, Found* found)
      : naming_(naming), unknown_(unknown), found_(*found) {}

  // `folder` is the path below the root, `stage` what it says.
  absl::Status Add(const std::string& folder, const std::string& stage,
                   int depth, const std::vector<Entry>& entries) {
    SortedFolder& sorted = found_.sorted[folder];
    sorted.stage = stage;
    sorted.depth = depth;
    sorted.names.reserve(entries.size());
    for (const Entry& entry : entries) {
      if (!base::IsUnderWay(entry.name)) {
        sorted.names.insert(NameKey(entry.name));
      }
      const Place place{Join(folder, entry.name), stage, depth};
      if (!entry.broken.empty()) {
        Leave(absl::StrContains(entry.broken, "leaves") ? WhyAlone::kLinkOut
                                                        : WhyAlone::kLinkBroken,
              place);
      } else if (base::IsUnderWay(entry.name)) {
        Leave(WhyAlone::kUnderWay, place);
      } else if (entry.is_folder) {
        RETURN_IF_ERROR(AddFolder(place, entry));
      } else {
        AddFile(place, entry, entries);
      }
    }
    return absl::OkStatus();
  }

  // Links to folders, once it is known what is found without them.
  void AddLinked() {
    std::set<std::string> found;
    for (const Candidate& candidate : found_.candidates) {
      found.insert(candidate.path);
    }
    for (Linked& linked : linked_) {
      if (found.count(linked.candidate.path) != 0) {
        Leave(WhyAlone::kLink, linked.place);
      } else {
        found_.candidates.push_back(std::move(linked.candidate));
      }
    }
  }

 private:
  struct Place {
    std::string path;  // below the root
    std::string stage;
    int depth;
  };
  struct Linked {
    Place place;
    Candidate candidate;  // of the folder that it leads to
  };

  void Leave(WhyAlone why, const Place& place) {
    found_.left.Add(why, place.path);
  }

  std::string PathOf(const Place& place) const {
    return absl::StrCat(naming_.run.root(), "/", place.path);
  }

  Candidate NewCandidate(const Place& place, const base::StepName& name,
                         const Entry& entry) const {
    Candidate candidate;
    candidate.path = PathOf(place);
    candidate.name = name;
    candidate.stage =
        base::EscapeBytes(StageOf(naming_.run.stage(), place.stage, name));
    candidate.step = name.step;
    candidate.tokens = name.tokens;
    candidate.modified_ns = entry.modified_ns;
    return candidate;
  }

  absl::Status AddFolder(const Place& place, const Entry& entry) {
    const auto name = ReadStepName(naming_, entry.name, false);
    const bool is_stage = base::IsStageFolder(entry.name);
    if (!entry.link.empty()) {
      AddLink(place, name, entry);
      return absl::OkStatus();
    }
    // A name that proves little may be that of a stage (from_step5_stage2).
    if (is_stage &&
        (!name.has_value() || name->form == base::NameForm::kLoose)) {
      found_.listed.emplace_back(PathOf(place), entry.modified_ns);
      const auto below = ListRoot(PathOf(place), naming_.real_root);
      if (absl::IsNotFound(below.status())) return absl::OkStatus();
      if (!below.ok()) return below.status();
      if (!name.has_value() || HoldsSteps(naming_, *below)) {
        return AddStage(place, entry, *below);
      }
    }
    if (!name.has_value()) {
      LeaveUnknown(naming_, place.path, entry.modified_ns, unknown_, &found_);
    } else if (name->converted && !naming_.run.include_hf_siblings()) {
      Leave(WhyAlone::kConversion, place);
    } else {
      found_.candidates.push_back(NewCandidate(place, *name, entry));
    }
    return absl::OkStatus();
  }

  absl::Status AddStage(const Place& place, const Entry& entry,
                        const std::vector<Entry>& below) {
    if (place.depth == kDeepestStage) {
      Leave(WhyAlone::kTooDeep, place);
      return absl::OkStatus();
    }
    if (below.empty()) Leave(WhyAlone::kNoCheckpoint, place);
    return Add(place.path, Join(place.stage, entry.name), place.depth + 1,
               below);
  }

  void AddLink(const Place& place, const std::optional<base::StepName>& name,
               const Entry& entry) {
    const auto real = RealPath(PathOf(place));
    if (!name.has_value() || !real.ok() || *real == naming_.real_root) {
      return Leave(WhyAlone::kLink, place);
    }
    if (name->converted && !naming_.run.include_hf_siblings()) {
      return Leave(WhyAlone::kConversion, place);
    }
    Linked linked{place, NewCandidate(place, *name, entry)};
    linked.candidate.path = absl::StrCat(
        naming_.run.root(), real->substr(naming_.real_root.size()));
    linked.candidate.modified_ns = 0;  // that of the folder is not known here
    linked_.push_back(std::move(linked));
  }

  void AddFile(const Place& place, const Entry& entry,
               const std::vector<Entry>& beside) {
    const auto name = ReadStepName(naming_, entry.name, true);
    if (!name.has_value()) return Leave(WhyNoCheckpoint(entry.name), place);
    found_.candidates.push_back(NewCandidate(place, *name, entry));
    found_.candidates.back().file = entry;
    const Entry* const config = FindConfigOfFile(entry.name, beside);
    if (config != nullptr) found_.candidates.back().file_config = *config;
  }

  const Naming& naming_;
  UnknownFolders& unknown_;
  Found& found_;
  std::vector<Linked> linked_;
};

std::optional<base::StepName> ReadAnew(const Naming& naming,
                                       const std::string& name, bool is_file) {
  if (naming.step_pattern.has_value() && (!is_file || IsWeightsFile(name)) &&
      !base::IsUnderWay(name)) {
    auto parsed = ByPattern(*naming.step_pattern, name);
    if (!parsed.has_value() && is_file) {
      parsed = ByPattern(*naming.step_pattern, name.substr(0, name.rfind('.')));
    }
    if (parsed.has_value()) return parsed;
  }
  return is_file ? base::ParseStepFile(name) : base::ParseStepName(name);
}

}  // namespace

std::optional<base::StepName> ReadStepName(const Naming& naming,
                                           const std::string& name,
                                           bool is_file) {
  if (naming.read == nullptr) return ReadAnew(naming, name, is_file);
  const std::string key = is_file ? name + "/" : name;
  const auto known = naming.read->find(key);
  if (known != naming.read->end()) return known->second;
  return naming.read->emplace(key, ReadAnew(naming, name, is_file))
      .first->second;
}

void LeaveUnknown(const Naming& naming, const std::string& path,
                  int64_t modified_ns, UnknownFolders& unknown, Found* found) {
  if (path[path.rfind('/') + 1] == '.') {
    return found->left.Add(WhyAlone::kNoCheckpoint, path);
  }
  const std::string full = absl::StrCat(naming.run.root(), "/", path);
  const UnknownFolder& folder =
      unknown.LookInto(full, modified_ns, naming.real_root);
  found->left.Add(folder.why, path);
  if (folder.why == WhyAlone::kBelow && found->other_roots.size() < kMaxRoots) {
    found->other_roots.emplace(Join(full, folder.root), folder.checkpoint);
  }
}

bool HoldsSteps(const Naming& naming, const std::vector<Entry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.is_folder &&
           ReadStepName(naming, entry.name, false).has_value();
  });
}

size_t NameKey(const std::string& name) { return absl::HashOf(name); }

absl::Status FindNewFolders(const Naming& naming, const std::string& path,
                            const SortedFolder& folder,
                            const std::vector<Entry>& entries,
                            UnknownFolders& unknown, Found* found) {
  Search search(naming, unknown, found);
  return search.Add(path, folder.stage, folder.depth, entries);
}

absl::Status FindStepFolders(const Naming& naming,
                             const std::vector<Entry>& entries,
                             UnknownFolders& unknown, Found* found) {
  Search search(naming, unknown, found);
  RETURN_IF_ERROR(search.Add("", "", 0, entries));
  search.AddLinked();
  return absl::OkStatus();
}

}  // namespace sinkwatch::discovery

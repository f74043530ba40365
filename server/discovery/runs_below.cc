#include "server/discovery/runs_below.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/sha256.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/discovery/listing.h"
#include "server/name_pattern.h"
#include "server/names.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kDeepest = 3;
constexpr size_t kMaxRuns = 1000;
constexpr size_t kMaxFolders = 10000;
constexpr size_t kMaxName = 64;
constexpr size_t kHash = 8;

// "base.70M.seed-1" of the folder 70M/seed-1; with a hash of the path where the
// name would be too long, or is taken.
std::string NameOf(const std::string& run, const std::string& path,
                   const std::set<std::string>& taken) {
  std::string name = absl::StrCat(run, ".");
  for (unsigned char c : path) {
    const bool plain =
        absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
    name += c == '/' ? '.' : plain ? absl::ascii_tolower(c) : '-';
  }
  if (server::IsRunName(name) && taken.count(name) == 0) return name;
  const std::string hash = base::Sha256Hex(path).substr(0, kHash);
  return absl::StrCat(name.substr(0, kMaxName - kHash - 1), "-", hash);
}

class Search {
 public:
  Search(const v1::RunConfig& run, const server::NamePattern& pattern,
         std::string real_root)
      : run_(run), pattern_(pattern), real_root_(std::move(real_root)) {}

  // Whether a run lies in `folder` (a path below the root, or empty).
  absl::StatusOr<bool> LookInto(const std::string& folder, int depth) {
    const auto entries = ListRoot(
        folder.empty() ? run_.root() : absl::StrCat(run_.root(), "/", folder),
        real_root_);
    if (depth > 0 && !entries.ok()) return false;  // gone, or not to be read
    if (!entries.ok()) return entries.status();
    bool found = false;
    for (const Entry& entry : *entries) {
      const std::string path =
          folder.empty() ? entry.name : absl::StrCat(folder, "/", entry.name);
      ASSIGN_OR_RETURN(const bool has_run, Add(path, entry, depth));
      found |= has_run;
      if (!has_run && depth == 0) left_.Add(WhyOf(entry), path);
    }
    return found;
  }

  RunsFound Take() {
    RunsFound found;
    for (auto& [path, run] : runs_) found.runs.push_back(std::move(run));
    found.survey.left_alone = left_.Report();
    if (runs_.size() >= kMaxRuns || folders_ >= kMaxFolders) {
      found.survey.notes.push_back(
          absl::StrCat("more than ", kMaxRuns, " runs or ", kMaxFolders,
                       " folders lie below the root: the others are left out"));
    }
    return found;
  }

 private:
  static WhyAlone WhyOf(const Entry& entry) {
    if (absl::StrContains(entry.broken, "leaves")) return WhyAlone::kLinkOut;
    if (!entry.broken.empty()) return WhyAlone::kLinkBroken;
    return entry.is_folder ? WhyAlone::kNoRun : WhyAlone::kFile;
  }

  absl::StatusOr<bool> Add(const std::string& path, const Entry& entry,
                           int depth) {
    if (!entry.is_folder || !entry.broken.empty()) return false;
    if (folders_ >= kMaxFolders || runs_.size() >= kMaxRuns) return false;
    ++folders_;
    if (const auto groups = pattern_.Match(path)) {
      AddRun(path, *groups);
      return true;
    }
    // A loop of links would end at the depth; it is not entered at all.
    if (depth + 1 >= kDeepest || !entry.link.empty()) return false;
    return LookInto(path, depth + 1);
  }

  void AddRun(const std::string& path,
              const std::map<std::string, std::string>& groups) {
    v1::RunConfig& found = runs_[path];
    found = run_;
    found.clear_runs_below();
    found.set_found_below(run_.name());
    found.set_name(NameOf(run_.name(), path, taken_));
    taken_.insert(found.name());
    found.set_root(absl::StrCat(run_.root(), "/", path));
    for (const auto& [name, value] : groups) {
      (*found.mutable_labels())[name] = base::EscapeBytes(value);
    }
  }

  const v1::RunConfig& run_;
  const server::NamePattern& pattern_;
  const std::string real_root_;
  std::map<std::string, v1::RunConfig> runs_;  // by path
  std::set<std::string> taken_;
  size_t folders_ = 0;
  LeftAlone left_;
};

}  // namespace

absl::StatusOr<RunsFound> FindRunsBelow(const v1::RunConfig& run) {
  ASSIGN_OR_RETURN(const server::NamePattern pattern,
                   server::NamePattern::Compile(run.runs_below().pattern()));
  ASSIGN_OR_RETURN(std::string real_root, RealPath(run.root()));
  Search search(run, pattern, std::move(real_root));
  RETURN_IF_ERROR(search.LookInto("", 0).status());
  return search.Take();
}

}  // namespace sinkwatch::discovery

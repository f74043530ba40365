// The methods of RunScan that find by little work what is new.
#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "proto/base/status_macros.h"
#include "proto/base/step_name.h"
#include "server/discovery/listing.h"
#include "server/discovery/run_scan.h"
#include "server/discovery/step_folders.h"

namespace sinkwatch::discovery {
namespace {

// Fewer folders are looked at each time.
constexpr size_t kMinFolders = 500;
constexpr size_t kMaxWaiting = 500;

// Those of `names` that are not sorted yet; `known` counts the others.
std::vector<std::string> NewOf(const std::vector<std::string>& names,
                               const SortedFolder& folder, size_t& known) {
  std::vector<std::string> fresh;
  for (const std::string& name : names) {
    if (folder.names.contains(NameKey(name))) {
      ++known;
    } else if (!base::IsUnderWay(name)) {
      fresh.push_back(name);
    }
  }
  std::sort(fresh.begin(), fresh.end());
  return fresh;
}

}  // namespace

absl::StatusOr<std::optional<RunScan::Glimpse>> RunScan::Glance(
    const std::vector<StepKey>& but, absl::Time now, const GoOn& go_on) {
  if (!CanGlance()) return std::nullopt;
  const std::vector<size_t> waiting = Waiting();
  if (waiting.size() > kMaxWaiting) return std::nullopt;
  Found found;
  RETURN_IF_ERROR(FindNewNames(go_on, &found));
  Glimpse glimpse;
  ASSIGN_OR_RETURN(glimpse.has_news, JudgeAgain(waiting, go_on));
  ASSIGN_OR_RETURN(const bool has_new, JudgeNew(&found, go_on));
  glimpse.has_news |= has_new || now >= due_;
  Observed observed;
  if (glimpse.has_news) ObserveWaiting(now, observed);
  ObserveAsked(but, now, observed);
  glimpse.seen = Readable(std::move(observed));
  return glimpse;
}

bool RunScan::CanGlance() {
  return judged_.size() > kMinFolders && !sorted_.empty() && doubt().empty() &&
         names_.TrustsTimes() && ReadConfigured().ok() && !is_changed_;
}

std::vector<size_t> RunScan::Waiting() const {
  std::vector<size_t> waiting;
  for (size_t place : unsettled_) {
    if (judged_[place].verdict.kind != Verdict::Kind::kUnsupported) {
      waiting.push_back(place);
    }
  }
  return waiting;
}

absl::Status RunScan::FindNewNames(const GoOn& go_on, Found* found) {
  const absl::Time now = absl::Now();
  for (const std::string& path : names_.Changed()) {
    if (go_on) RETURN_IF_ERROR(go_on());
    const std::string below =
        path.substr(std::min(run_.root().size() + 1, path.size()));
    const auto folder = sorted_.find(below);
    const int64_t time = Stillness::TimeOf(path);
    const auto names = ListNames(path);
    if (folder == sorted_.end() || !names.ok()) {
      wants_look_ = true;
      continue;
    }
    size_t known = 0;
    const auto fresh = NewOf(*names, folder->second, known);
    const auto entries = FoldersNamed(path, fresh);
    wants_look_ |=
        known < folder->second.names.size() || entries.size() < fresh.size();
    RETURN_IF_ERROR(FindNewFolders(NamesHere(), below, folder->second, entries,
                                   unknown_, found));
    names_.Renew(path, time, now);
  }
  for (const auto& [path, time] : found->listed) {
    names_.Renew(path, time, now);
  }
  for (auto& [below, folder] : found->sorted) {
    SortedFolder& known = sorted_[below];
    known.stage = folder.stage;
    known.depth = folder.depth;
    known.names.insert(folder.names.begin(), folder.names.end());
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RunScan::JudgeNew(Found* found, const GoOn& go_on) {
  bool has_news = false;
  for (Candidate& candidate : found->candidates) {
    if (go_on) RETURN_IF_ERROR(go_on());
    if (judged_.size() == judged_.capacity()) {  // what points there stays
      wants_look_ = true;
      break;
    }
    auto judged = LookAt(std::move(candidate), Context());
    if (!judged.has_value()) continue;
    unsettled_.push_back(judged_.size());
    judged_.push_back(*std::move(judged));
    has_news |= Follow(judged_.back());
  }
  return has_news;
}

bool RunScan::Follow(Judged& judged) {
  if (judged.is_none) return false;
  const StepKey key{judged.candidate.stage, judged.candidate.step};
  Judged* const followed = best_.emplace(key, &judged).first->second;
  if (followed == &judged && contested_.count(key) == 0) return true;
  wants_look_ = true;
  return false;
}

absl::StatusOr<bool> RunScan::JudgeAgain(const std::vector<size_t>& places,
                                         const GoOn& go_on) {
  bool has_news = false;
  for (size_t place : places) {
    if (go_on) RETURN_IF_ERROR(go_on());
    Judged& judged = judged_[place];
    Candidate candidate = judged.candidate;
    if (candidate.modified_ns != 0 && !candidate.file.has_value()) {
      candidate.modified_ns = Stillness::TimeOf(candidate.path);
    }
    auto again = LookAgain(std::move(candidate), Context());
    if (!again.has_value()) {
      wants_look_ = true;
      continue;
    }
    judged.candidate.modified_ns = again->candidate.modified_ns;
    if (!IsSameContent(judged, *again)) {
      has_news |= Replace(judged, *std::move(again));
    }
  }
  return has_news;
}

bool RunScan::Replace(Judged& judged, Judged again) {
  const StepKey key{judged.candidate.stage, judged.candidate.step};
  const auto best = best_.find(key);
  const bool is_followed = best != best_.end() && best->second == &judged;
  if (again.is_none || contested_.count(key) != 0 ||
      (best != best_.end() && !is_followed)) {
    wants_look_ = true;
    return false;
  }
  judged = std::move(again);
  return Follow(judged);
}

void RunScan::ObserveWaiting(absl::Time now, Observed& found) {
  due_ = absl::InfiniteFuture();
  for (size_t place : Waiting()) {
    Judged& judged = judged_[place];
    const auto best =
        best_.find({judged.candidate.stage, judged.candidate.step});
    if (best == best_.end() || best->second != &judged) continue;
    Observe(judged, now, found);
    judged.told = told_;
  }
  AsTold as_told;
  for (auto best = best_.begin(); !WantsAll() && best != best_.end(); ++best) {
    if (found.count(best->first) == 0) as_told.push_back(&best->first);
  }
  SkipUnwanted(as_told, now, found);
  unsettled_.erase(
      std::remove_if(unsettled_.begin(), unsettled_.end(),
                     [&](size_t place) { return judged_[place].is_settled; }),
      unsettled_.end());
}

}  // namespace sinkwatch::discovery

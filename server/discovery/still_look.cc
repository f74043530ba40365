// The methods of RunScan that find out whether a look is needed, and what of it
// is news.
#include <algorithm>
#include <utility>

#include "proto/base/status_macros.h"
#include "server/discovery/listing.h"
#include "server/discovery/run_scan.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kListedEachLook = 500;
constexpr size_t kAskedEachLook = 5000;
constexpr int kStillLooks = 32;

// In how many turns so many folders are gone through.
size_t PeriodOf(size_t folders, size_t each_look) {
  return 1 + folders / each_look;
}

}  // namespace

size_t RunScan::TurnsOf(size_t folders) {
  return PeriodOf(folders, kListedEachLook);
}

void RunScan::NoteUnsettled() {
  unsettled_.clear();
  for (size_t i = 0; i < judged_.size(); ++i) {
    if (!judged_[i].is_settled) unsettled_.push_back(i);
  }
  still_looks_ = 0;
  is_changed_ = false;
}

absl::StatusOr<bool> RunScan::IsStill(absl::Time now, const GoOn& go_on) {
  if (judged_.size() <= kListedEachLook || !doubt().empty() ||
      ++still_looks_ >= kStillLooks || now >= due_ || !ReadConfigured().ok() ||
      is_changed_ || !names_.AreStill()) {
    return false;
  }
  ++looks_;
  ASSIGN_OR_RETURN(const bool times, TimesAreStill(go_on));
  return times ? ListsAreStill(go_on) : false;
}

absl::StatusOr<bool> RunScan::TimesAreStill(const GoOn& go_on) {
  const size_t period = PeriodOf(judged_.size(), kAskedEachLook);
  for (size_t i = looks_ % period; i < judged_.size(); i += period) {
    if (go_on) RETURN_IF_ERROR(go_on());
    const Candidate& candidate = judged_[i].candidate;
    if (candidate.modified_ns != 0 &&
        Stillness::TimeOf(candidate.path) != candidate.modified_ns) {
      return false;
    }
  }
  return true;
}

absl::StatusOr<bool> RunScan::ListsAreStill(const GoOn& go_on) {
  const size_t waiting = PeriodOf(unsettled_.size(), kListedEachLook);
  for (size_t i = looks_ % waiting; i < unsettled_.size(); i += waiting) {
    ASSIGN_OR_RETURN(const bool is_still,
                     IsStillAsJudged(unsettled_[i], go_on));
    if (!is_still) return false;
  }
  const size_t period = PeriodOf(judged_.size(), kListedEachLook);
  for (size_t i = looks_ % period; i < judged_.size(); i += period) {
    if (!judged_[i].is_settled) continue;
    ASSIGN_OR_RETURN(const bool is_still, IsStillAsJudged(i, go_on));
    if (!is_still) return false;
  }
  return true;
}

absl::StatusOr<bool> RunScan::IsStillAsJudged(size_t place, const GoOn& go_on) {
  if (go_on) RETURN_IF_ERROR(go_on());
  Judged& judged = judged_[place];
  auto candidate = judged.candidate;
  if (candidate.file.has_value()) {
    const auto file = LookAtFile(candidate.path);
    if (!file.ok()) return false;
    candidate.file->size = file->size;
    candidate.file->modified_ns = file->modified_ns;
  }
  const auto again = LookAt(std::move(candidate), Context());
  if (again.has_value() && IsSameContent(judged, *again)) return true;
  judged.is_settled = false;  // the look that comes lists it
  return false;
}

std::vector<store::Observation> RunScan::Again(
    const std::vector<StepKey>& steps, absl::Time now) {
  Observed found;
  for (const StepKey& step : steps) {
    const auto best = best_.find(step);
    if (best != best_.end()) Observe(*best->second, now, found);
  }
  for (auto& [key, observation] : found) {
    if (skipped_.count(key) != 0) Skip(observation);
  }
  return Readable(std::move(found));
}

RunScan::AsTold RunScan::ObserveNews(const std::vector<StepKey>* but,
                                     absl::Time now, Observed& found) {
  // A manifest that has changed may say something else of the same folder.
  const bool all = but == nullptr || is_changed_;
  std::set<StepKey> wanted;
  if (but != nullptr) wanted.insert(but->begin(), but->end());
  AsTold as_told;
  for (const auto& [key, judged] : best_) {
    if (!all && judged->is_settled && judged->told == told_ &&
        wanted.count(key) == 0) {
      as_told.push_back(&key);
    } else {
      Observe(*judged, now, found);
    }
  }
  return as_told;
}

bool RunScan::Has(const AsTold& steps, const StepKey& key) {
  const auto place =
      std::lower_bound(steps.begin(), steps.end(), key,
                       [](const StepKey* step, const StepKey& wanted) {
                         return *step < wanted;
                       });
  return place != steps.end() && **place == key;
}

void RunScan::NoteTold() {
  ++told_;
  for (const auto& [key, judged] : best_) judged->told = told_;
}

}  // namespace sinkwatch::discovery

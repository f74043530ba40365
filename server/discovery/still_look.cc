// The methods of RunScan that find out whether a look is needed, and what of it
// is news.
#include <algorithm>
#include <utility>

#include "proto/base/status_macros.h"
#include "server/discovery/listing.h"
#include "server/discovery/run_scan.h"
#include "server/discovery/step_policy.h"

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
  wants_look_ = false;
}

absl::StatusOr<bool> RunScan::IsStill(absl::Time now, const GoOn& go_on) {
  if (judged_.size() <= kListedEachLook || !doubt().empty() || wants_look_ ||
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
  const auto again = LookAgain(judged.candidate, Context());
  if (again.has_value() && IsSameContent(judged, *again)) return true;
  judged.is_settled = false;  // the look that comes lists it
  return false;
}

std::vector<store::Observation> RunScan::Again(
    const std::vector<StepKey>& steps, absl::Time now) {
  Observed found;
  ObserveAsked(steps, now, found);
  return Readable(std::move(found));
}

void RunScan::ObserveAsked(const std::vector<StepKey>& steps, absl::Time now,
                           Observed& found) {
  for (const StepKey& step : steps) {
    const auto best = best_.find(step);
    if (best != best_.end()) Observe(*best->second, now, found);
  }
  for (auto& [key, observation] : found) {
    if (skipped_.count(key) != 0) Skip(observation);
  }
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

bool RunScan::WantsAll() const {
  return run_.steps().policy_case() == v1::StepPolicy::kAll ||
         run_.steps().policy_case() == v1::StepPolicy::POLICY_NOT_SET;
}

void RunScan::SkipUnwanted(const AsTold& as_told, absl::Time now,
                           Observed& found) {
  if (WantsAll()) return;
  std::map<std::string, std::vector<int64_t>> steps_by_stage;
  for (const auto& [key, observation] : found) {
    steps_by_stage[key.first].push_back(key.second);
  }
  for (const StepKey* key : as_told) {
    steps_by_stage[key->first].push_back(key->second);
  }
  const std::set<StepKey> before = std::exchange(skipped_, {});
  for (const auto& [stage, steps] : steps_by_stage) {
    const std::set<int64_t> wanted =
        scheduler::WantedSteps(run_.steps(), steps);
    for (int64_t step : steps) {
      if (wanted.count(step) == 0) skipped_.emplace(stage, step);
    }
  }
  for (const StepKey* key : as_told) {
    if (before.count(*key) != skipped_.count(*key)) {
      Observe(*best_.at(*key), now, found);
    }
  }
  for (const StepKey& key : skipped_) {
    const auto place = found.find(key);
    if (place != found.end()) Skip(place->second);
  }
}

void RunScan::Skip(store::Observation& observation) {
  observation.state = v1::JOB_STATE_SKIPPED;
  observation.outcome = v1::OUTCOME_UNSPECIFIED;
  observation.reason = "left out by the run's step policy";
}

void RunScan::NoteTold() {
  ++told_;
  for (const auto& [key, judged] : best_) judged->told = told_;
}

}  // namespace sinkwatch::discovery

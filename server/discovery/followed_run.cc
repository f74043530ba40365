#include "server/discovery/followed_run.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/discovery/runs_below.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::discovery {
namespace {

// Observations between two looks at whether it is time to stop.
constexpr size_t kTellAtOnce = 500;
constexpr size_t kMaxSettling = 1000;
constexpr double kMaxShareOfCore = 0.0125;
constexpr absl::Duration kAllowance = absl::Milliseconds(250);
constexpr absl::Duration kMaxPause = absl::Minutes(1);
constexpr absl::Duration kMaxGlancePause = absl::Seconds(10);

int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

absl::Duration CpuOfThread() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

absl::Status Stopped() {
  return absl::CancelledError("the run is not followed any more");
}

// Everything that the store does not know of the run already, in short.
size_t FactsOf(const store::Observation& seen) {
  const v1::Checkpoint& checkpoint = seen.checkpoint;
  return absl::HashOf(static_cast<int>(seen.state),
                      static_cast<int>(seen.outcome), checkpoint.tokens(),
                      checkpoint.fingerprint(), seen.probe.digest(),
                      checkpoint.path(), seen.reason);
}

StepKey KeyOf(const store::Observation& seen) {
  return {seen.checkpoint.stage(), seen.checkpoint.step()};
}

// Of a look with much news, a first one at a long series, those checkpoints
// that only settle: the next look says what they are, and the store writes
// half.
void LeaveSettling(std::vector<store::Observation>& news,
                   std::map<StepKey, size_t>& told) {
  const auto settles = [](const store::Observation& seen) {
    return seen.state == v1::JOB_STATE_WAITING &&
           absl::StartsWith(seen.reason, "settling");
  };
  for (const store::Observation& seen : news) {
    if (settles(seen)) told.erase(KeyOf(seen));
  }
  news.erase(std::remove_if(news.begin(), news.end(), settles), news.end());
}

absl::StatusOr<std::vector<store::JobRecord>> KnownOf(store::Store& store,
                                                      const std::string& run) {
  std::vector<store::JobRecord> known;
  store::CheckpointQuery query;
  query.run = run;
  query.page.size = store::kMaxPage;
  do {
    ASSIGN_OR_RETURN(store::CheckpointPage page, store.Checkpoints(query));
    std::move(page.jobs.begin(), page.jobs.end(), std::back_inserter(known));
    query.page.token = page.next_page_token;
  } while (!query.page.token.empty());
  return known;
}

}  // namespace

absl::Status FollowedRun::Prepare(store::Store& store) {
  if (scan_ != nullptr || run_.has_runs_below()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto known, KnownOf(store, run_.name()));
  ASSIGN_OR_RETURN(folders_, store.FoldersOf(run_.name()));
  scan_ = std::make_unique<RunScan>(run_, known, folders_);
  return absl::OkStatus();
}

absl::Status FollowedRun::Look(absl::Time now) {
  Hear();
  const absl::Duration before = CpuOfThread();
  absl::Status status =
      run_.has_runs_below() ? LookForRuns() : LookForSteps(now);
  NoteCost(CpuOfThread() - before);
  heard_ns_ = 0;
  return status;
}

absl::Status FollowedRun::GoOn() {
  Hear();
  return stopped_ ? Stopped() : absl::OkStatus();
}

absl::Status FollowedRun::LookForSteps(absl::Time now) {
  const bool knows = std::exchange(is_told_, false);
  is_partial_ = knows;
  glance_.reset();
  seen_.clear();
  if (knows) {
    ASSIGN_OR_RETURN(const bool is_enough, Glance(now));
    if (is_enough) return absl::OkStatus();
  }
  looked_ = now;
  return LookThrough(knows, now);
}

absl::StatusOr<bool> FollowedRun::Glance(absl::Time now) {
  const absl::Duration before = CpuOfThread();
  ASSIGN_OR_RETURN(auto glimpse,
                   scan_->Glance(again_, now, [this] { return GoOn(); }));
  if (!glimpse.has_value()) return false;
  glance_ = CpuOfThread() - before;
  seen_ = std::move(glimpse->seen);
  return now - looked_ < kMaxPause &&
         (glimpse->has_news || DebtNow() > kAllowance);
}

absl::Status FollowedRun::LookThrough(bool knows, absl::Time now) {
  const auto go_on = [this] { return GoOn(); };
  bool is_still = false;
  if (knows) {
    ASSIGN_OR_RETURN(is_still, scan_->IsStill(now, go_on));
  }
  if (is_still) {
    if (!glance_.has_value()) seen_ = scan_->Again(again_, now);
    return absl::OkStatus();
  }
  // What the glance saw counts as told for the look.
  ASSIGN_OR_RETURN(auto seen,
                   scan_->Look(now, go_on, knows ? &again_ : nullptr));
  std::move(seen.begin(), seen.end(), std::back_inserter(seen_));
  NoteSurvey(scan_->survey());
  return absl::OkStatus();
}

absl::Duration FollowedRun::DebtNow() const {
  const auto since = absl::Nanoseconds(SteadyNanoseconds() - noted_ns_);
  return std::max(debt_ - kMaxShareOfCore * since, absl::ZeroDuration());
}

void FollowedRun::NoteCost(absl::Duration cpu) {
  debt_ = DebtNow() + cpu;
  noted_ns_ = SteadyNanoseconds();
}

absl::Duration FollowedRun::Pause() const {
  const absl::Duration over =
      glance_.has_value() ? *glance_ : debt_ - kAllowance;
  return std::clamp(over / kMaxShareOfCore, absl::ZeroDuration(),
                    glance_.has_value() ? kMaxGlancePause : kMaxPause);
}

absl::Status FollowedRun::LookForRuns() {
  ASSIGN_OR_RETURN(RunsFound found, FindRunsBelow(run_));
  found.survey.notes.push_back(absl::StrCat(found.runs.size(),
                                            " runs lie below the root: each is "
                                            "followed as a run of its own, ",
                                            run_.name(), ".FOLDER"));
  NoteSurvey(found.survey);
  runs_below_ = std::move(found.runs);
  return absl::OkStatus();
}

void FollowedRun::NoteSurvey(const Survey& survey) {
  std::set<std::string> before(survey_.notes.begin(), survey_.notes.end());
  for (const v1::LeftAlone& entry : survey_.left_alone) {
    before.insert(entry.kind());
  }
  for (const v1::LeftAlone& entry : survey.left_alone) {
    if (before.count(entry.kind()) != 0) continue;
    spdlog::info("left alone run={} kind={} count={} first=\"{}\" why=\"{}\"",
                 run_.name(), entry.kind(), entry.count(),
                 absl::Utf8SafeCEscape(entry.examples(0)), entry.reason());
  }
  for (const std::string& note : survey.notes) {
    if (before.count(note) != 0) continue;
    spdlog::warn("root of a run run={} note=\"{}\"", run_.name(),
                 absl::Utf8SafeCEscape(note));
  }
  survey_ = survey;
}

absl::Status FollowedRun::Tell(store::Store& store) {
  if (run_.has_runs_below()) return absl::OkStatus();
  RETURN_IF_ERROR(TellNews(store));
  ASSIGN_OR_RETURN(const std::vector<v1::Checkpoint> unsettled,
                   store.UnsettledSteps(run_.name()));
  again_.clear();
  for (const v1::Checkpoint& step : unsettled) {
    again_.emplace_back(step.stage(), step.step());
    told_.erase(again_.back());
  }
  RETURN_IF_ERROR(KeepFolders(store));
  is_told_ = true;
  if (scan_->doubt().empty()) return absl::OkStatus();
  return absl::UnavailableError(scan_->doubt());
}

absl::Status FollowedRun::KeepFolders(store::Store& store) {
  if (folders_ == scan_->folders()) return absl::OkStatus();
  RETURN_IF_ERROR(store.PutFolders(run_.name(), scan_->folders()));
  folders_ = scan_->folders();
  return absl::OkStatus();
}

absl::Status FollowedRun::TellNews(store::Store& store) {
  Told told;
  std::vector<store::Observation> news;
  for (store::Observation& seen : seen_) {
    const StepKey key = KeyOf(seen);
    const size_t facts = FactsOf(seen);
    const auto before = told_.find(key);
    const bool is_news = before == told_.end() || before->second != facts;
    told[key] = facts;
    if (is_news) news.push_back(std::move(seen));
  }
  seen_.clear();
  if (news.size() > kTellAtOnce) debt_ = absl::ZeroDuration();
  if (news.size() > kMaxSettling) LeaveSettling(news, told);
  for (size_t begin = 0; begin < news.size(); begin += kTellAtOnce) {
    if (stopped_) return Stopped();
    const size_t end = std::min(begin + kTellAtOnce, news.size());
    RETURN_IF_ERROR(
        store.Observe({std::make_move_iterator(news.begin() + begin),
                       std::make_move_iterator(news.begin() + end)}));
  }
  if (is_partial_) {
    for (const auto& [key, facts] : told) told_[key] = facts;
  } else {
    told_ = std::move(told);
  }
  return absl::OkStatus();
}

void FollowedRun::Hear() { heard_ns_ = SteadyNanoseconds(); }

absl::Duration FollowedRun::Silence() const {
  const int64_t heard_ns = heard_ns_;
  if (heard_ns == 0) return absl::ZeroDuration();
  return absl::Nanoseconds(
      std::max<int64_t>(SteadyNanoseconds() - heard_ns, 0));
}

}  // namespace sinkwatch::discovery

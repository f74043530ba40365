#include "server/discovery/watcher.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/discovery/runs_below.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMostSettling = 1000;

// A message that names files whose names are no text.
std::string Readable(std::string message) {
  return base::IsUtf8(message) ? std::move(message)
                               : base::EscapeBytes(message);
}

// Everything that the store does not know of the run already.
std::string FactsOf(const store::Observation& seen) {
  const v1::Checkpoint& checkpoint = seen.checkpoint;
  return absl::StrCat(seen.state, "|", seen.outcome, "|", checkpoint.tokens(),
                      "|", checkpoint.fingerprint(), "|", seen.probe.digest(),
                      "|", checkpoint.path(), "|", seen.reason);
}

// Of a look with much news, a first one at a long series, those checkpoints
// that only settle: the next look says what they are, and the store writes
// half.
void LeaveSettling(std::vector<store::Observation>& news,
                   std::map<StepKey, std::string>& told) {
  const auto settles = [](const store::Observation& seen) {
    return seen.state == v1::JOB_STATE_WAITING &&
           absl::StartsWith(seen.reason, "settling");
  };
  for (const store::Observation& seen : news) {
    if (!settles(seen)) continue;
    told.erase({seen.checkpoint.stage(), seen.checkpoint.step()});
  }
  news.erase(std::remove_if(news.begin(), news.end(), settles), news.end());
}

}  // namespace

Watcher::Watcher(store::Store* store, WatcherOptions options)
    : store_(store), options_(std::move(options)) {}

Watcher::~Watcher() { Stop(); }

void Watcher::SetRuns(const std::vector<v1::RunConfig>& runs) {
  base::MutexLock lock(mutex_);
  runs_ = runs;
  runs_changed_ = true;
}

void Watcher::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void Watcher::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  stopping_changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Watcher::Loop() {
  while (true) {
    LookOnce();
    base::MutexLock lock(mutex_);
    const auto next = std::chrono::steady_clock::now() +
                      absl::ToChronoMilliseconds(options_.poll);
    while (!stopping_ && stopping_changed_.WaitUntil(mutex_, next)) {
    }
    if (stopping_) return;
  }
}

void Watcher::LookOnce() {
  base::MutexLock look_lock(look_mutex_);
  std::vector<v1::RunConfig> runs;
  {
    base::MutexLock lock(mutex_);
    runs = runs_;
    if (std::exchange(runs_changed_, false)) followed_.clear();
  }
  for (const v1::RunConfig& run : runs) {
    const absl::Status status =
        base::CatchAll([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return LookAt(run, followed_[run.name()]);
        });
    if (options_.on_look) options_.on_look(run.name(), status);
    base::MutexLock lock(mutex_);
    std::string& error = errors_[run.name()];
    const std::string now = Readable(std::string(status.message()));
    if (error != now && !status.ok()) {
      spdlog::warn("run cannot be looked at run={} error=\"{}\"", run.name(),
                   absl::Utf8SafeCEscape(now));
    }
    error = now;
  }
}

absl::Status Watcher::LookAt(const v1::RunConfig& run, Followed& followed) {
  if (run.has_runs_below()) return LookForRuns(run);
  if (followed.scan == nullptr) {
    ASSIGN_OR_RETURN(followed.scan, NewScan(run));
  }
  ASSIGN_OR_RETURN(std::vector<store::Observation> seen,
                   followed.scan->Look(options_.clock()));
  TellSurvey(run.name(), followed.scan->survey());
  std::map<StepKey, std::string> told;
  std::vector<store::Observation> news;
  for (store::Observation& observation : seen) {
    const StepKey key{observation.checkpoint.stage(),
                      observation.checkpoint.step()};
    std::string facts = FactsOf(observation);
    const auto before = followed.told.find(key);
    if (before == followed.told.end() || before->second != facts) {
      news.push_back(std::move(observation));
    }
    told.emplace(key, std::move(facts));
  }
  if (news.size() > kMostSettling) LeaveSettling(news, told);
  RETURN_IF_ERROR(store_->Observe(news));
  followed.told = std::move(told);
  ASSIGN_OR_RETURN(const std::vector<v1::Checkpoint> unsettled,
                   store_->UnsettledSteps(run.name()));
  for (const v1::Checkpoint& step : unsettled) {
    followed.told.erase({step.stage(), step.step()});
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RunScan>> Watcher::NewScan(
    const v1::RunConfig& run) {
  std::vector<v1::CheckpointStatus> known;
  v1::ListCheckpointsRequest request;
  request.set_run(run.name());
  request.set_page_size(1000);
  do {
    const auto page = store_->ListCheckpoints(request);
    if (!page.ok()) return page.status();
    known.insert(known.end(), page->checkpoints().begin(),
                 page->checkpoints().end());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return std::make_unique<RunScan>(run, known);
}

absl::Status Watcher::LookForRuns(const v1::RunConfig& run) {
  ASSIGN_OR_RETURN(RunsFound found, FindRunsBelow(run));
  found.survey.notes.push_back(absl::StrCat(found.runs.size(),
                                            " runs lie below the root: each is "
                                            "followed as a run of its own, ",
                                            run.name(), ".FOLDER"));
  TellSurvey(run.name(), found.survey);
  return options_.on_runs ? options_.on_runs(run.name(), found.runs)
                          : absl::OkStatus();
}

void Watcher::TellSurvey(const std::string& run, const Survey& survey) {
  base::MutexLock lock(mutex_);
  Survey& known = surveys_[run];
  std::set<std::string> before(known.notes.begin(), known.notes.end());
  for (const v1::LeftAlone& entry : known.left_alone) {
    before.insert(entry.kind());
  }
  for (const v1::LeftAlone& entry : survey.left_alone) {
    if (before.count(entry.kind()) != 0) continue;
    spdlog::info("left alone run={} kind={} count={} first=\"{}\" why=\"{}\"",
                 run, entry.kind(), entry.count(),
                 absl::Utf8SafeCEscape(entry.examples(0)), entry.reason());
  }
  for (const std::string& note : survey.notes) {
    if (before.count(note) != 0) continue;
    spdlog::warn("root of a run run={} note=\"{}\"", run,
                 absl::Utf8SafeCEscape(note));
  }
  known = survey;
}

Survey Watcher::SurveyOf(const std::string& run) const {
  base::MutexLock lock(mutex_);
  const auto survey = surveys_.find(run);
  return survey == surveys_.end() ? Survey() : survey->second;
}

std::string Watcher::ErrorOf(const std::string& run) const {
  base::MutexLock lock(mutex_);
  const auto error = errors_.find(run);
  return error == errors_.end() ? "" : error->second;
}

}  // namespace sinkwatch::discovery

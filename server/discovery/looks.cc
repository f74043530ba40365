#include "server/discovery/looks.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::discovery {
namespace {

// Of which all but a few hang in file systems that never answer.
constexpr size_t kMaxThreads = 2048;
// A look that has heard nothing for so long does not keep a thread from others.
constexpr absl::Duration kStall = absl::Milliseconds(500);

// A message that names files whose names are no text.
std::string Readable(std::string message) {
  return base::IsUtf8(message) ? std::move(message)
                               : base::EscapeBytes(message);
}

std::string SilenceOf(const FollowedRun& run) {
  return Readable(absl::StrCat(run.run().root(), " or ", run.run().probe(),
                               " has not answered for ",
                               absl::ToInt64Seconds(run.Silence()), " s"));
}

}  // namespace

void Looks::SetRuns(const std::vector<v1::RunConfig>& runs) {
  base::MutexLock lock(mutex_);
  std::map<std::string, Place> before = std::move(places_);
  places_.clear();
  for (const v1::RunConfig& run : runs) {
    const auto known = before.find(run.name());
    if (known != before.end() && known->second.run->run().SerializeAsString() ==
                                     run.SerializeAsString()) {
      places_[run.name()] = std::move(known->second);
      before.erase(known);
    } else {
      places_[run.name()] = {
          std::make_shared<FollowedRun>(run), SteadyClock::now(), "", {}};
    }
  }
  for (const auto& [name, place] : before) place.run->Stop();
  work_changed_.NotifyAll();
}

void Looks::Start(const std::shared_ptr<Looks>& self) {
  tender_ = std::thread([this, self] { Tend(self); });
}

void Looks::Stop(absl::Duration patience) {
  const auto deadline =
      SteadyClock::now() + absl::ToChronoMilliseconds(patience);
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    for (const RunPtr& run : busy_) run->Stop();
  }
  work_changed_.NotifyAll();
  threads_changed_.NotifyAll();
  if (tender_.joinable()) tender_.join();
  std::map<int64_t, std::thread> left;
  {
    base::MutexLock lock(mutex_);
    while (telling_ > 0) threads_changed_.Wait(mutex_);
    while (!threads_.empty() && threads_changed_.WaitUntil(mutex_, deadline)) {
    }
    left.swap(threads_);
  }
  JoinEnded();
  for (auto& [id, thread] : left) thread.detach();
  if (!left.empty()) {
    spdlog::warn("file systems have not answered, left behind looks={}",
                 left.size());
  }
}

void Looks::Tend(const std::shared_ptr<Looks>& self) {
  const auto pause = absl::ToChronoMilliseconds(
      std::max(std::min(options_.patience / 4, kStall), absl::Milliseconds(1)));
  int told = 0;
  while (true) {
    JoinEnded();
    int silent = 0;
    std::vector<RunPtr> news;
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return;
      silent = NoteSilence(news);
      StartThreads(self);
    }
    for (const RunPtr& run : news) {
      spdlog::warn("run is silent run={} error=\"{}\"", run->run().name(),
                   absl::Utf8SafeCEscape(SilenceOf(*run)));
    }
    if (silent != told && options_.on_silence) options_.on_silence(silent);
    told = silent;
    const auto next = SteadyClock::now() + pause;
    base::MutexLock lock(mutex_);
    while (!stopped_ && threads_changed_.WaitUntil(mutex_, next)) {
    }
  }
}

void Looks::StartThreads(const std::shared_ptr<Looks>& self) {
  const absl::Status status =
      base::CatchAll([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
        AddThreads(self);
        return absl::OkStatus();
      });
  // It is tried again at the next turn.
  if (!status.ok() && threads_.empty()) {
    spdlog::error("event=no_thread_for_looks error=\"{}\"", status.ToString());
  }
}

void Looks::AddThreads(const std::shared_ptr<Looks>& self) {
  while (CountAble() < Wanted() && threads_.size() < kMaxThreads) {
    const int64_t id = next_id_++;
    std::thread thread([self, id] { self->Work(id); });
    threads_[id] = std::move(thread);
  }
}

int Looks::Wanted() const {
  const int stalled = CountStalled();
  if (stalled < options_.threads) return options_.threads;
  const auto now = SteadyClock::now();
  int due = 0;
  for (const auto& [name, place] : places_) {
    if (place.due <= now && busy_.count(place.run) == 0) ++due;
  }
  return std::max(options_.threads, std::min(stalled, due));
}

int Looks::NoteSilence(std::vector<RunPtr>& news) {
  std::set<RunPtr> silent;
  for (const RunPtr& run : busy_) {
    if (!IsSilent(*run)) continue;
    silent.insert(run);
    if (silent_.count(run) == 0) news.push_back(run);
  }
  silent_ = std::move(silent);
  return static_cast<int>(silent_.size());
}

void Looks::JoinEnded() {
  std::vector<std::thread> ended;
  {
    base::MutexLock lock(mutex_);
    ended.swap(ended_);
  }
  for (std::thread& thread : ended) thread.join();
}

void Looks::Work(int64_t id) {
  while (const RunPtr run = WaitForNext()) LookAt(run);
  base::MutexLock lock(mutex_);
  const auto self = threads_.find(id);
  if (self == threads_.end()) return;  // given up
  ended_.push_back(std::move(self->second));
  threads_.erase(self);
  threads_changed_.NotifyAll();
}

Looks::RunPtr Looks::WaitForNext() {
  base::MutexLock lock(mutex_);
  while (!stopped_ && CountAble() <= Wanted()) {
    const Place* next = nullptr;
    for (const auto& [name, place] : places_) {
      if (busy_.count(place.run) == 0 &&
          (next == nullptr || place.due < next->due)) {
        next = &place;
      }
    }
    if (next == nullptr) {
      work_changed_.Wait(mutex_);
    } else if (next->due <= SteadyClock::now()) {
      busy_.insert(next->run);
      return next->run;
    } else {
      const auto due = next->due;
      work_changed_.WaitUntil(mutex_, due);
    }
  }
  return nullptr;
}

void Looks::LookAt(const RunPtr& run) {
  const absl::Status status = Look(run);
  IfFollowed(run, [&] {
    if (options_.on_look) options_.on_look(run->run().name(), status);
    return absl::OkStatus();
  }).IgnoreError();
  NoteResult(run, status);
}

absl::Status Looks::Look(const RunPtr& run) {
  absl::Time now;
  RETURN_IF_ERROR(IfFollowed(run, [&] {
    now = options_.clock();
    return run->Prepare(*store_);
  }));
  RETURN_IF_ERROR(base::CatchAll([&] { return run->Look(now); }));
  return IfFollowed(run, [&]() -> absl::Status {
    {
      base::MutexLock lock(mutex_);
      places_[run->run().name()].survey = run->survey();
    }
    RETURN_IF_ERROR(run->Tell(*store_));
    return run->run().has_runs_below() && options_.on_runs
               ? options_.on_runs(run->run().name(), run->runs_below())
               : absl::OkStatus();
  });
}

template <typename Body>
absl::Status Looks::IfFollowed(const RunPtr& run, const Body& body) {
  {
    base::MutexLock lock(mutex_);
    if (stopped_ || !IsFollowed(run)) {
      return absl::CancelledError("the run is not followed any more");
    }
    ++telling_;
  }
  const absl::Status status =
      base::CatchAll([&]() -> absl::Status { return body(); });
  base::MutexLock lock(mutex_);
  if (--telling_ == 0 && stopped_) threads_changed_.NotifyAll();
  return status;
}

void Looks::NoteResult(const RunPtr& run, const absl::Status& status) {
  const std::string error = Readable(std::string(status.message()));
  bool is_news = false;
  {
    base::MutexLock lock(mutex_);
    busy_.erase(run);
    if (stopped_ || !IsFollowed(run)) return;
    Place& place = places_[run->run().name()];
    place.due = SteadyClock::now() + absl::ToChronoMilliseconds(
                                         std::max(options_.poll, run->Pause()));
    is_news = !status.ok() && place.error != error;
    place.error = error;
  }
  work_changed_.NotifyOne();
  if (!is_news) return;
  spdlog::warn("run cannot be looked at run={} error=\"{}\"", run->run().name(),
               absl::Utf8SafeCEscape(error));
}

int Looks::CountStalled() const {
  const absl::Duration stall = std::min(kStall, options_.patience);
  return static_cast<int>(
      std::count_if(busy_.begin(), busy_.end(),
                    [&](const RunPtr& run) { return run->Silence() > stall; }));
}

bool Looks::IsFollowed(const RunPtr& run) const {
  const auto place = places_.find(run->run().name());
  return place != places_.end() && place->second.run == run;
}

void Looks::LookOnce() {
  std::vector<RunPtr> runs;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [name, place] : places_) runs.push_back(place.run);
    busy_ = {runs.begin(), runs.end()};
  }
  for (const RunPtr& run : runs) LookAt(run);
}

Survey Looks::SurveyOf(const std::string& run) const {
  base::MutexLock lock(mutex_);
  const auto place = places_.find(run);
  return place == places_.end() ? Survey() : place->second.survey;
}

std::string Looks::ErrorOf(const std::string& run) const {
  base::MutexLock lock(mutex_);
  const auto place = places_.find(run);
  if (place == places_.end()) return "";
  const FollowedRun& followed = *place->second.run;
  return IsSilent(followed) ? SilenceOf(followed) : place->second.error;
}

}  // namespace sinkwatch::discovery

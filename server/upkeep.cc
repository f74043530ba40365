#include "server/upkeep.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::server {
namespace {

using SteadyClock = std::chrono::steady_clock;

void Guarded(const std::function<void()>& body) {
  const absl::Status status = base::CatchAll([&] {
    body();
    return absl::OkStatus();
  });
  if (!status.ok()) {
    spdlog::error("event=upkeep_failed error=\"{}\"", status.ToString());
  }
}

}  // namespace

Upkeep::Upkeep(UpkeepOptions options)
    : options_(std::move(options)), states_(options_.checks.size()) {
  for (size_t i = 0; i < states_.size(); ++i) LookAt(i);
  Tell();
  next_tidy_ = SteadyClock::now() + options_.tidy_interval;
  thread_ = std::thread([this] { Loop(); });
}

Upkeep::~Upkeep() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

absl::Status Upkeep::Why() const {
  base::MutexLock lock(mutex_);
  const auto silent = SteadyClock::now() - busy_since_;
  if (busy_ == nullptr || silent < options_.patience) return why_;
  return absl::UnavailableError(absl::StrCat(
      busy_->what, ": has not answered for ",
      std::chrono::duration_cast<std::chrono::seconds>(silent).count(), " s"));
}

void Upkeep::SetBusy(const UpkeepOptions::Check* check) {
  base::MutexLock lock(mutex_);
  busy_ = check;
  busy_since_ = SteadyClock::now();
}

void Upkeep::Loop() {
  Time turn = next_tidy_;
  for (const State& state : states_) turn = std::min(turn, state.next);
  while (WaitUntil(turn)) {
    const Time now = SteadyClock::now();
    turn = Time::max();
    for (size_t i = 0; i < states_.size(); ++i) {
      if (states_[i].next <= now) LookAt(i);
      turn = std::min(turn, states_[i].next);
    }
    Guarded([this] { Tell(); });
    if (options_.tidy && next_tidy_ <= now) {
      Guarded(options_.tidy);
      next_tidy_ = SteadyClock::now() + options_.tidy_interval;
    }
    if (options_.tidy) turn = std::min(turn, next_tidy_);
  }
}

bool Upkeep::WaitUntil(Time turn) {
  base::MutexLock lock(mutex_);
  while (!stopping_ && changed_.WaitUntil(mutex_, turn)) {
  }
  return !stopping_;
}

void Upkeep::LookAt(size_t i) {
  const UpkeepOptions::Check& check = options_.checks[i];
  State& state = states_[i];
  const bool was_right = state.status.ok();
  SetBusy(&check);
  state.status = base::CatchAll(check.look);
  SetBusy(nullptr);
  const Time now = SteadyClock::now();
  state.next = now + check.interval;
  if (state.status.ok()) return;
  state.status =
      absl::Status(state.status.code(),
                   absl::StrCat(check.what, ": ", state.status.message()));
  if (was_right) state.wrong_since = now;
  if (check.lost_after.count() > 0 && options_.on_lost &&
      now - state.wrong_since >= check.lost_after) {
    options_.on_lost(state.status);
  }
}

void Upkeep::Tell() {
  absl::Status why;
  for (const State& state : states_) why.Update(state.status);
  {
    base::MutexLock lock(mutex_);
    if (why == why_) return;
    why_ = why;
  }
  if (why.ok()) {
    spdlog::info("event=ready_again");
  } else {
    spdlog::error("event=not_ready why=\"{}\"", why.ToString());
  }
  if (options_.on_change) options_.on_change(why);
}

}  // namespace sinkwatch::server

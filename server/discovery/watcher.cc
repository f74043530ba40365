#include "server/discovery/watcher.h"

#include <chrono>
#include <utility>

#include "spdlog/spdlog.h"

namespace sinkwatch::discovery {

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
    if (std::exchange(runs_changed_, false)) scans_.clear();
  }
  for (const v1::RunConfig& run : runs) {
    absl::Status status = absl::OkStatus();
    std::unique_ptr<RunScan>& scan = scans_[run.name()];
    if (scan == nullptr) {
      auto created = NewScan(run);
      if (created.ok()) scan = *std::move(created);
      status = created.status();
    }
    if (status.ok()) status = LookAt(*scan);
    if (options_.on_look) options_.on_look(run.name(), status);
    base::MutexLock lock(mutex_);
    std::string& error = errors_[run.name()];
    const std::string now = std::string(status.message());
    if (error != now && !status.ok()) {
      spdlog::warn("run cannot be looked at run={} error=\"{}\"", run.name(),
                   now);
    }
    error = now;
  }
}

absl::Status Watcher::LookAt(RunScan& scan) {
  const auto observations = scan.Look(options_.clock());
  if (!observations.ok()) return observations.status();
  return store_->Observe(*observations);
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

std::string Watcher::ErrorOf(const std::string& run) const {
  base::MutexLock lock(mutex_);
  const auto error = errors_.find(run);
  return error == errors_.end() ? "" : error->second;
}

}  // namespace sinkwatch::discovery

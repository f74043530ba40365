#include "server/discovery/watcher.h"

#include <utility>

#include "server/discovery/looks.h"

namespace sinkwatch::discovery {

Watcher::Watcher(store::Store* store, WatcherOptions options) {
  if (!options.clock) options.clock = [store] { return store->Now(); };
  looks_ = std::make_shared<Looks>(store, std::move(options));
}

Watcher::~Watcher() { Stop(absl::Seconds(1)); }

void Watcher::SetRuns(const std::vector<v1::RunConfig>& runs) {
  looks_->SetRuns(runs);
}

void Watcher::Start() { looks_->Start(looks_); }

void Watcher::Stop(absl::Duration patience) { looks_->Stop(patience); }

void Watcher::LookOnce() { looks_->LookOnce(); }

std::string Watcher::ErrorOf(const std::string& run) const {
  return looks_->ErrorOf(run);
}

Survey Watcher::SurveyOf(const std::string& run) const {
  return looks_->SurveyOf(run);
}

}  // namespace sinkwatch::discovery

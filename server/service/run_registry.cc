#include "server/service/run_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/query/unknown.h"

namespace sinkwatch::service {
namespace {

using google::protobuf::util::MessageDifferencer;

std::vector<v1::RunConfig>::iterator FindRun(std::vector<v1::RunConfig>& runs,
                                             const std::string& name) {
  return std::find_if(runs.begin(), runs.end(), [&](const v1::RunConfig& run) {
    return run.name() == name;
  });
}

bool Has(const std::vector<v1::RunConfig>& runs, const std::string& name) {
  return std::any_of(runs.begin(), runs.end(), [&](const v1::RunConfig& run) {
    return run.name() == name;
  });
}

}  // namespace

RunRegistry::RunRegistry(store::Store* store, Changed changed, int max_added)
    : store_(store), changed_(std::move(changed)), max_added_(max_added) {}

absl::Status RunRegistry::Configure(const std::vector<v1::RunConfig>& runs) {
  base::MutexLock lock(mutex_);
  auto before = store_->ConfiguredRuns();
  if (!before.ok()) return before.status();
  for (const std::string& name : *before) {
    if (Has(runs, name)) continue;
    absl::Status status = store_->RemoveRun(name);
    if (!status.ok()) return status;
  }
  auto stored = store_->Runs();
  if (!stored.ok()) return stored.status();
  configured_ = runs;
  added_.clear();
  found_.clear();
  for (v1::RunConfig& run : *stored) {
    if (Has(runs, run.name())) continue;
    (run.found_below().empty() ? added_ : found_).push_back(std::move(run));
  }
  absl::Status orphans = RemoveOrphans();
  if (!orphans.ok()) return orphans;
  for (const v1::RunConfig& run : runs) {
    absl::Status status = store_->PutRun(run, store::RunOrigin::kConfigured);
    if (!status.ok()) return status;
  }
  changed_(AllLocked());
  return absl::OkStatus();
}

absl::Status RunRegistry::Add(const v1::RunConfig& run) {
  base::MutexLock lock(mutex_);
  if (Has(configured_, run.name()) || Has(added_, run.name()) ||
      Has(found_, run.name())) {
    return absl::AlreadyExistsError(
        absl::StrCat("run \"", run.name(), "\" exists already"));
  }
  if (static_cast<int>(added_.size()) >= max_added_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(max_added_,
                     " runs were added, which is the most: remove "
                     "some, or raise max_added_runs of the configuration"));
  }
  return Put(run);
}

absl::Status RunRegistry::CheckChangeable(const std::string& name) const {
  base::MutexLock lock(mutex_);
  return CheckAdded(name);
}

absl::Status RunRegistry::Update(const v1::RunConfig& run) {
  base::MutexLock lock(mutex_);
  absl::Status status = CheckAdded(run.name());
  return status.ok() ? Put(run) : status;
}

absl::Status RunRegistry::Remove(const std::string& name) {
  base::MutexLock lock(mutex_);
  absl::Status status = CheckAdded(name);
  if (!status.ok()) return status;
  status = store_->RemoveRun(name);
  if (!status.ok()) return status;
  added_.erase(FindRun(added_, name));
  status = RemoveOrphans();
  if (!status.ok()) return status;
  changed_(AllLocked());
  return absl::OkStatus();
}

absl::Status RunRegistry::RemoveOrphans() {
  for (auto run = found_.begin(); run != found_.end();) {
    const std::string& parent = run->found_below();
    if (Has(configured_, parent) || Has(added_, parent)) {
      ++run;
      continue;
    }
    absl::Status status = store_->RemoveRun(run->name());
    if (!status.ok()) return status;
    run = found_.erase(run);
  }
  return absl::OkStatus();
}

absl::Status RunRegistry::Found(const std::string& parent,
                                const std::vector<v1::RunConfig>& runs) {
  base::MutexLock lock(mutex_);
  if (!Has(configured_, parent) && !Has(added_, parent)) {
    return absl::OkStatus();
  }
  bool changed = false;
  for (const v1::RunConfig& run : runs) {
    if (Has(configured_, run.name()) || Has(added_, run.name())) continue;
    const auto known = FindRun(found_, run.name());
    if (known != found_.end() && MessageDifferencer::Equals(*known, run)) {
      continue;
    }
    absl::Status status = store_->PutRun(run);
    if (!status.ok()) return status;
    changed = true;
    if (known == found_.end()) {
      found_.push_back(run);
    } else {
      *known = run;
    }
  }
  if (changed) changed_(AllLocked());
  return absl::OkStatus();
}

std::vector<v1::RunConfig> RunRegistry::All() const {
  base::MutexLock lock(mutex_);
  return AllLocked();
}

absl::Status RunRegistry::Put(const v1::RunConfig& run) {
  absl::Status status = store_->PutRun(run);
  if (!status.ok()) return status;
  const auto place = FindRun(added_, run.name());
  if (place == added_.end()) {
    added_.push_back(run);
  } else {
    *place = run;
  }
  changed_(AllLocked());
  return absl::OkStatus();
}

absl::Status RunRegistry::CheckAdded(const std::string& name) const {
  if (Has(added_, name)) return absl::OkStatus();
  if (Has(configured_, name)) {
    return absl::FailedPreconditionError(
        absl::StrCat("run \"", name,
                     "\" comes from the server's configuration: change it "
                     "there and reload"));
  }
  if (Has(found_, name)) {
    return absl::FailedPreconditionError(
        absl::StrCat("run \"", name,
                     "\" was found through runs_below of another run: change "
                     "that one"));
  }
  std::vector<std::string> names;
  for (const v1::RunConfig& run : AllLocked()) names.push_back(run.name());
  return query::UnknownName("there is no run", name, names, "none is followed");
}

std::vector<v1::RunConfig> RunRegistry::AllLocked() const {
  std::vector<v1::RunConfig> all = configured_;
  all.insert(all.end(), added_.begin(), added_.end());
  all.insert(all.end(), found_.begin(), found_.end());
  return all;
}

}  // namespace sinkwatch::service

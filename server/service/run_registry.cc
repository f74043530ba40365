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
  const auto before = store_->ConfiguredRuns();
  if (!before.ok()) return before.status();
  auto stored = store_->Runs();
  if (!stored.ok()) return stored.status();
  Runs next;
  next.configured = runs;
  std::vector<std::string> removed;
  for (v1::RunConfig& run : *stored) {
    if (Has(runs, run.name())) continue;
    if (std::count(before->begin(), before->end(), run.name()) != 0) {
      removed.push_back(run.name());
    } else {
      (run.found_below().empty() ? next.added : next.found)
          .push_back(std::move(run));
    }
  }
  return Replace(std::move(next), std::move(removed));
}

absl::Status RunRegistry::Add(const v1::RunConfig& run) {
  base::MutexLock lock(mutex_);
  if (Has(runs_.configured, run.name()) || Has(runs_.added, run.name()) ||
      Has(runs_.found, run.name())) {
    return absl::AlreadyExistsError(
        absl::StrCat("run \"", run.name(), "\" exists already"));
  }
  if (static_cast<int>(runs_.added.size()) >= max_added_) {
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
  Runs next = runs_;
  next.added.erase(FindRun(next.added, name));
  return Replace(std::move(next), {name});
}

absl::Status RunRegistry::Replace(Runs next, std::vector<std::string> removed) {
  for (auto run = next.found.begin(); run != next.found.end();) {
    const std::string& parent = run->found_below();
    if (Has(next.configured, parent) || Has(next.added, parent)) {
      ++run;
      continue;
    }
    removed.push_back(run->name());
    run = next.found.erase(run);
  }
  absl::Status status = store_->ReplaceRuns(removed, next.configured,
                                            store::RunOrigin::kConfigured);
  if (!status.ok()) return status;
  runs_ = std::move(next);
  changed_(AllLocked());
  return absl::OkStatus();
}

absl::Status RunRegistry::Found(const std::string& parent,
                                const std::vector<v1::RunConfig>& runs) {
  base::MutexLock lock(mutex_);
  if (!Has(runs_.configured, parent) && !Has(runs_.added, parent)) {
    return absl::OkStatus();
  }
  bool changed = false;
  for (const v1::RunConfig& run : runs) {
    if (Has(runs_.configured, run.name()) || Has(runs_.added, run.name()))
      continue;
    const auto known = FindRun(runs_.found, run.name());
    if (known != runs_.found.end() && MessageDifferencer::Equals(*known, run)) {
      continue;
    }
    absl::Status status = store_->PutRun(run);
    if (!status.ok()) return status;
    changed = true;
    if (known == runs_.found.end()) {
      runs_.found.push_back(run);
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
  const auto place = FindRun(runs_.added, run.name());
  if (place == runs_.added.end()) {
    runs_.added.push_back(run);
  } else {
    *place = run;
  }
  changed_(AllLocked());
  return absl::OkStatus();
}

absl::Status RunRegistry::CheckAdded(const std::string& name) const {
  if (Has(runs_.added, name)) return absl::OkStatus();
  if (Has(runs_.configured, name)) {
    return absl::FailedPreconditionError(
        absl::StrCat("run \"", name,
                     "\" comes from the server's configuration: change it "
                     "there and reload"));
  }
  if (Has(runs_.found, name)) {
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
  std::vector<v1::RunConfig> all = runs_.configured;
  all.insert(all.end(), runs_.added.begin(), runs_.added.end());
  all.insert(all.end(), runs_.found.begin(), runs_.found.end());
  return all;
}

}  // namespace sinkwatch::service

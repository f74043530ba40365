#ifndef SINKWATCH_SERVER_SERVICE_RUN_REGISTRY_H_
#define SINKWATCH_SERVER_SERVICE_RUN_REGISTRY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/base/mutex.h"
#include "server/store/store.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::service {

// The runs that the server follows: those of the configuration file (and of
// --run), which win, those added over gRPC, and those that lie below the root
// of one of them (runs_below). All of them are in the store, so that their
// measurements have a run to belong to.
//
// Thread-safe.
class RunRegistry {
 public:
  // Told all runs whenever they have changed, and by the first Configure.
  using Changed = std::function<void(const std::vector<v1::RunConfig>&)>;

  // At most `max_added` runs are added. `store` must outlive it.
  RunRegistry(store::Store* store, Changed changed, int max_added = 1000);

  // The runs of the configuration, in place of those configured before. Runs
  // that were configured and are not any more stop being followed, whether they
  // left the file while the server ran or while it did not. An error of the
  // store changes nothing.
  absl::Status Configure(const std::vector<v1::RunConfig>& runs);

  // ALREADY_EXISTS if the name is taken; RESOURCE_EXHAUSTED if there are too
  // many.
  absl::Status Add(const v1::RunConfig& run);
  // NOT_FOUND, naming the nearest, if there is none; FAILED_PRECONDITION if the
  // configuration file has it, which is then the place to change it.
  absl::Status CheckChangeable(const std::string& name) const;
  // As CheckChangeable, unless that is OK.
  absl::Status Update(const v1::RunConfig& run);
  absl::Status Remove(const std::string& name);

  // The runs that lie below the root of run `parent` now. Those that are new or
  // changed are followed from now on; those whose folder is gone are followed
  // as long as their parent is. Their names are taken for everybody else; a
  // name that is taken already is left out. Nothing if `parent` is not
  // followed.
  absl::Status Found(const std::string& parent,
                     const std::vector<v1::RunConfig>& runs);

  std::vector<v1::RunConfig> All() const;

 private:
  struct Runs {
    std::vector<v1::RunConfig> configured;
    std::vector<v1::RunConfig> added;
    // Found through runs_below of one of the others.
    std::vector<v1::RunConfig> found;
  };

  // Follows `next` but for what was found below runs that are gone, and not
  // `removed`; if the store does not take all of it, all stays as it is.
  absl::Status Replace(Runs next, std::vector<std::string> removed)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Put(const v1::RunConfig& run)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // FAILED_PRECONDITION or NOT_FOUND unless the run was added over gRPC.
  absl::Status CheckAdded(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<v1::RunConfig> AllLocked() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  store::Store* const store_;
  const Changed changed_;
  const int max_added_;
  mutable base::Mutex mutex_;
  Runs runs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_RUN_REGISTRY_H_

#ifndef SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_
#define SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/sinkwatch/v1/checkpoint.pb.h"
#include "proto/sinkwatch/v1/config.pb.h"
#include "server/discovery/layout.h"
#include "server/store/store.h"

namespace sinkwatch::discovery {

// (stage, step) of a checkpoint.
using StepKey = std::pair<std::string, int64_t>;

// Follows one run's root from look to look. A checkpoint is ready when its
// folder is whole (layout.h) and has settled: neither by the times of its files
// nor from one look to the next has it changed for the run's quiescence.
//
// Thread-compatible.
class RunScan {
 public:
  // `known` are the checkpoints that the store has of the run, so that one that
  // was deleted while nobody looked is noticed.
  RunScan(v1::RunConfig run, const std::vector<v1::Checkpoint>& known);

  // One look: what the store should know of every checkpoint under the root,
  // and of those that are gone. An error says nothing about any checkpoint: the
  // root is not there, or is an empty folder where checkpoints were (a mount
  // that is away leaves either), or the probe cannot be read. A step folder
  // that cannot be read waits, and is not gone.
  absl::StatusOr<std::vector<store::Observation>> Look(absl::Time now);

 private:
  using Found = std::map<StepKey, store::Observation>;

  struct Seen {
    v1::Checkpoint checkpoint;
    absl::Time since;  // it has been as it is; InfinitePast: since the last run
  };

  // Looks at one folder of the root; nothing if it holds no checkpoint.
  void LookAtFolder(const std::string& folder, absl::Time now, Found& found);
  // Remembers what was seen, and since when it has been so. `changed` is what
  // the files' own times say.
  absl::Time Remember(const v1::Checkpoint& checkpoint, absl::Time changed,
                      absl::Time now);
  // Why a checkpoint that is as it is since `since` is not ready; empty if it
  // is.
  std::string WhyNotReady(const std::vector<Entry>& entries, absl::Time since,
                          absl::Time now) const;
  // What is known of a folder that is there but cannot be read.
  store::Observation Unreadable(v1::Checkpoint checkpoint,
                                const absl::Status& status) const;
  void SkipUnwanted(Found& found) const;
  void AddVanished(Found& found);
  store::Observation NewObservation(const v1::Checkpoint& checkpoint) const;

  const v1::RunConfig run_;
  v1::Probe probe_;
  std::map<StepKey, Seen> seen_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_

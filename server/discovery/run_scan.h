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
  // and of those that are gone. An error (the root is not there, the probe
  // cannot be read) says nothing about any checkpoint: a mount that is away
  // deletes nothing.
  absl::StatusOr<std::vector<store::Observation>> Look(absl::Time now);

 private:
  struct Seen {
    v1::Checkpoint checkpoint;
    absl::Time since;  // this fingerprint was first seen then
  };

  // Looks at one folder of the root; nothing if it holds no checkpoint.
  void LookAtFolder(const std::string& folder, absl::Time now,
                    std::map<StepKey, store::Observation>& found);
  std::string WhyUnsettled(const StepKey& key, const v1::Checkpoint& checkpoint,
                           absl::Time changed, absl::Time now);
  void SkipUnwanted(std::map<StepKey, store::Observation>& found) const;
  void AddVanished(std::map<StepKey, store::Observation>& found);
  store::Observation NewObservation(const v1::Checkpoint& checkpoint) const;

  const v1::RunConfig run_;
  v1::Probe probe_;
  std::map<StepKey, Seen> seen_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_RUN_SCAN_H_

#ifndef SINKWATCH_SERVER_SCHEDULER_MACHINE_TESTING_H_
#define SINKWATCH_SERVER_SCHEDULER_MACHINE_TESTING_H_

#include <memory>
#include <random>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/scheduler/scheduler.h"
#include "server/store/memory_disk_testing.h"
#include "server/store/store.h"

namespace sinkwatch::scheduler {

// A machine for histories: a disk in memory, two clocks, and the store and
// scheduler of the server that runs on it.
class Machine {
 public:
  // With a store that has the run "toy" and no jobs, opened.
  Machine();

  store::MemoryDisk& disk() { return disk_; }
  // Not between an end and Open.
  store::Store& store() { return *store_; }
  Scheduler& scheduler() { return *scheduler_; }

  absl::Status Open();
  // Ends the server in order, or by kill -9; with the power goes what was not
  // synced, or some of it.
  void Shut();
  void Kill(bool power_goes);

  void Pass(absl::Duration time);
  void SetWallClock(absl::Duration by) { wall_ += by; }

 private:
  store::MemoryDisk disk_;
  std::mt19937_64 random_{1};
  absl::Time wall_ = absl::FromUnixSeconds(1'700'000'000);
  absl::Time steady_ = absl::FromUnixSeconds(12345);
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_MACHINE_TESTING_H_

#include "server/scheduler/machine_testing.h"

#include <utility>

#include "server/scheduler/job_model_testing.h"
#include "server/store/store_testing.h"

namespace sinkwatch::scheduler {
namespace {

using store::MemoryDisk;

constexpr char kPath[] = "store.db";

// A store without jobs, made once.
const MemoryDisk::Image* EmptyStore() {
  MemoryDisk disk;
  {
    store::TestStore made(kPath);
    v1::RunConfig run;
    run.set_name("toy");
    if (!made->PutRun(run).ok()) return new MemoryDisk::Image();
  }
  return new MemoryDisk::Image(disk.image());
}

}  // namespace

Machine::Machine() {
  static const MemoryDisk::Image* const empty = EmptyStore();
  disk_.Restore(*empty);
  Open().IgnoreError();
}

absl::Status Machine::Open() {
  store::StoreOptions options;
  options.path = kPath;
  options.log_bytes = 16 << 10;
  options.clock = store::SteadyFromNow([this] { return wall_; },
                                       [this] { return steady_; });
  auto opened = store::Store::Open(std::move(options));
  if (!opened.ok()) return opened.status();
  store_ = *std::move(opened);
  SchedulerOptions scheduling;
  scheduling.lease = {kModelTtl, kModelStall};
  scheduling.retry.max_attempts = kModelAttempts;
  scheduling.seed = 1;
  scheduler_ = std::make_unique<Scheduler>(store_.get(), scheduling);
  return absl::OkStatus();
}

void Machine::Shut() {
  scheduler_ = nullptr;
  store_ = nullptr;
}

void Machine::Kill(bool power_goes) {
  disk_.Kill();
  Shut();
  if (power_goes) disk_.LosePower(random_);
}

void Machine::Pass(absl::Duration time) {
  wall_ += time;
  steady_ += time;
}

}  // namespace sinkwatch::scheduler

#include "worker/commands/run_command.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/base/stop_signal.h"
#include "proto/rpc/channel.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"
#include "spdlog/spdlog.h"
#include "worker/loop/recurring_fault.h"
#include "worker/loop/worker.h"
#include "worker/measure/device.h"
#include "worker/measure/self_test.h"

namespace sinkwatch::worker {
namespace {

constexpr int kBadUsage = 2;
constexpr int kDoNotRestart = 42;
constexpr int kDeviceLost = 43;
constexpr absl::Duration kStep = absl::Milliseconds(100);
constexpr int kStepsBetweenTries = 20;

std::string DefaultName() {
  char host[256] = "worker";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, ":", getpid());
}

// The self-test, after the card's memory was bounded.
absl::Status Prepare(const at::Device& device,
                     const base::Arguments& arguments) {
  const int64_t megabytes = arguments.Int("gpu_memory");
  if (megabytes > 0) {
    const absl::Status bounded =
        BoundDeviceMemory(device, megabytes * 1000 * 1000);
    if (!bounded.ok()) return bounded;
  }
  return arguments.Has("skip_self_test") ? absl::OkStatus()
                                         : RunSelfTest(device);
}

// Waits for a card that others have filled. False if the worker cannot work, or
// was stopped meanwhile.
bool IsReady(const at::Device& device, const base::Arguments& arguments,
             const std::atomic<bool>& stopped) {
  const absl::Time start = absl::Now();
  RecurringFault full;
  while (!stopped) {
    const absl::Status status = Prepare(device, arguments);
    if (status.ok()) {
      spdlog::info("ready device=\"{}\" self_test={} milliseconds={}",
                   DeviceTitle(device), !arguments.Has("skip_self_test"),
                   absl::ToInt64Milliseconds(absl::Now() - start));
      return true;
    }
    if (status.code() != absl::StatusCode::kResourceExhausted) {
      spdlog::error("self-test failed device={} error=\"{}\"", device.str(),
                    status.ToString());
      return false;
    }
    if (full.Occurred(absl::Now())) {
      spdlog::warn(
          "the card is full; waiting for memory device={} error=\"{}\"",
          device.str(), std::string(status.message()));
    }
    for (int i = 0; i < kStepsBetweenTries && !stopped; ++i) {
      absl::SleepFor(kStep);
    }
  }
  return false;
}

}  // namespace

int RunRunCommand(const base::Arguments& arguments) {
  // Before any thread is there.
  base::StopSignal signals;
  UseThreads(static_cast<int>(arguments.Int("threads")));
  const auto device = OpenDevice(arguments.Get("device"));
  if (!device.ok()) {
    std::fprintf(stderr, "sinkwatch_worker run: %s\n",
                 std::string(device.status().message()).c_str());
    return kBadUsage;
  }
  std::atomic<bool> stopped{false};
  {
    const base::StopListener listener(signals, [&stopped] { stopped = true; });
    if (!IsReady(*device, arguments, stopped)) {
      return stopped ? 0 : kDoNotRestart;
    }
  }

  WorkerOptions options;
  options.name = arguments.Get("name");
  if (options.name.empty()) options.name = DefaultName();
  options.device = *device;
  options.tokens_per_batch = arguments.Int("tokens_per_batch");
  options.exit_when_idle = arguments.Duration("exit_when_idle");
  const std::string server = arguments.Get("server");
  const auto stub = v1::WorkerService::NewStub(rpc::CreateChannel(server));
  Worker worker(*stub, options);
  const base::StopListener listener(signals, [&worker] { worker.Drain(); });
  spdlog::info("working server={} name={} device={}", server, options.name,
               device->str());
  worker.Run();
  spdlog::info("ended");
  return worker.device_lost() ? kDeviceLost : 0;
}

}  // namespace sinkwatch::worker

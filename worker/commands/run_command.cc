#include "worker/commands/run_command.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/base/stop_signal.h"
#include "proto/rpc/channel.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"
#include "spdlog/spdlog.h"
#include "worker/commands/program.h"
#include "worker/commands/supervisor.h"
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

int Complain(const absl::Status& error) {
  std::fprintf(stderr, "sinkwatch_worker run: %s\n",
               std::string(error.message()).c_str());
  return kBadUsage;
}

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

// The devices of --devices; "all": the cards that are visible.
absl::StatusOr<std::vector<std::string>> DevicesOf(
    const base::Arguments& arguments) {
  if (arguments.Has("device")) {
    return absl::InvalidArgumentError("--device or --devices, not both");
  }
  std::vector<std::string> devices = arguments.List("devices");
  if (devices.empty()) {
    return absl::InvalidArgumentError("--devices names no device");
  }
  if (devices != std::vector<std::string>{"all"}) return devices;
  const auto count = CountGpus();
  if (!count.ok()) return count.status();
  devices.clear();
  for (int i = 0; i < *count; ++i) devices.push_back(absl::StrCat("cuda:", i));
  return devices;
}

// This program once more, for one device of several. Names stay apart.
WorkerCommand CommandFor(const std::string& device, size_t place,
                         const base::Arguments& arguments) {
  char program[PATH_MAX] = {};
  const ssize_t length =
      ::readlink("/proc/self/exe", program, sizeof program - 1);
  WorkerCommand command{device,
                        {std::string(program, std::max<ssize_t>(0, length)),
                         "run", "--device=" + device}};
  for (const base::FlagSpec& flag :
       base::FindCommand(WorkerProgram(), "run")->flags) {
    if (flag.name == "devices" || !arguments.Has(flag.name)) continue;
    std::string word = "--" + flag.name;
    if (!flag.value.empty())
      absl::StrAppend(&word, "=", arguments.Get(flag.name));
    if (flag.name == "name") absl::StrAppend(&word, "-", place);
    command.words.push_back(std::move(word));
  }
  return command;
}

int RunSupervisor(const base::Arguments& arguments) {
  const auto devices = DevicesOf(arguments);
  if (!devices.ok()) return Complain(devices.status());
  std::vector<WorkerCommand> workers;
  for (size_t i = 0; i < devices->size(); ++i) {
    workers.push_back(CommandFor((*devices)[i], i, arguments));
  }
  return Supervise(workers);
}

}  // namespace

int RunRunCommand(const base::Arguments& arguments) {
  if (arguments.Has("devices")) return RunSupervisor(arguments);
  // Before any thread is there.
  base::StopSignal signals;
  UseThreads(static_cast<int>(arguments.Int("threads")));
  const auto device = OpenDevice(arguments.Get("device"));
  if (!device.ok()) return Complain(device.status());
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
  options.tokens_per_batch = arguments.Has("tokens_per_batch")
                                 ? arguments.Int("tokens_per_batch")
                                 : DefaultTokensPerBatch(*device);
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

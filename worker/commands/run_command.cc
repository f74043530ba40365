#include "worker/commands/run_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/base/stop_signal.h"
#include "proto/rpc/channel.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"
#include "spdlog/spdlog.h"
#include "worker/loop/worker.h"
#include "worker/measure/device.h"
#include "worker/measure/self_test.h"

namespace sinkwatch::worker {
namespace {

constexpr int kBadUsage = 2;
constexpr int kDoNotRestart = 42;

std::string DefaultName() {
  char host[256] = "worker";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, ":", getpid());
}

bool PassesSelfTest(const at::Device& device) {
  const absl::Time start = absl::Now();
  const absl::Status status = RunSelfTest(device);
  if (!status.ok()) {
    spdlog::error("self-test failed device={} error=\"{}\"", device.str(),
                  status.ToString());
    return false;
  }
  spdlog::info("self-test passed device={} milliseconds={}", device.str(),
               absl::ToInt64Milliseconds(absl::Now() - start));
  return true;
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
  if (!arguments.Has("skip_self_test") && !PassesSelfTest(*device)) {
    return kDoNotRestart;
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
  return 0;
}

}  // namespace sinkwatch::worker

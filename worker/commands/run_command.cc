#include "worker/commands/run_command.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "proto/rpc/channel.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"
#include "spdlog/spdlog.h"
#include "worker/commands/flags.h"
#include "worker/loop/worker.h"
#include "worker/measure/device.h"
#include "worker/measure/self_test.h"

ABSL_FLAG(std::string, server, "127.0.0.1:17461",
          "run: gRPC address of the server, as --server=sink.example:17461");
ABSL_FLAG(std::string, name, "",
          "run: name in the server's lists; default host:pid");
ABSL_FLAG(absl::Duration, exit_when_idle, absl::InfiniteDuration(),
          "run: end when there was nothing to do for so long, as "
          "--exit_when_idle=10m");
ABSL_FLAG(bool, skip_self_test, false,
          "run: start without measuring the built-in model first");

namespace sinkwatch::worker {
namespace {

constexpr int kBadUsage = 2;
constexpr int kDoNotRestart = 42;

// What the signal handler reaches.
std::atomic<Worker*> signalled_worker{nullptr};

void OnSignal(int) {
  Worker* const worker = signalled_worker.load();
  if (worker != nullptr) worker->Drain();
}

void DrainOnSignals(Worker& worker) {
  signalled_worker.store(&worker);
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

std::string DefaultName() {
  char host[256] = "worker";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, ":", getpid());
}

bool PassesSelfTest(const at::Device& device) {
  if (absl::GetFlag(FLAGS_skip_self_test)) return true;
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

int RunRunCommand() {
  if (absl::GetFlag(FLAGS_tokens_per_batch) < 1) {
    std::fprintf(stderr,
                 "sinkwatch_worker run: --tokens_per_batch must be at least "
                 "1\n");
    return kBadUsage;
  }
  UseThreads(absl::GetFlag(FLAGS_threads));
  const auto device = OpenDevice(absl::GetFlag(FLAGS_device));
  if (!device.ok()) {
    std::fprintf(stderr, "sinkwatch_worker run: %s\n",
                 std::string(device.status().message()).c_str());
    return kBadUsage;
  }
  if (!PassesSelfTest(*device)) return kDoNotRestart;

  WorkerOptions options;
  options.name = absl::GetFlag(FLAGS_name);
  if (options.name.empty()) options.name = DefaultName();
  options.device = *device;
  options.tokens_per_batch = absl::GetFlag(FLAGS_tokens_per_batch);
  options.exit_when_idle = absl::GetFlag(FLAGS_exit_when_idle);
  const std::string server = absl::GetFlag(FLAGS_server);
  const auto stub = v1::WorkerService::NewStub(rpc::CreateChannel(server));
  Worker worker(*stub, options);
  DrainOnSignals(worker);
  spdlog::info("working server={} name={} device={}", server, options.name,
               device->str());
  worker.Run();
  signalled_worker.store(nullptr);
  spdlog::info("ended");
  return 0;
}

}  // namespace sinkwatch::worker

// sinkwatch_server: finds checkpoints, gives them to workers, keeps and serves
// what they measure.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "proto/base/catch_all.h"
#include "proto/base/command_help.h"
#include "proto/base/stderr_log.h"
#include "proto/base/stop_signal.h"
#include "proto/base/version.h"
#include "server/config.h"
#include "server/memory.h"
#include "server/run_paths.h"
#include "server/server.h"
#include "server/server_flags.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::server {
namespace {

constexpr int kBadUsage = 2;
// What the end may take beside waiting for leased jobs.
constexpr absl::Duration kEndPatience = absl::Seconds(15);

// Everything wrong with the configuration, a line each on stderr.
bool Complain(const base::Arguments& arguments,
              const absl::StatusOr<v1::ServerConfig>& config) {
  std::vector<std::string> errors;
  if (config.ok()) {
    errors = ConfigErrors(*config);
    for (std::string& error :
         PathErrors(*config, arguments.Has("allow_missing"))) {
      errors.push_back(std::move(error));
    }
  } else {
    errors.emplace_back(config.status().message());
  }
  for (const std::string& error : errors) {
    std::fprintf(stderr, "sinkwatch_server: %s\n", error.c_str());
  }
  return !errors.empty();
}

void Announce(const base::Arguments& arguments, const Server& server) {
  if (const std::string path = arguments.Get("ports_file"); !path.empty()) {
    std::ofstream(path) << server.grpc_port() << " " << server.http_port()
                        << "\n";
  }
  spdlog::info("ready version={} grpc_port={} page=http://127.0.0.1:{}/",
               base::kVersion, server.grpc_port(), server.http_port());
}

void TryReload(const base::Arguments& arguments, Server& server) {
  const auto config = ConfigFromFlags(arguments);
  if (Complain(arguments, config)) {
    server.CountBadReload();
    spdlog::error("reload refused, the old configuration stays");
    return;
  }
  const absl::Status status = server.Reload(*config);
  if (status.ok()) {
    spdlog::info("configuration reloaded runs={}", config->runs_size());
  } else {
    spdlog::error("reload refused error=\"{}\"", status.ToString());
  }
}

// A configuration that is too much for the memory costs itself.
void ReloadConfig(const base::Arguments& arguments, Server& server) {
  const absl::Status status = base::CatchAll([&] {
    TryReload(arguments, server);
    return absl::OkStatus();
  });
  if (status.ok()) return;
  server.CountBadReload();
  spdlog::error("reload refused error=\"{}\"", status.ToString());
}

// Ends the process by SIGALRM should draining not do so: a thread that writes
// to a disk that never answers cannot be waited for. What was acknowledged is
// written.
void EndAtLast(absl::Duration drain_timeout) {
  alarm(static_cast<unsigned int>(
      absl::ToInt64Seconds(drain_timeout + kEndPatience)));
}

int Serve(const base::Arguments& arguments, const v1::ServerConfig& config) {
  base::StopSignal signals({SIGHUP});
  auto server = Server::Start(config, AllowedRoots(arguments));
  if (!server.ok()) {
    spdlog::error("cannot start: {}", std::string(server.status().message()));
    return 1;
  }
  Announce(arguments, **server);
  int signal = signals.Wait();
  for (; signal == SIGHUP; signal = signals.Wait()) {
    ReloadConfig(arguments, **server);
  }
  spdlog::info("draining signal={}", signal);
  EndAtLast(arguments.Duration("drain_timeout"));
  (*server)->Drain(arguments.Duration("drain_timeout"));
  spdlog::info("ended");
  return 0;
}

int Run(const base::Arguments& arguments) {
  const auto config = ConfigFromFlags(arguments);
  if (Complain(arguments, config)) return kBadUsage;
  if (arguments.Has("check_config")) {
    std::printf("configuration is fine: %d runs\n", config->runs_size());
    return 0;
  }
  return Serve(arguments, *config);
}

}  // namespace
}  // namespace sinkwatch::server

int main(int argc, char** argv) {
  namespace base = sinkwatch::base;
  namespace server = sinkwatch::server;
  server::BoundMemory();
  const auto arguments = base::Arguments::Parse(
      server::ServerProgram(), std::vector<std::string>(argv + 1, argv + argc));
  if (const auto code =
          base::AnswerWithoutWork(server::ServerProgram(), arguments)) {
    return *code;
  }
  base::LogToStderr("sinkwatch");
  return server::Run(*arguments);
}

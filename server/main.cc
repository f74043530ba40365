// sinkwatch_server: finds checkpoints, gives them to workers, keeps and serves
// what they measure.
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/config.h"
#include "server/run_flags.h"
#include "server/server.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

ABSL_FLAG(std::string, config, "",
          "text-proto file (ServerConfig), as --config=sinkwatch.textproto");
ABSL_FLAG(std::string, grpc_address, "",
          "overrides the file's; default 127.0.0.1:17461; port 0 takes a free "
          "one");
ABSL_FLAG(std::string, http_address, "",
          "overrides the file's; default 127.0.0.1:17460");
ABSL_FLAG(std::string, data_dir, "",
          "overrides the file's; default ./sinkwatch-data");
ABSL_FLAG(sinkwatch::server::RunFlags, run, {},
          "a run to follow, as --run=NAME=ROOT,probe=DIR; may be repeated");
ABSL_FLAG(bool, check_config, false,
          "says whether the configuration can be run, and exits with 0 or 2");
ABSL_FLAG(absl::Duration, drain_timeout, absl::Seconds(30),
          "after SIGTERM, how long leased jobs may take to be committed");
ABSL_FLAG(std::string, ports_file, "",
          "writes the two ports that are listened on there: \"GRPC HTTP\"");

namespace sinkwatch::server {
namespace {

constexpr int kBadUsage = 2;

constexpr char kUsage[] =
    R"(follows training runs and keeps what workers measure.

  sinkwatch_server --run=toy=/runs/toy,probe=/probes/toy
  sinkwatch_server --config=sinkwatch.textproto
  sinkwatch_server --config=sinkwatch.textproto --check_config

SIGTERM and SIGINT drain, SIGHUP reloads the runs of the configuration file.)";

absl::StatusOr<v1::ServerConfig> ConfigFromFlags() {
  v1::ServerConfig config;
  if (!absl::GetFlag(FLAGS_config).empty()) {
    auto read = ReadConfig(absl::GetFlag(FLAGS_config));
    if (!read.ok()) return read.status();
    config = *std::move(read);
  }
  if (const std::string value = absl::GetFlag(FLAGS_grpc_address);
      !value.empty()) {
    config.set_grpc_address(value);
  }
  if (const std::string value = absl::GetFlag(FLAGS_http_address);
      !value.empty()) {
    config.set_http_address(value);
  }
  if (const std::string value = absl::GetFlag(FLAGS_data_dir); !value.empty()) {
    config.set_data_dir(value);
  }
  for (const v1::RunConfig& run : absl::GetFlag(FLAGS_run).runs) {
    *config.add_runs() = run;
  }
  ApplyDefaults(config);
  return config;
}

// Everything wrong with the configuration, a line each on stderr.
bool Complain(const absl::StatusOr<v1::ServerConfig>& config) {
  if (!config.ok()) {
    std::fprintf(stderr, "sinkwatch_server: %s\n",
                 std::string(config.status().message()).c_str());
    return true;
  }
  const std::vector<std::string> errors = ConfigErrors(*config);
  for (const std::string& error : errors) {
    std::fprintf(stderr, "sinkwatch_server: %s\n", error.c_str());
  }
  return !errors.empty();
}

void Announce(const Server& server) {
  const std::string path = absl::GetFlag(FLAGS_ports_file);
  if (!path.empty()) {
    std::ofstream(path) << server.grpc_port() << " " << server.http_port()
                        << "\n";
  }
  spdlog::info("ready version={} grpc_port={} page=http://127.0.0.1:{}/",
               kVersion, server.grpc_port(), server.http_port());
}

void ReloadConfig(Server& server) {
  const auto config = ConfigFromFlags();
  if (Complain(config)) {
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

// Signals arrive here and nowhere else: they were blocked before any thread
// was started.
void ServeUntilSignalled(Server& server, const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) {
    ReloadConfig(server);
  }
  spdlog::info("draining signal={}", signal);
  server.Drain(absl::GetFlag(FLAGS_drain_timeout));
  spdlog::info("ended");
}

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Run() {
  const auto config = ConfigFromFlags();
  if (Complain(config)) return kBadUsage;
  if (absl::GetFlag(FLAGS_check_config)) {
    std::printf("configuration is fine: %d runs\n", config->runs_size());
    return 0;
  }
  const sigset_t signals = BlockSignals();
  auto server = Server::Start(*config);
  if (!server.ok()) {
    spdlog::error("cannot start error=\"{}\"", server.status().ToString());
    return 1;
  }
  Announce(**server);
  ServeUntilSignalled(**server, signals);
  return 0;
}

bool IsOwnFile(absl::string_view file) {
  return absl::StrContains(file, "server/main.cc");
}

void SetUpHelp() {
  absl::SetProgramUsageMessage(kUsage);
  absl::FlagsUsageConfig config;
  config.contains_helpshort_flags = IsOwnFile;
  config.contains_help_flags = IsOwnFile;
  config.version_string = [] {
    return absl::StrCat("sinkwatch_server ", kVersion, "\n");
  };
  absl::SetFlagsUsageConfig(config);
}

}  // namespace
}  // namespace sinkwatch::server

int main(int argc, char** argv) {
  sinkwatch::server::SetUpHelp();
  std::vector<std::string> arguments =
      sinkwatch::server::JoinRunFlags(argc, argv);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  const std::vector<char*> rest = absl::ParseCommandLine(
      static_cast<int>(pointers.size()), pointers.data());
  if (rest.size() > 1) {
    std::fprintf(stderr, "sinkwatch_server: unexpected argument '%s'\n",
                 rest[1]);
    return sinkwatch::server::kBadUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("sinkwatch"));
  return sinkwatch::server::Run();
}

#include "server/server_flags.h"

#include <filesystem>
#include <string>

#include "proto/base/status_macros.h"
#include "server/config.h"

namespace sinkwatch::server {
namespace {

using base::FlagSpec;

std::vector<FlagSpec> Flags() {
  FlagSpec run = {"run", "NAME=ROOT,probe=DIR[,KEY=VALUE...]",
                  "a run to follow; keys are probe, stage, dtype, manifest, "
                  "model_config"};
  run.repeated = true;
  FlagSpec allowed = {"allowed_root", "DIR",
                      "where the paths of runs that are added over gRPC may "
                      "lie, by their names; default: anywhere"};
  allowed.repeated = true;
  return {
      FlagSpec{"config", "FILE",
               "configuration, a text-proto ServerConfig; default: none"}
          .Example("sinkwatch.textproto"),
      FlagSpec{
          "grpc_address", "HOST:PORT",
          "where workers and sinkctl connect, in place of the file's; port "
          "0 takes a free one; default 127.0.0.1:17461"}
          .Example("0.0.0.0:17461"),
      FlagSpec{
          "http_address", "HOST:PORT",
          "the page, the API and /metrics, in place of the file's; default "
          "127.0.0.1:17460"}
          .Example("0.0.0.0:17460"),
      FlagSpec{"data_dir", "DIR",
               "folder of the store, in place of the file's; default "
               "./sinkwatch-data"}
          .Example("/var/lib/sinkwatch"),
      run.Example("toy=/runs/toy,probe=/probes/toy"),
      allowed.Example("/checkpoints"),
      {"allow_missing", "",
       "follow runs whose root or probe is not there yet; without it they "
       "refuse to start, or to be reloaded"},
      {"check_config", "",
       "say whether the configuration can be run, and exit with 0 or 2"},
      FlagSpec{"drain_timeout", "TIME",
               "after SIGTERM, how long leased jobs may take to be committed"}
          .Of(base::ValueKind::kDuration)
          .Default("30s")
          .Example("2m"),
      FlagSpec{"ports_file", "FILE",
               "where to write the two ports that are listened on, as \"GRPC "
               "HTTP\"; default: nowhere"}
          .Example("/run/sinkwatch.ports")};
}

}  // namespace

const base::ProgramSpec& ServerProgram() {
  static const auto* const kProgram = new base::ProgramSpec{
      "sinkwatch_server",
      "follows training runs and keeps what workers measure.",
      {{"",
        {},
        "",
        Flags(),
        {"--run=toy=/runs/toy,probe=/probes/toy",
         "--config=sinkwatch.textproto",
         "--config=sinkwatch.textproto --check_config"},
        "SIGTERM and SIGINT drain, SIGHUP reloads the runs of the "
        "configuration file.\nexit codes: 0 drained, 1 cannot start, 2 bad "
        "usage or configuration\n"}},
      {},
      ""};
  return *kProgram;
}

absl::StatusOr<v1::ServerConfig> ConfigFromFlags(
    const base::Arguments& arguments) {
  v1::ServerConfig config;
  if (const std::string path = arguments.Get("config"); !path.empty()) {
    ASSIGN_OR_RETURN(config, ReadConfig(path));
  }
  if (const std::string value = arguments.Get("grpc_address"); !value.empty()) {
    config.set_grpc_address(value);
  }
  if (const std::string value = arguments.Get("http_address"); !value.empty()) {
    config.set_http_address(value);
  }
  if (const std::string value = arguments.Get("data_dir"); !value.empty()) {
    config.set_data_dir(value);
  }
  for (const std::string& text : arguments.All("run")) {
    ASSIGN_OR_RETURN(*config.add_runs(), ParseRunFlag(text));
  }
  ApplyDefaults(config);
  return config;
}

std::vector<std::string> AllowedRoots(const base::Arguments& arguments) {
  std::vector<std::string> roots;
  for (const std::string& root : arguments.All("allowed_root")) {
    roots.push_back(
        std::filesystem::absolute(root).lexically_normal().string());
  }
  return roots;
}

}  // namespace sinkwatch::server

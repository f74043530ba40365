#include "server/ctl/admin_commands.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "proto/base/status_macros.h"
#include "proto/base/version.h"

namespace sinkwatch::ctl {
namespace {

using base::CommandSpec;
using base::FlagSpec;

absl::Status ParsePolicy(const std::string& text, v1::StepPolicy* policy) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  policy->Clear();
  int32_t number = 0;
  const bool numbered = absl::SimpleAtoi(parts.second, &number) && number > 0;
  if (text == "all") {
    policy->set_all(true);
  } else if (parts.first == "latest" && numbered) {
    policy->set_latest(number);
  } else if (parts.first == "per-decade" && numbered) {
    policy->set_per_decade(number);
  } else {
    for (absl::string_view item : absl::StrSplit(text, ',')) {
      int64_t step = 0;
      if (!absl::SimpleAtoi(item, &step) || step < 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "--steps=", text,
            " is none of all, latest:N, per-decade:N, or a list of steps"));
      }
      policy->mutable_listed()->add_steps(step);
    }
  }
  return absl::OkStatus();
}

// What a run is made of.
std::vector<FlagSpec> RunFields(bool needed) {
  FlagSpec root =
      FlagSpec{"root", "DIR",
               "folder of the step folders, as the server sees it; default: "
               "none"}
          .Example("/ckpt/olmo2-1b");
  FlagSpec probe = FlagSpec{"probe", "DIR",
                            "folder of the probe (probe.json); default: none"}
                       .Example("/probes/wiki");
  root.needed = probe.needed = needed;
  return {
      root,
      probe,
      FlagSpec{"stage", "NAME", "stage that the root belongs to; default: none"}
          .Example("stage1"),
      FlagSpec{"dtype", "TYPE", "that is computed in; default: float32"}
          .OneOf({"float32", "bfloat16"})
          .Example("bfloat16"),
      FlagSpec{"metrics", "LIST", "only these; default: all"}.Example(
          "sink_attention,probe_loss"),
      FlagSpec{"steps", "POLICY",
               "all, latest:N, per-decade:N, or a list of steps; default: all"}
          .Example("per-decade:3"),
      FlagSpec{"manifest", "FILE",
               "CSV list of a published series to follow; default: none"}
          .Example("/lists/olmo3.csv"),
      FlagSpec{"model-config", "FILE",
               "for checkpoints that have no configuration; default: none"}
          .Example("/configs/llama3.json"),
      FlagSpec{"step-pattern", "RE2",
               "of names that no rule knows, with groups step, tokens, stage, "
               "seed; default: none"}
          .Example("(?P<seed>[a-z]+)_it(?P<step>[0-9]+)"),
      FlagSpec{"runs-below", "RE2",
               "the folders below the root that are a run each; default: none, "
               "the root is one run"}
          .Example("(?P<size>[0-9]+M)/seed-(?P<seed>[0-9]+)"),
      FlagSpec{"ablate", "HEADS",
               "heads that are changed to see what the loss says: none, auto, "
               "all, or a list as 3.5,3.7,4.* (sinkwatch_worker help measure); "
               "default: none"}
          .Example("auto"),
      FlagSpec{"protocol", "NAME",
               "published protocol whose metrics and choices are taken "
               "(sinkwatch_worker help measure); default: none"}
          .Example("gu"),
      {"hf-siblings", "", "conversions (step1000-hf) too, as stage hf"},
      {"allow-missing", "", "also if root or probe cannot be opened now"}};
}

// Sets the fields of `run` that the line names.
absl::Status SetFields(const base::Arguments& args, v1::RunConfig* run) {
  for (const auto& [flag, field] :
       {std::pair<const char*, std::string*>{"root", run->mutable_root()},
        {"probe", run->mutable_probe()},
        {"stage", run->mutable_stage()},
        {"dtype", run->mutable_dtype()},
        {"manifest", run->mutable_manifest()},
        {"protocol", run->mutable_protocol()},
        {"step-pattern", run->mutable_step_pattern()},
        {"model-config", run->mutable_model_config()}}) {
    if (args.Has(flag)) *field = args.Get(flag);
  }
  if (args.Has("runs-below")) {
    run->mutable_runs_below()->set_pattern(args.Get("runs-below"));
  }
  if (args.Has("ablate")) {
    run->mutable_ablation()->set_heads(args.Get("ablate"));
  }
  if (args.Has("hf-siblings")) run->set_include_hf_siblings(true);
  if (args.Has("metrics")) {
    run->clear_metrics();
    for (const std::string& metric : args.List("metrics")) {
      run->add_metrics(metric);
    }
  }
  if (!args.Has("steps")) return absl::OkStatus();
  return ParsePolicy(args.Get("steps"), run->mutable_steps());
}

absl::Status Requeue(const Context& c) {
  v1::RequeueJobsRequest request;
  request.set_run(c.args.Get("run"));
  request.set_include_vanished(c.args.Has("include-vanished"));
  for (const std::string& text : c.args.List("steps")) {
    int64_t step = 0;
    if (!absl::SimpleAtoi(text, &step)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--steps: \"", text, "\" is no step"));
    }
    request.add_steps(step);
  }
  ASSIGN_OR_RETURN(const int64_t requeued, c.client.Requeue(request));
  if (c.for_people()) {
    c.out << "requeued " << requeued << " of " << request.run() << "\n";
    return absl::OkStatus();
  }
  return Print(c, {{"run", "requeued"}, {{request.run(), requeued}}});
}

CommandSpec RequeueSpec() {
  return {"requeue",
          {"RUN"},
          "queue dead or incomplete checkpoints again, with fresh attempts",
          {FlagSpec{"steps", "LIST", "only these; default: all that are dead"}
               .Example("1000,2000"),
           {"include-vanished", "", "those that were deleted as well"}},
          {"requeue olmo2-1b --steps=1000,2000"}};
}

absl::Status AddRun(const Context& c) {
  v1::AddRunRequest request;
  request.mutable_run()->set_name(c.args.Get("name"));
  request.set_allow_missing(c.args.Has("allow-missing"));
  RETURN_IF_ERROR(SetFields(c.args, request.mutable_run()));
  RETURN_IF_ERROR(c.client.AddRun(request));
  c.out << "following " << request.run().name() << "\n";
  return absl::OkStatus();
}

CommandSpec AddRunSpec() {
  return {"add-run",
          {"NAME"},
          "follow the checkpoints of another run",
          RunFields(/*needed=*/true),
          {"add-run olmo2-1b --root=/ckpt/olmo2-1b --probe=/probes/wiki",
           "add-run sweep --root=/ckpt/s --probe=/probes/wiki "
           "--steps=per-decade:3"}};
}

absl::Status UpdateRun(const Context& c) {
  const std::string name = c.args.Get("name");
  ASSIGN_OR_RETURN(const v1::ServerConfig config, c.client.Config());
  v1::UpdateRunRequest request;
  request.set_allow_missing(c.args.Has("allow-missing"));
  request.mutable_run()->set_name(name);
  for (const v1::RunConfig& run : config.runs()) {
    if (run.name() == name) *request.mutable_run() = run;
  }
  RETURN_IF_ERROR(SetFields(c.args, request.mutable_run()));
  RETURN_IF_ERROR(c.client.UpdateRun(request));
  c.out << "following " << name << " as changed\n";
  return absl::OkStatus();
}

CommandSpec UpdateRunSpec() {
  return {"update-run",
          {"NAME"},
          "change a run that add-run added; what is not named stays",
          RunFields(/*needed=*/false),
          {"update-run sweep --steps=latest:5"}};
}

absl::Status RemoveRun(const Context& c) {
  v1::RemoveRunRequest request;
  request.set_name(c.args.Get("name"));
  RETURN_IF_ERROR(c.client.RemoveRun(request));
  c.out << "not following " << request.name()
        << " any more; its measurements stay\n";
  return absl::OkStatus();
}

CommandSpec RemoveRunSpec() {
  return {"remove-run",
          {"NAME"},
          "stop following a run; its measurements stay",
          {},
          {"remove-run olmo2-1b"}};
}

absl::Status Config(const Context& c) {
  ASSIGN_OR_RETURN(const v1::ServerConfig config, c.client.Config());
  std::string text;
  if (c.format == Format::kJson) {
    google::protobuf::util::JsonPrintOptions options;
    options.add_whitespace = true;
    options.preserve_proto_field_names = true;
    if (!google::protobuf::util::MessageToJsonString(config, &text, options)
             .ok()) {
      return absl::InternalError("the configuration cannot be written as JSON");
    }
  } else {
    google::protobuf::TextFormat::PrintToString(config, &text);
  }
  c.out << text;
  return absl::OkStatus();
}

CommandSpec ConfigSpec() {
  return {"config",
          {},
          "the configuration that the server runs with",
          {},
          {"config"}};
}

absl::Status Ready(const Context& c) {
  RETURN_IF_ERROR(c.client.CheckReady());
  c.out << "ready\n";
  return absl::OkStatus();
}

CommandSpec ReadySpec() {
  return {"ready",
          {},
          "whether the server serves: exit code 0, else 4",
          {},
          {"ready --timeout=1"}};
}

absl::Status Version(const Context& c) {
  const auto server = c.client.ServerVersion();
  if (c.for_people()) {
    c.out << "sinkctl " << base::kVersion << "\n";
    if (!server.ok()) return server.status();
    c.out << "server  " << server->version() << " at " << c.args.Get("server")
          << ", metric definitions " << server->spec_version() << "\n";
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Print(
      c, {{"client", "server", "spec_version"},
          {{std::string(base::kVersion),
            server.ok() ? answers::Cell(server->version()) : answers::Cell(),
            server.ok() ? answers::Cell(int64_t{server->spec_version()})
                        : answers::Cell()}}}));
  return server.status();
}

CommandSpec VersionSpec() {
  return {"version", {}, "of this program and of the server", {}, {"version"}};
}

}  // namespace

std::vector<Command> AdminCommands() {
  return {{RequeueSpec(), Requeue},     {AddRunSpec(), AddRun},
          {UpdateRunSpec(), UpdateRun}, {RemoveRunSpec(), RemoveRun},
          {ConfigSpec(), Config},       {ReadySpec(), Ready},
          {VersionSpec(), Version}};
}

}  // namespace sinkwatch::ctl

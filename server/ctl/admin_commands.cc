#include "server/ctl/admin_commands.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"

namespace sinkwatch::ctl {
namespace {

absl::Status ParsePolicy(const std::string& text, v1::StepPolicy* policy) {
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
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

}  // namespace

absl::Status Requeue(const Context& c) {
  auto run = c.args.Required("run");
  if (!run.ok()) return run.status();
  v1::RequeueJobsRequest request;
  request.set_run(*run);
  request.set_include_vanished(c.args.Has("include-vanished"));
  for (absl::string_view text :
       absl::StrSplit(c.args.Get("steps", ""), ',', absl::SkipEmpty())) {
    int64_t step = 0;
    if (!absl::SimpleAtoi(text, &step)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--steps: \"", text, "\" is no step"));
    }
    request.add_steps(step);
  }
  auto requeued = c.client.Requeue(request);
  if (!requeued.ok()) return requeued.status();
  if (c.format == Format::kTable) {
    c.out << "requeued " << *requeued << " of " << *run << "\n";
    return absl::OkStatus();
  }
  return Print(c, {{"run", "requeued"}, {{*run, *requeued}}});
}

absl::Status AddRun(const Context& c) {
  v1::AddRunRequest request;
  v1::RunConfig& run = *request.mutable_run();
  for (const auto& [flag, field] :
       {std::pair<const char*, std::string*>{"name", run.mutable_name()},
        {"root", run.mutable_root()},
        {"probe", run.mutable_probe()}}) {
    auto value = c.args.Required(flag);
    if (!value.ok()) return value.status();
    *field = *value;
  }
  run.set_stage(c.args.Get("stage", ""));
  run.set_dtype(c.args.Get("dtype", ""));
  run.set_manifest(c.args.Get("manifest", ""));
  run.set_model_config(c.args.Get("model-config", ""));
  run.set_include_hf_siblings(c.args.Has("hf-siblings"));
  for (absl::string_view metric :
       absl::StrSplit(c.args.Get("metrics", ""), ',', absl::SkipEmpty())) {
    run.add_metrics(std::string(metric));
  }
  if (c.args.Has("steps")) {
    absl::Status policy =
        ParsePolicy(c.args.Get("steps", ""), run.mutable_steps());
    if (!policy.ok()) return policy;
  }
  if (absl::Status s = c.client.AddRun(request); !s.ok()) return s;
  c.out << "following " << run.name() << "\n";
  return absl::OkStatus();
}

absl::Status RemoveRun(const Context& c) {
  auto name = c.args.Required("name");
  if (!name.ok()) return name.status();
  v1::RemoveRunRequest request;
  request.set_name(*name);
  if (absl::Status s = c.client.RemoveRun(request); !s.ok()) return s;
  c.out << "not following " << *name << " any more; its measurements stay\n";
  return absl::OkStatus();
}

absl::Status Config(const Context& c) {
  auto config = c.client.Config();
  if (!config.ok()) return config.status();
  std::string text;
  if (c.format == Format::kJson) {
    google::protobuf::util::JsonPrintOptions options;
    options.add_whitespace = true;
    options.preserve_proto_field_names = true;
    if (!google::protobuf::util::MessageToJsonString(*config, &text, options)
             .ok()) {
      return absl::InternalError("the configuration cannot be written as JSON");
    }
  } else {
    google::protobuf::TextFormat::PrintToString(*config, &text);
  }
  c.out << text;
  return absl::OkStatus();
}

}  // namespace sinkwatch::ctl

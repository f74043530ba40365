#include "server/ctl/program.h"

#include <vector>

#include "server/answers/names.h"

namespace sinkwatch::ctl {
namespace {

using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

FlagSpec Stage() {
  return FlagSpec{"stage", "NAME", "stage of the run; default: its only one"}
      .Example("stage1");
}

FlagSpec Domain() {
  return FlagSpec{"domain", "NAME",
                  "text domain of the probe; default: its only one"}
      .Example("train");
}

FlagSpec Metric() {
  return FlagSpec{"metric", "NAME", "see `sinkctl metrics`; default: none"}
      .Example("sink_attention");
}

FlagSpec Step() {
  return FlagSpec{"step", "N", "default: the latest"}
      .Of(ValueKind::kWhole)
      .Example("1000");
}

FlagSpec All() { return {"all", "", "every column, however wide"}; }

// Which values of a metric.
std::vector<FlagSpec> WithSelection(std::vector<FlagSpec> flags) {
  std::vector<std::string> aggregations;
  for (int a = v1::Aggregation_MIN + 1; a <= v1::Aggregation_MAX; ++a) {
    aggregations.push_back(
        answers::AggregationName(static_cast<v1::Aggregation>(a)));
  }
  const std::vector<FlagSpec> selection = {
      Metric(),
      Domain(),
      Stage(),
      FlagSpec{"layer", "LIST", "default: all"}.Example("0,2,5-7"),
      FlagSpec{"head", "LIST", "default: all"}.Example("0,2,5-7"),
      FlagSpec{"agg", "HOW", "over the heads of a layer"}
          .OneOf(aggregations)
          .Default("each")
          .Example("max"),
      {"implausible", "", "with measurements whose loss is implausible"}};
  flags.insert(flags.begin(), selection.begin(), selection.end());
  return flags;
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
      {"hf-siblings", "", "conversions (step1000-hf) too, as stage hf"},
      {"allow-missing", "", "also if root or probe cannot be opened now"}};
}

std::vector<CommandSpec> Reading() {
  return {
      {"runs",
       {},
       "the runs that the server follows, with counts of checkpoints",
       {All()},
       {"runs", "runs -o json"}},
      {"checkpoints",
       {"RUN"},
       "every checkpoint of a run: its state, and why",
       {Stage(),
        FlagSpec{"state", "NAME", "only this state; default: all"}
            .OneOf([] {
              std::vector<std::string> states;
              for (v1::JobState state : answers::AllStates()) {
                states.push_back(answers::StateName(state));
              }
              return states;
            }())
            .Example("dead"),
        FlagSpec{"limit", "N", "only the newest N; 0 means all"}
            .Of(ValueKind::kWhole)
            .Default("0")
            .Example("20"),
        All()},
       {"checkpoints olmo2-1b", "checkpoints olmo2-1b --state=dead"}},
      {"metrics",
       {"[RUN]"},
       "the metrics that have values, with their definitions",
       {},
       {"metrics", "metrics olmo2-1b -o csv"}},
      {"measurement",
       {"RUN", "STEP"},
       "one checkpoint: its values, of many heads a summary by layer",
       {Stage(), Step(), {"all", "", "a line for every value"}},
       {"measurement olmo2-1b 1000", "measurement olmo2-1b 1000 -o json"}},
      {"heads",
       {"RUN", "METRIC"},
       "the heads at one step, sorted by a metric",
       {FlagSpec{"metric", "A,B,..",
                 "the first sorts, the others are shown beside; default: none"}
            .Example("sink_attention,value_norm_ratio"),
        Domain(),
        Stage(),
        Step(),
        FlagSpec{"limit", "N", "how many heads; 0 means all"}
            .Of(ValueKind::kWhole)
            .Default("20")
            .Example("100"),
        {"ascending", "", "the smallest first"}},
       {"heads olmo2-1b sink_attention,value_norm_ratio --domain=wiki",
        "heads olmo2-1b value_norm_ratio --domain=wiki --ascending"}},
      {"matrix",
       {"RUN", "METRIC"},
       "a metric of every layer and head at one step",
       {Metric(), Domain(), Stage(), Step(), All()},
       {"matrix olmo2-1b sink_attention --domain=wiki --step=1000"}},
      {"watch",
       {"[RUN]"},
       "a line for each measurement as it is committed, until Ctrl-C",
       {FlagSpec{"count", "N", "stop after so many; 0: never"}
            .Of(ValueKind::kWhole)
            .Default("0")
            .Example("1")},
       {"watch", "watch olmo2-1b --count=1 -o json"}}};
}

std::vector<CommandSpec> OverSteps() {
  return {
      {"series",
       {"RUN", "METRIC"},
       "a metric over the steps of a run",
       WithSelection(
           {FlagSpec{"x", "WHAT", "what the values stand over"}
                .OneOf({"step", "tokens", "log10_step"})
                .Default("step")
                .Example("tokens"),
            {"chart", "", "draw it: lines, or of many series their band"},
            {"table", "", "the values too, under the chart"},
            All()}),
       {"series olmo2-1b sink_attention --domain=wiki --chart --x=log10_step",
        "series olmo2-1b probe_loss --domain=wiki -o csv"}},
      {"emergence",
       {"RUN", "METRIC"},
       "the step interval in which a metric crossed a threshold",
       WithSelection(
           {FlagSpec{"threshold", "X", "default: the metric's own"}
                .Of(ValueKind::kNumber)
                .Example("0.5"),
            {"below", "", "crossing downward; default: as the metric has it"},
            FlagSpec{"consecutive", "N", "checkpoints beyond it in a row"}
                .Of(ValueKind::kPositive)
                .Default("2")
                .Example("3")}),
       {"emergence olmo2-1b sink_attention --domain=wiki",
        "emergence olmo2-1b value_norm_ratio --threshold=0.5 --below"}}};
}

std::vector<CommandSpec> Changing() {
  return {{"requeue",
           {"RUN"},
           "queue dead or incomplete checkpoints again, with fresh attempts",
           {FlagSpec{"steps", "LIST", "only these; default: all that are dead"}
                .Example("1000,2000"),
            {"include-vanished", "", "those that were deleted as well"}},
           {"requeue olmo2-1b --steps=1000,2000"}},
          {"add-run",
           {"NAME"},
           "follow the checkpoints of another run",
           RunFields(/*needed=*/true),
           {"add-run olmo2-1b --root=/ckpt/olmo2-1b --probe=/probes/wiki",
            "add-run sweep --root=/ckpt/s --probe=/probes/wiki "
            "--steps=per-decade:3"}},
          {"update-run",
           {"NAME"},
           "change a run that add-run added; what is not named stays",
           RunFields(/*needed=*/false),
           {"update-run sweep --steps=latest:5"}},
          {"remove-run",
           {"NAME"},
           "stop following a run; its measurements stay",
           {},
           {"remove-run olmo2-1b"}}};
}

std::vector<CommandSpec> OfTheServer() {
  return {{"config",
           {},
           "the configuration that the server runs with",
           {},
           {"config"}},
          {"ready",
           {},
           "whether the server serves: exit code 0, else 4",
           {},
           {"ready --timeout=1"}},
          {"version", {}, "of this program and of the server", {}, {"version"}},
          {"completion",
           {"SHELL"},
           "a script that completes commands and flags",
           {FlagSpec{"shell", "SHELL", "the shell; default: none"}
                .OneOf({"bash", "zsh", "fish"})
                .Example("bash")},
           {"completion bash > ~/.local/share/bash-completion/completions/"
            "sinkctl"}}};
}

std::vector<FlagSpec> CommonFlags() {
  FlagSpec server = FlagSpec{"server", "HOST:PORT", "gRPC address"}
                        .Default("127.0.0.1:17461")
                        .Example("sink.example:17461");
  server.variable = "SINKWATCH_SERVER";
  FlagSpec format = FlagSpec{"format", "FORM", "of the answer"}
                        .OneOf({"table", "json", "csv"})
                        .Default("table")
                        .Example("json");
  format.letter = 'o';
  return {server, format,
          FlagSpec{"timeout", "SECONDS", "of one request"}
              .Of(ValueKind::kNumber)
              .Default("30")
              .Example("2.5")};
}

}  // namespace

const base::ProgramSpec& SinkctlProgram() {
  static const auto* const kProgram = [] {
    auto* const program = new base::ProgramSpec{
        "sinkctl",
        "look at a sinkwatch server and tell it what to do.",
        {},
        CommonFlags(),
        "exit codes: 0 done, 1 failed, 2 bad usage, 3 not found, 4 server not "
        "reachable\n"};
    for (const auto& part :
         {Reading(), OverSteps(), Changing(), OfTheServer()}) {
      program->commands.insert(program->commands.end(), part.begin(),
                               part.end());
    }
    return program;
  }();
  return *kProgram;
}

}  // namespace sinkwatch::ctl

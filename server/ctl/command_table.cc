#include "server/ctl/commands.h"

namespace sinkwatch::ctl {
namespace {

const FlagSpec kStage = {"stage", "NAME",
                         "stage of the run, if it has several"};
const FlagSpec kDomain = {"domain", "NAME",
                          "text domain, if the probe has several"};
const FlagSpec kMetric = {"metric", "NAME", "see `sinkctl metrics`"};
const FlagSpec kLayer = {"layer", "LIST", "such as 0,2,5-7; default: all"};
const FlagSpec kHead = {"head", "LIST", "such as 0,2,5-7; default: all"};
const FlagSpec kAgg = {"agg", "HOW",
                       "over heads: each, mean, median, p90, max, min"};
const FlagSpec kImplausible = {"implausible", "",
                               "with measurements whose loss is implausible"};

std::vector<CommandSpec> BuildCommands() {
  return {
      {"runs",
       {},
       "the runs that the server follows, with counts of checkpoints",
       {{"all", "", "every column"}},
       {"runs", "runs --format=json"}},
      {"checkpoints",
       {"RUN"},
       "every checkpoint of a run: its state, and why",
       {kStage,
        {"state", "NAME", "only this state (queued, done, dead, ...)"},
        {"all", "", "every column"}},
       {"checkpoints olmo2-1b", "checkpoints olmo2-1b --state=dead"}},
      {"metrics",
       {"RUN"},
       "the metrics that have values, with their definitions",
       {},
       {"metrics", "metrics olmo2-1b --format=csv"}},
      {"measurement",
       {"RUN", "STEP"},
       "every value of one checkpoint",
       {kStage},
       {"measurement olmo2-1b 1000 --format=json"}},
      {"series",
       {"RUN", "METRIC"},
       "a metric over the steps of a run",
       {kMetric,
        kDomain,
        kStage,
        kLayer,
        kHead,
        kAgg,
        {"x", "WHAT", "step (default), tokens or log10_step"},
        kImplausible,
        {"chart", "", "draw it"}},
       {"series olmo2-1b sink_attention --domain=wiki --agg=max --chart",
        "series olmo2-1b probe_loss --domain=wiki --format=csv"}},
      {"heads",
       {"RUN", "METRIC"},
       "the heads at one step, sorted by a metric",
       {{"metric", "A,B,..", "the first sorts, the others are shown beside"},
        kDomain,
        kStage,
        {"step", "N", "default: the latest"},
        {"limit", "N", "how many heads; default 20, 0 means all"},
        {"ascending", "", "the smallest first"}},
       {"heads olmo2-1b sink_attention,value_norm_ratio --domain=wiki",
        "heads olmo2-1b value_norm_ratio --domain=wiki --ascending"}},
      {"matrix",
       {"RUN", "METRIC"},
       "a metric of every layer and head at one step",
       {kMetric, kDomain, kStage, {"step", "N", "default: the latest"}},
       {"matrix olmo2-1b sink_attention --domain=wiki --step=1000"}},
      {"emergence",
       {"RUN", "METRIC"},
       "the step interval in which a metric crossed a threshold",
       {kMetric,
        kDomain,
        kStage,
        kLayer,
        kHead,
        kAgg,
        {"threshold", "X", "default: the metric's own"},
        {"below", "", "crossing downward"},
        {"consecutive", "N", "checkpoints beyond it in a row; default 2"},
        kImplausible},
       {"emergence olmo2-1b sink_attention --domain=wiki --threshold=0.5",
        "emergence olmo2-1b value_norm_ratio --threshold=0.5 --below"}},
      {"watch",
       {"RUN"},
       "a line for each measurement as it is committed, until Ctrl-C",
       {{"count", "N", "stop after so many"}},
       {"watch", "watch olmo2-1b --count=1 --format=json"}},
      {"requeue",
       {"RUN"},
       "queue dead or incomplete checkpoints again, with fresh attempts",
       {{"steps", "LIST", "only these, such as 1000,2000; default: all dead"},
        {"include-vanished", "", "those that were deleted as well"}},
       {"requeue olmo2-1b --steps=1000,2000"}},
      {"add-run",
       {"NAME"},
       "follow the checkpoints of another run",
       {{"root", "DIR", "folder of the step folders, as the server sees it"},
        {"probe", "DIR", "folder of the probe (probe.json)"},
        kStage,
        {"dtype", "TYPE", "float32 (default) or bfloat16"},
        {"metrics", "LIST", "only these; default: all"},
        {"steps", "POLICY", "all, latest:N, per-decade:N, or 0,1000,2000"},
        {"manifest", "FILE", "CSV list of a published series to follow"},
        {"model-config", "FILE", "for checkpoints that have no configuration"},
        {"hf-siblings", "", "conversions (step1000-hf) too, as stage hf"}},
       {"add-run olmo2-1b --root=/ckpt/olmo2-1b --probe=/probes/wiki",
        "add-run sweep --root=/ckpt/s --probe=/probes/wiki "
        "--steps=per-decade:3"}},
      {"remove-run",
       {"NAME"},
       "stop following a run; its measurements stay",
       {},
       {"remove-run olmo2-1b"}},
      {"config",
       {},
       "the configuration that the server runs with",
       {},
       {"config"}},
  };
}

}  // namespace

const std::vector<CommandSpec>& Commands() {
  static const auto* const kCommands =
      new std::vector<CommandSpec>(BuildCommands());
  return *kCommands;
}

const std::vector<FlagSpec>& CommonFlags() {
  static const auto* const kFlags = new std::vector<FlagSpec>{
      {"server", "HOST:PORT", "default 127.0.0.1:17461 or $SINKWATCH_SERVER"},
      {"format", "FORM", "table (default), json or csv"},
      {"timeout", "SECONDS", "of one request; default 30"},
      {"help", "", "this text"}};
  return *kFlags;
}

}  // namespace sinkwatch::ctl

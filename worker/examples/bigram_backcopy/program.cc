#include "worker/examples/bigram_backcopy/program.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/examples/bigram_backcopy/preset.h"

namespace sinkwatch::bigram_backcopy {
namespace {

using base::CommandSpec;
using base::FlagSpec;
using base::ValueKind;

// What is trained.
std::vector<FlagSpec> TrainingFlags() {
  std::vector<std::string> presets;
  for (const Preset& preset : Presets()) presets.push_back(preset.name);
  return {
      FlagSpec{"preset", "NAME", "what to train; see below"}
          .OneOf(presets)
          .Default("adam")
          .Example("sgd3"),
      FlagSpec{"seed", "N", "of weights and batches"}
          .Of(ValueKind::kWhole)
          .Default("42")
          .Example("7"),
      FlagSpec{"steps", "N", "training steps; 0 for the preset's"}
          .Of(ValueKind::kWhole)
          .Default("0")
          .Example("200"),
      FlagSpec{"lr", "X", "learning rate; 0 for the preset's"}
          .Of(ValueKind::kNumber)
          .Default("0")
          .Example("0.001"),
      FlagSpec{"freeze", "NAMES",
               "tensors whose names hold one of these are trained no more from "
               "--freeze_from on"}
          .Example("v_proj,o_proj"),
      FlagSpec{"freeze_from", "STEP", "see --freeze"}
          .Of(ValueKind::kWhole)
          .Default("0")
          .Example("100"),
  };
}

// What is written, where and when.
std::vector<FlagSpec> WritingFlags() {
  return {
      FlagSpec{"checkpoints", "STEPS", "steps to write; default: the preset's"}
          .Example("0,100,800"),
      FlagSpec{"out", "DIR",
               "folder to write step folders to; default: none, which "
               "--probe_only alone may leave out"}
          .Example("runs/toy"),
      FlagSpec{"pace", "SECONDS",
               "to wait before each checkpoint but the first"}
          .Of(ValueKind::kNumber)
          .Default("0")
          .Example("2.5"),
      FlagSpec{"probe_out", "DIR",
               "folder to write the probe to; default: none"}
          .Example("runs/probe"),
      {"probe_only", "", "write the probe and end"},
      FlagSpec{"probe_sequences", "N", "sequences of each domain of the probe"}
          .Of(ValueKind::kPositive)
          .Default("128")
          .Example("32"),
  };
}

std::string Notes() {
  std::string text =
      "A JSON line on standard output for each checkpoint. Presets:\n";
  for (const Preset& preset : Presets()) {
    absl::StrAppend(&text, "  ", preset.name, ": ", preset.shows, "\n");
  }
  return text;
}

CommandSpec OnlyCommand() {
  CommandSpec command{"", {}, "", TrainingFlags(), {}, Notes()};
  for (const FlagSpec& flag : WritingFlags()) command.flags.push_back(flag);
  command.examples = {"--preset=adam --out=runs/toy",
                      "--probe_only --probe_out=runs/probe"};
  return command;
}

}  // namespace

const base::ProgramSpec& TrainerProgram() {
  static const auto* const kProgram =
      new base::ProgramSpec{"bigram_backcopy",
                            "trains a toy model on the Bigram-Backcopy task.",
                            {OnlyCommand()},
                            {},
                            "exit codes: 0 done, 2 bad usage, 1 other\n"};
  return *kProgram;
}

}  // namespace sinkwatch::bigram_backcopy

#ifndef SINKWATCH_PROTO_BASE_STEP_NAME_H_
#define SINKWATCH_PROTO_BASE_STEP_NAME_H_

#include <cstdint>
#include <optional>
#include <string>

// What the names of folders, files and revisions say. Pure functions.
namespace sinkwatch::base {

// Whose habit a name is, and so how much it proves.
enum class NameForm {
  kStep,        // step1000, iter_0001000, ckpt_12, ba5000: a word and a number
  kCheckpoint,  // checkpoint-1000: Hugging Face's Trainer
  kGlobalStep,  // global_step1000: gpt-neox, DeepSpeed, verl
  // What other things are called too: 1000, epoch_3, 240b_tokens, and a step
  // with words around it (lc-4k-to-32k-step-4000). Such a folder is a
  // checkpoint if something of one lies in it.
  kLoose,
};

// What `step` counts.
enum class StepAxis { kSteps, kTokens, kEpochs };

// What a checkpoint's name says.
struct StepName {
  NameForm form = NameForm::kStep;
  std::string stage;  // "stage1", "stage2-ingredient1", "spike", or empty
  int64_t step = 0;
  int64_t tokens = 0;  // as rounded in the name; 0 if it is not there
  // What makes another checkpoint of the same step of it, or empty:
  // "+11000+10000-nooptim-reshard32" of an average of three checkpoints, "ema".
  std::string variant;
  std::string seed;        // of step69369-seed-small-aux-2: "small-aux-2"
  bool unsharded = false;  // step1000-unsharded: step1000 in one file
  bool converted = false;  // step1000-hf: step1000 for Hugging Face
  StepAxis axis = StepAxis::kSteps;
};

// Reads a name; none if it tells no step. README.md has the rule and its
// ambiguities, step_name_test.cc the names of known trainers and series.
std::optional<StepName> ParseStepName(const std::string& name);

// The same of a file of weights, whose ending counts for nothing
// (model_000100.pt); none of a file that is no such file (.pt, .pth, .ckpt,
// .bin, .safetensors), or that is one of a folder's (optim_000100_rank0.pt,
// model-00001-of-00002.safetensors).
std::optional<StepName> ParseStepFile(const std::string& name);

// A count with its unit: "240B", "1431k", "2000"; decimals where the unit makes
// a whole number of it. None for anything else.
std::optional<int64_t> ParseCount(const std::string& text);

// Whether the name says that its owner is not finished: -tmp, .tmp, tmp-,
// .incomplete, .part.
bool IsUnderWay(const std::string& name);

// What such a file will be called: "model.safetensors" of
// "tmp-model.safetensors.part". Other names are as they are.
std::string WithoutUnderWay(const std::string& name);

// Whether checkpoints of a stage lie in a folder of this name: it holds
// "stage<N>" or "ingredient<N>" (olmo2_stage2_ingredient1), or is soup, souped.
bool IsStageFolder(const std::string& name);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_STEP_NAME_H_

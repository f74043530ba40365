#ifndef SINKWATCH_PROTO_BASE_STEP_NAME_H_
#define SINKWATCH_PROTO_BASE_STEP_NAME_H_

#include <cstdint>
#include <optional>
#include <string>

// What the names of folders and revisions say. Pure functions.
namespace sinkwatch::base {

// Whose habit a name is.
enum class NameForm {
  kStep,        // step1000, ckpt_12
  kCheckpoint,  // checkpoint-1000: Hugging Face's Trainer
  kGlobalStep,  // global_step1000: gpt-neox, DeepSpeed
  kNumber,      // 1000: nanotron, among many others
};

// What a checkpoint folder's name says.
struct StepName {
  NameForm form = NameForm::kStep;
  std::string stage;  // "stage1", "stage2-ingredient1", or empty
  int64_t step = 0;
  int64_t tokens = 0;  // as rounded in the name; 0 if it is not there
  // What makes another checkpoint of the same step of it, or empty:
  // "+11000+10000-nooptim-reshard32" of an average of three checkpoints.
  std::string variant;
  bool unsharded = false;  // step1000-unsharded: step1000 in one file
  bool converted = false;  // step1000-hf: step1000 for Hugging Face
};

// Reads step1000, step-1000, step_1000, step1000-tokens4B,
// stage1-step150-tokens1B, stage2-ingredient1-step11931-tokens50B,
// stage2-ingredient1+2-step23842, step11921+11000+10000-nooptim-reshard32,
// step1000-unsharded, step1000-hf, checkpoint-1000, ckpt_12 (as step 12),
// global_step1000 and 1000. None for any other name: folders under way, links
// such as latest.
std::optional<StepName> ParseStepName(const std::string& name);

// Whether the name says that its owner is not finished: -tmp, .tmp, tmp-,
// .incomplete, .part.
bool IsUnderWay(const std::string& name);

// Whether checkpoints of a stage lie in a folder of this name: it holds
// "stage<N>" or "ingredient<N>" (olmo2_stage2_ingredient1), or is soup, souped.
bool IsStageFolder(const std::string& name);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_STEP_NAME_H_

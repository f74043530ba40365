#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Translates the config.json of an OLMo-core experiment (allenai/OLMo-core,
// `src/olmo_core/nn/transformer/config.py`) into the keys of Hugging Face:
//
//   block `default`                          LlamaForCausalLM
//   block `default`, qk_norm per head        Qwen3ForCausalLM
//   block `reordered_norm`, qk_norm          Olmo2ForCausalLM
//   the same, where a layer has a window     Olmo3ForCausalLM
//   named blocks in a block_pattern, some    OlmoHybridForCausalLM
//   of them gated delta networks
//
// The block's name decides where the norms are: the tensors of `default` and
// `reordered_norm` have the same names. What the trainer's classes take for an
// absent field is taken here: a bias is there, eps is 1e-5, theta 500000, the
// first and the last layer have no window.
//
// Layers may differ in their window and, by that, in their rope
// (block_overrides with a rope scaling on full layers is how YaRN is written);
// any other difference is refused.
//
// Codes: DATA_LOSS, UNIMPLEMENTED, as Fields has them.
absl::StatusOr<nlohmann::json> TranslateOlmoCore(const nlohmann::json& root);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_H_

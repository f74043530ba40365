#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_NATIVE_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_NATIVE_H_

#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Translates the `model` object of the first OLMo trainer (allenai/OLMo,
// `olmo/config.py`, ModelConfig) into the keys of Hugging Face:
//
//   LayerNorm before each sub-layer                    OlmoForCausalLM
//   RMSNorm before each sub-layer                      LlamaForCausalLM
//   RMSNorm after it (norm_after), QK-norm over width  Olmo2ForCausalLM
//
// OlmoForCausalLM gets two keys that Hugging Face does not have:
// `olmo.layer_norm_affine` (the norms have weights), `olmo.scale_logits`
// (logits are multiplied by width^-1/2).
//
// Fields that are absent have the trainer's defaults, which are those of GPT-2:
// biases, learned positions, tied weights. mlp_hidden_size counts both halves
// of SwiGLU. embedding_size, where it is not null, is the number of rows.
//
// `where` is the object's key in its file ("model"; "" in an hf_olmo
// config.json, whose own keys are ignored). Codes: DATA_LOSS, UNIMPLEMENTED, as
// Fields has them.
absl::StatusOr<nlohmann::json> TranslateOlmoNative(const nlohmann::json& model,
                                                   const std::string& where);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_NATIVE_H_

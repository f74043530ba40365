#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_MEGATRON_BRIDGE_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_MEGATRON_BRIDGE_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Whether `model`, of a run_config.yaml, is Megatron Bridge's: it names the
// class that makes the model.
bool IsMegatronBridge(const nlohmann::json& model);

// The model of Megatron Bridge's run_config.yaml as Hugging Face's keys, in
// either of its forms: a provider, whose fields lie side by side, or a config
// with those of Megatron-Core's TransformerConfig in `transformer`. Decoders of
// rotary attention, RMSNorm and SwiGLU, with experts or without, become Llama,
// Qwen 2, Qwen 3, Qwen3-MoE or Mixtral. Source: NVIDIA-NeMo/Megatron-Bridge at
// 067f987d and NVIDIA/Megatron-LM at d98e8a64 (2026-08-22).
//
// DATA_LOSS for a field that is missing, of the wrong type or out of range;
// UNIMPLEMENTED for what is not implemented, and for a field that is not known.
// Messages begin with the field's place ("key 'model.window_size'").
absl::StatusOr<nlohmann::json> TranslateMegatronBridge(
    const nlohmann::json& model);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_MEGATRON_BRIDGE_H_

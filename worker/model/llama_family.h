#ifndef SINKWATCH_WORKER_MODEL_LLAMA_FAMILY_H_
#define SINKWATCH_WORKER_MODEL_LLAMA_FAMILY_H_

#include <memory>
#include <string>
#include <vector>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/attention_extras.h"
#include "worker/model/mixture.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

// Llama's block and those that differ from it by an option. llama.cc,
// mistral.cc, mixtral.cc, qwen2.cc, qwen3.cc, qwen3_moe.cc and smollm3.cc each
// read their config into one of these.
struct LlamaFamily : SwiGluShape {
  double norm_epsilon = 0;
  Rope rope;
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  // Queries and keys go through an RMSNorm over the width of a head, after the
  // heads are split and before they are rotated (Qwen3).
  bool head_norms = false;
  AttentionExtras extras;
  // Layers without rotary positions (SmolLM3), one entry a layer; empty: none.
  std::vector<bool> unrotated;
  // Layers whose MLP is a mixture (Mixtral, Qwen3-MoE), one entry a layer;
  // empty: none.
  std::vector<bool> mixed;
  SwiGluMixture mixture;

  bool IsMixed(int layer) const { return !mixed.empty() && mixed[layer]; }
  bool IsRotated(int layer) const {
    return unrotated.empty() || !unrotated[layer];
  }
};

// What a family takes for keys that are absent.
struct LlamaDefaults {
  RopeFamily rope = {};
  double epsilon = 1e-6;
  ShapeKeys shape = {};
};

// The keys that all of them have: those of ReadSwiGluShape, rms_norm_eps, rope.
// Options and windows are left for the caller.
LlamaFamily ReadLlamaFamily(files::Fields& config,
                            const std::string& architecture,
                            const LlamaDefaults& defaults = {});

// Tensors in the schemes of Hugging Face, OLMo (RMSNorm before each sub-layer),
// OLMo-core (block `default`) and, without options, Meta.
std::unique_ptr<Architecture> MakeLlamaFamily(LlamaFamily family);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_LLAMA_FAMILY_H_

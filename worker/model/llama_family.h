#ifndef SINKWATCH_WORKER_MODEL_LLAMA_FAMILY_H_
#define SINKWATCH_WORKER_MODEL_LLAMA_FAMILY_H_

#include <memory>
#include <string>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

// Llama's block and those that differ from it by an option. llama.cc,
// mistral.cc, qwen2.cc and qwen3.cc each read their config into one of these.
struct LlamaFamily : SwiGluShape {
  double norm_epsilon = 0;
  Rope rope;
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  // Queries and keys go through an RMSNorm over the width of a head, after the
  // heads are split and before they are rotated (Qwen3).
  bool head_norms = false;
};

// The keys that all of them have: those of ReadSwiGluShape, rms_norm_eps, rope.
// Options and windows are left for the caller.
LlamaFamily ReadLlamaFamily(files::Fields& config,
                            const std::string& architecture);

// Tensors in the schemes of Hugging Face, OLMo (RMSNorm before each sub-layer),
// OLMo-core (block `default`) and, without options, Meta.
std::unique_ptr<Architecture> MakeLlamaFamily(LlamaFamily family);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_LLAMA_FAMILY_H_

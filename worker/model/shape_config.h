#ifndef SINKWATCH_WORKER_MODEL_SHAPE_CONFIG_H_
#define SINKWATCH_WORKER_MODEL_SHAPE_CONFIG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"

// Keys that several families have. What is wrong with one is the status of the
// fields; what is returned then is a harmless value in range.
namespace sinkwatch::model {

// What a family calls the numbers of its shape; null: it has no such key.
// vocab_size is called so by all.
struct ShapeKeys {
  const char* width = "hidden_size";
  const char* layers = "num_hidden_layers";
  const char* heads = "num_attention_heads";
  const char* kv_heads = "num_key_value_heads";
  const char* head_dim = "head_dim";
  const char* positions = "max_position_embeddings";
  // What transformers 5.24 takes where the key is absent, and not null; 0: as
  // many key/value heads as heads, a head_dim that shares the width out.
  int64_t default_kv_heads = 0;
  int64_t default_head_dim = 0;
};

// Reads these keys, bounded, so that no product of them overflows. Every layer
// gets softmax attention of scale head_dim^-1/2.
//
// DATA_LOSS names a key that is missing or out of range, or heads that do not
// share out over key/value heads or width.
ModelShape ReadShape(files::Fields& config, const std::string& architecture,
                     const ShapeKeys& keys = {});

// What every family with one SwiGLU a layer, or one an expert, has.
struct SwiGluShape {
  ModelShape shape;
  int64_t feed_forward = 0;
  bool tied = false;  // the output matrix is the embedding
};

// The keys of ReadShape, intermediate_size, tie_word_embeddings, and
// hidden_act, of which UNIMPLEMENTED refuses any but "silu".
void ReadSwiGluShape(files::Fields& config, const std::string& architecture,
                     SwiGluShape& read, const ShapeKeys& keys = {});

// clip_qkv, what OLMo's projections are clamped to; 0 where they are not.
double ReadClipQkv(files::Fields& config);

// UNIMPLEMENTED, naming the key, unless the heads together are as wide as the
// stream: for families whose code takes that for granted.
void RequireFullHeads(files::Fields& config, const ModelShape& shape);

// intermediate_size, bounded; or `key`, `fallback` where that is absent.
int64_t ReadFeedForwardWidth(files::Fields& config);
int64_t ReadFeedForwardWidth(files::Fields& config, const char* key,
                             int64_t fallback);

// Experts of a mixture, and how many of them a token takes.
struct ExpertCounts {
  int64_t experts = 0;
  int64_t chosen = 0;
};

// The first of the keys that is there, bounded, and num_experts_per_tok, at
// most as many. Writers call the first num_experts, num_local_experts (as
// transformers 5 calls most families' when it saves) or n_routed_experts.
ExpertCounts ReadExpertCounts(files::Fields& config);

// sliding_window; `fallback` where the key is absent, 0 where it is null.
int64_t ReadWindow(files::Fields& config, int64_t fallback);

// One entry a layer: whether layer_types calls it `type`, or fallback(i) of
// layer i where that key is absent. UNIMPLEMENTED for another type than that
// and "full_attention"; DATA_LOSS, and no entry, if there is not one per layer.
std::vector<bool> ReadLayersOfType(files::Fields& config,
                                   const std::string& type,
                                   const std::function<bool(int)>& fallback,
                                   int layers);

// Gives every sliding layer its window: those that layer_types calls
// "sliding_attention", or layers i with slides(i) where that key is absent.
// UNIMPLEMENTED for a layer type other than that and "full_attention";
// DATA_LOSS if there is not one per layer, or a layer slides and `window` is 0.
void ReadLayerTypes(files::Fields& config, int64_t window,
                    const std::function<bool(int)>& slides, ModelShape& shape);

// The same by Qwen's keys: layers from max_window_layers on slide, if
// use_sliding_window.
void ReadQwenWindows(files::Fields& config, ModelShape& shape);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_SHAPE_CONFIG_H_

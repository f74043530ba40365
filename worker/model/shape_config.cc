#include "worker/model/shape_config.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/files/strict_json.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxWidth = int64_t{1} << 17;
constexpr int64_t kMaxFeedForward = int64_t{1} << 20;
constexpr int64_t kMaxExperts = 4096;
constexpr int64_t kMaxVocabulary = int64_t{1} << 22;
constexpr int64_t kMaxPositions = int64_t{1} << 24;

// `fallback` where the family has no such key, or the config does not say.
int64_t Number(files::Fields& config, const char* key, int64_t most,
               int64_t fallback) {
  return key == nullptr ? fallback : config.IntOr(key, 1, most, fallback);
}

// What an absent key stands for; a null one for `derived`.
int64_t Default(const files::Fields& config, const char* key, int64_t fallback,
                int64_t derived) {
  return fallback > 0 && key != nullptr && !config.IsNull(key) ? fallback
                                                               : derived;
}

void ReadHeads(files::Fields& config, const ShapeKeys& keys,
               ModelShape& shape) {
  const int64_t heads = config.Int(keys.heads, 1, kMaxHeads);
  const int64_t groups =
      Number(config, keys.kv_heads, kMaxHeads,
             Default(config, keys.kv_heads, keys.default_kv_heads, heads));
  if (heads % groups != 0) {
    config.Contradiction(absl::StrCat(keys.heads, " ", heads,
                                      " is no multiple of ", keys.kv_heads, " ",
                                      groups));
  }
  const bool explicit_width =
      keys.head_dim != nullptr && config.Has(keys.head_dim);
  const int64_t width =
      Default(config, keys.head_dim, keys.default_head_dim, 0);
  if (!explicit_width && width == 0 && shape.width % heads != 0) {
    config.Contradiction(absl::StrCat(keys.width, " ", shape.width,
                                      " is no multiple of ", keys.heads, " ",
                                      heads));
  }
  shape.heads = static_cast<int>(heads);
  shape.kv_heads = static_cast<int>(groups);
  shape.head_dim =
      static_cast<int>(Number(config, keys.head_dim, kMaxWidth,
                              width > 0 ? width : shape.width / heads));
}

// Whether an entry of layer_types, which may be "full_attention" too, is
// `type`.
bool IsOfType(files::Fields& config, const nlohmann::json& entry,
              const std::string& type) {
  if (entry != type && entry != "full_attention") {
    config.Unsupported(
        absl::StrCat("layer_types ", files::Quoted(entry.dump())));
  }
  return entry == type;
}

}  // namespace

ModelShape ReadShape(files::Fields& config, const std::string& architecture,
                     const ShapeKeys& keys) {
  ModelShape shape;
  shape.architecture = architecture;
  shape.width = static_cast<int>(config.Int(keys.width, 1, kMaxWidth));
  shape.layers = static_cast<int>(config.Int(keys.layers, 1, kMaxLayers));
  shape.vocabulary = config.Int("vocab_size", 1, kMaxVocabulary);
  shape.max_positions = Number(config, keys.positions, kMaxPositions, 0);
  ReadHeads(config, keys, shape);
  AttentionShape attention;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  shape.attention.assign(shape.layers, attention);
  return shape;
}

void ReadSwiGluShape(files::Fields& config, const std::string& architecture,
                     SwiGluShape& read, const ShapeKeys& keys) {
  read.shape = ReadShape(config, architecture, keys);
  read.feed_forward = ReadFeedForwardWidth(config);
  read.tied = config.BoolOr("tie_word_embeddings", false);
  config.RequireString("hidden_act", "silu", "silu");
}

double ReadClipQkv(files::Fields& config) {
  return config.Has("clip_qkv") ? config.Positive("clip_qkv") : 0.0;
}

int64_t ReadFeedForwardWidth(files::Fields& config) {
  return config.Int("intermediate_size", 1, kMaxFeedForward);
}

int64_t ReadFeedForwardWidth(files::Fields& config, const char* key,
                             int64_t fallback) {
  return config.IntOr(key, 1, kMaxFeedForward, fallback);
}

ExpertCounts ReadExpertCounts(files::Fields& config) {
  ExpertCounts counts;
  const char* key = "num_experts";
  for (const char* other : {"num_local_experts", "n_routed_experts"}) {
    if (!config.Has(key) && config.Has(other)) key = other;
  }
  counts.experts = config.Int(key, 1, kMaxExperts);
  counts.chosen = config.Int("num_experts_per_tok", 1, counts.experts);
  return counts;
}

void RequireFullHeads(files::Fields& config, const ModelShape& shape) {
  if (int64_t{shape.heads} * shape.head_dim == shape.width) return;
  config.Unsupported(absl::StrCat("head_dim ", shape.head_dim, " times ",
                                  shape.heads, " heads other than hidden_size ",
                                  shape.width));
}

int64_t ReadWindow(files::Fields& config, int64_t fallback) {
  return config.IntOr("sliding_window", 1, kMaxPositions,
                      config.IsNull("sliding_window") ? 0 : fallback);
}

std::vector<bool> ReadLayersOfType(files::Fields& config,
                                   const std::string& type,
                                   const std::function<bool(int)>& fallback,
                                   int layers) {
  std::vector<bool> of_type;
  if (!config.Has("layer_types")) {
    for (int i = 0; i < layers; ++i) of_type.push_back(fallback(i));
    return of_type;
  }
  const nlohmann::json& types = config.json().at("layer_types");
  if (!types.is_array() || types.size() != static_cast<size_t>(layers)) {
    config.Contradiction(absl::StrCat("layer_types must be a list of ", layers,
                                      " names, one per layer"));
    return of_type;
  }
  for (const nlohmann::json& entry : types) {
    of_type.push_back(IsOfType(config, entry, type));
  }
  return of_type;
}

void ReadLayerTypes(files::Fields& config, int64_t window,
                    const std::function<bool(int)>& slides, ModelShape& shape) {
  const std::vector<bool> sliding =
      ReadLayersOfType(config, "sliding_attention", slides, shape.layers);
  for (size_t layer = 0; layer < sliding.size(); ++layer) {
    if (sliding[layer] && window == 0) {
      config.Contradiction(absl::StrCat(
          "layer ", layer, " slides and sliding_window is not set"));
    }
    shape.attention[layer].window = sliding[layer] ? window : 0;
  }
}

void ReadQwenWindows(files::Fields& config, ModelShape& shape) {
  const bool used = config.BoolOr("use_sliding_window", false);
  const int64_t window = ReadWindow(config, 4096);
  const int64_t first = config.IntOr("max_window_layers", 0, kMaxLayers, 28);
  const int64_t in_use = used ? window : 0;
  ReadLayerTypes(
      config, in_use, [&](int layer) { return in_use > 0 && layer >= first; },
      shape);
}

}  // namespace sinkwatch::model

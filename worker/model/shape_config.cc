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
constexpr int64_t kMaxVocabulary = int64_t{1} << 22;
constexpr int64_t kMaxPositions = int64_t{1} << 24;

// `fallback` where the family has no such key, or the config does not say.
absl::StatusOr<int64_t> Number(const checkpoint::Config& config,
                               const char* key, int64_t most,
                               int64_t fallback) {
  if (key == nullptr) return fallback;
  return config.IntOr(key, 1, most, fallback);
}

absl::Status ReadHeads(const checkpoint::Config& config, const ShapeKeys& keys,
                       ModelShape& shape) {
  const auto heads = config.Int(keys.heads, 1, kMaxHeads);
  if (!heads.ok()) return heads.status();
  const auto groups = Number(config, keys.kv_heads, kMaxHeads, *heads);
  if (!groups.ok()) return groups.status();
  if (*heads % *groups != 0) {
    return config.Contradiction(absl::StrCat(keys.heads, " ", *heads,
                                             " is no multiple of ",
                                             keys.kv_heads, " ", *groups));
  }
  const bool explicit_width =
      keys.head_dim != nullptr && config.Has(keys.head_dim);
  if (!explicit_width && shape.width % *heads != 0) {
    return config.Contradiction(absl::StrCat(keys.width, " ", shape.width,
                                             " is no multiple of ", keys.heads,
                                             " ", *heads));
  }
  const auto head_dim =
      Number(config, keys.head_dim, kMaxWidth, shape.width / *heads);
  if (!head_dim.ok()) return head_dim.status();
  shape.heads = static_cast<int>(*heads);
  shape.kv_heads = static_cast<int>(*groups);
  shape.head_dim = static_cast<int>(*head_dim);
  return absl::OkStatus();
}

// Whether layer_types says that `layer` slides.
absl::StatusOr<bool> Slides(const checkpoint::Config& config, int layer) {
  const nlohmann::json& type = config.json().at("layer_types").at(layer);
  if (type == "sliding_attention") return true;
  if (type == "full_attention") return false;
  return config.Unsupported(
      absl::StrCat("layer_types ", files::Quoted(type.dump())));
}

}  // namespace

absl::StatusOr<ModelShape> ReadShape(const checkpoint::Config& config,
                                     const std::string& architecture,
                                     const ShapeKeys& keys) {
  ModelShape shape;
  shape.architecture = architecture;
  const auto width = config.Int(keys.width, 1, kMaxWidth);
  if (!width.ok()) return width.status();
  shape.width = static_cast<int>(*width);
  const auto layers = config.Int(keys.layers, 1, kMaxLayers);
  if (!layers.ok()) return layers.status();
  shape.layers = static_cast<int>(*layers);
  const auto vocabulary = config.Int("vocab_size", 1, kMaxVocabulary);
  if (!vocabulary.ok()) return vocabulary.status();
  shape.vocabulary = *vocabulary;
  const auto positions = Number(config, keys.positions, kMaxPositions, 0);
  if (!positions.ok()) return positions.status();
  shape.max_positions = *positions;
  absl::Status heads = ReadHeads(config, keys, shape);
  if (!heads.ok()) return heads;

  AttentionShape attention;
  attention.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
  shape.attention.assign(shape.layers, attention);
  return shape;
}

absl::Status ReadSwiGluShape(const checkpoint::Config& config,
                             const std::string& architecture,
                             SwiGluShape& read) {
  auto shape = ReadShape(config, architecture);
  if (!shape.ok()) return shape.status();
  read.shape = *std::move(shape);
  const auto feed_forward = ReadFeedForwardWidth(config);
  if (!feed_forward.ok()) return feed_forward.status();
  read.feed_forward = *feed_forward;
  const auto tied = config.BoolOr("tie_word_embeddings", false);
  if (!tied.ok()) return tied.status();
  read.tied = *tied;
  return RequireString(config, "hidden_act", "silu");
}

absl::StatusOr<double> ReadClipQkv(const checkpoint::Config& config) {
  if (!config.Has("clip_qkv")) return 0.0;
  return config.PositiveOr("clip_qkv", 1.0);
}

absl::StatusOr<int64_t> ReadFeedForwardWidth(const checkpoint::Config& config) {
  return config.Int("intermediate_size", 1, kMaxFeedForward);
}

absl::StatusOr<int64_t> ReadFeedForwardWidth(const checkpoint::Config& config,
                                             const std::string& key,
                                             int64_t fallback) {
  return config.IntOr(key, 1, kMaxFeedForward, fallback);
}

absl::Status RequireFullHeads(const checkpoint::Config& config,
                              const ModelShape& shape) {
  if (int64_t{shape.heads} * shape.head_dim == shape.width) {
    return absl::OkStatus();
  }
  return config.Unsupported(
      absl::StrCat("head_dim ", shape.head_dim, " times ", shape.heads,
                   " heads other than hidden_size ", shape.width));
}

absl::StatusOr<int64_t> ReadWindow(const checkpoint::Config& config,
                                   int64_t fallback) {
  const bool absent = !config.json().contains("sliding_window");
  return config.IntOr("sliding_window", 1, kMaxPositions,
                      absent ? fallback : 0);
}

absl::Status ReadLayerTypes(const checkpoint::Config& config, int64_t window,
                            const std::function<bool(int)>& slides,
                            ModelShape& shape) {
  const bool listed = config.Has("layer_types");
  if (listed) {
    const nlohmann::json& types = config.json().at("layer_types");
    if (!types.is_array() || types.size() != shape.attention.size()) {
      return config.Contradiction("layer_types must be a list of " +
                                  std::to_string(shape.layers) +
                                  " names, one per layer");
    }
  }
  for (int layer = 0; layer < shape.layers; ++layer) {
    const auto sliding =
        listed ? Slides(config, layer) : absl::StatusOr<bool>(slides(layer));
    if (!sliding.ok()) return sliding.status();
    if (*sliding && window == 0) {
      return config.Contradiction(absl::StrCat("layer ", layer,
                                               " slides and sliding_window "
                                               "is not set"));
    }
    shape.attention[layer].window = *sliding ? window : 0;
  }
  return absl::OkStatus();
}

absl::Status ReadQwenWindows(const checkpoint::Config& config,
                             ModelShape& shape) {
  const auto used = config.BoolOr("use_sliding_window", false);
  if (!used.ok()) return used.status();
  const auto window = ReadWindow(config, 4096);
  if (!window.ok()) return window.status();
  const auto first = config.IntOr("max_window_layers", 0, kMaxLayers, 28);
  if (!first.ok()) return first.status();
  const int64_t in_use = *used ? *window : 0;
  return ReadLayerTypes(
      config, in_use, [&](int layer) { return in_use > 0 && layer >= *first; },
      shape);
}

absl::Status RequireBool(const checkpoint::Config& config,
                         const std::string& key, bool value) {
  const auto found = config.BoolOr(key, value);
  if (!found.ok()) return found.status();
  if (*found == value) return absl::OkStatus();
  return config.Unsupported(absl::StrCat(key, *found ? " true" : " false"));
}

absl::Status RequireString(const checkpoint::Config& config,
                           const std::string& key, const std::string& value) {
  const auto found = config.StringOr(key, value);
  if (!found.ok()) return found.status();
  if (*found == value) return absl::OkStatus();
  return config.Unsupported(absl::StrCat(key, " ", files::Quoted(*found)));
}

}  // namespace sinkwatch::model

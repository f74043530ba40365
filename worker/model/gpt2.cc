// GPT-2, as Hugging Face's GPT2LMHeadModel: learned positions, LayerNorm before
// each sub-layer, fused q|k|v, GELU, biases everywhere. B sequences, T tokens,
// D width, H heads, E head width, F feed-forward width, V vocabulary.
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/embedding.h"
#include "absl/strings/str_cat.h"
#include "worker/model/architecture.h"
#include "worker/model/architectures.h"
#include "worker/model/gelu.h"
#include "worker/model/layers.h"
#include "worker/model/naming.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 31;

constexpr ShapeKeys kKeys = {"n_embd", "n_layer", "n_head",
                             nullptr,  nullptr,   "n_positions"};

struct Gpt2Config {
  ModelShape shape;
  int64_t feed_forward = 0;
  double norm_epsilon = 0;
  GeluKind activation = GeluKind::kTanh;
  bool tied = true;
};

void ReadScales(files::Fields& config, ModelShape& shape) {
  const bool scaled = config.BoolOr("scale_attn_weights", true);
  const bool by_layer = config.BoolOr("scale_attn_by_inverse_layer_idx", false);
  for (int layer = 0; layer < shape.layers; ++layer) {
    double& scale = shape.attention[layer].scale;
    if (!scaled) scale = 1;
    if (by_layer) scale /= layer + 1;
  }
}

// The names that other families have for the same: Hugging Face's class takes
// either, and of both the one that is not its own.
void CheckOtherNames(files::Fields& config, const ModelShape& shape) {
  const std::pair<const char*, int64_t> sizes[] = {
      {"hidden_size", shape.width},
      {"num_hidden_layers", shape.layers},
      {"num_attention_heads", shape.heads},
      {"max_position_embeddings", shape.max_positions}};
  for (const auto& [key, size] : sizes) {
    if (config.IntOr(key, 1, kMaxSize, size) != size) {
      config.Refuse(key, "contradicts GPT-2's own key");
    }
  }
}

Gpt2Config ReadConfig(files::Fields& config) {
  Gpt2Config gpt2;
  gpt2.shape = ReadShape(config, "GPT2LMHeadModel", kKeys);
  if (gpt2.shape.max_positions == 0) {
    config.Contradiction("n_positions is missing");
  }
  CheckOtherNames(config, gpt2.shape);
  ReadScales(config, gpt2.shape);
  gpt2.feed_forward =
      ReadFeedForwardWidth(config, "n_inner", 4 * gpt2.shape.width);
  gpt2.norm_epsilon = config.PositiveOr("layer_norm_epsilon", 1e-5);
  gpt2.activation = ReadGelu(config, "activation_function", "gelu_new");
  gpt2.tied = config.BoolOr("tie_word_embeddings", true);
  config.RequireBool("add_cross_attention", false, false);
  return gpt2;
}

// The language model's files say "transformer.wte.weight", those of the model
// without its head, as the first releases were, "wte.weight".
TensorSpec BothPrefixes(const std::string& name, const std::string& stored,
                        std::vector<int64_t> shape) {
  TensorSpec spec(name, absl::StrCat("transformer.", stored), shape);
  spec.sources.push_back({stored, std::move(shape)});
  return spec;
}

class Gpt2 final : public Architecture {
 public:
  explicit Gpt2(Gpt2Config config) : config_(std::move(config)) {}

  const ModelShape& shape() const override { return config_.shape; }

  std::vector<TensorSpec> EmbeddingTensors() const override {
    return {Tokens().embedding,
            BothPrefixes("embed_positions", "wpe.weight",
                         {config_.shape.max_positions, config_.shape.width})};
  }

  std::vector<TensorSpec> LayerTensors(int layer) const override {
    const int64_t width = config_.shape.width, wide = config_.feed_forward;
    std::vector<TensorSpec> specs;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
      specs.push_back(BothPrefixes(name, absl::StrCat("h.", layer, ".", name),
                                   std::move(shape)));
    };
    const auto add_norm = [&](const std::string& name) {
      add(name + ".weight", {width});
      add(name + ".bias", {width});
    };
    // Conv1D, which multiplies from the other side.
    const auto add_linear = [&](const std::string& name, int64_t out,
                                int64_t in) {
      add(name + ".weight", {out, in});
      for (TensorSource& source : specs.back().sources) {
        source.shape = {in, out};
        source.arrangement = Arrangement::kTransposed;
      }
      add(name + ".bias", {out});
    };
    add_norm("ln_1");
    add_linear("attn.c_attn", 3 * width, width);
    add_linear("attn.c_proj", width, width);
    add_norm("ln_2");
    add_linear("mlp.c_fc", wide, width);
    add_linear("mlp.c_proj", width, wide);
    return specs;
  }

  std::vector<TensorSpec> HeadTensors() const override {
    return {BothPrefixes("ln_f.weight", "ln_f.weight", {config_.shape.width}),
            BothPrefixes("ln_f.bias", "ln_f.bias", {config_.shape.width}),
            Tokens().output};
  }

  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override {
    return at::embedding(weights.at("embed_tokens"), tokens_BT) +
           weights.at("embed_positions").slice(0, 0, tokens_BT.size(1));
  }

  at::Tensor Block(int layer, const TensorMap& weights, const at::Tensor& x_BTD,
                   Recorder& recorder) const override {
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return Attention(layer, weights, stream_BTD, recorder);
        },
        [&](const at::Tensor& stream_BTD) { return Mlp(weights, stream_BTD); });
  }

  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override {
    return Linear(Norm(weights, "ln_f", x_BTD), weights.at("lm_head"));
  }

  at::Tensor OutputProjection(int, const TensorMap& weights) const override {
    return weights.at("attn.c_proj.weight");
  }

 private:
  TokenTensors Tokens() const {
    const std::vector<int64_t> shape = config_.shape.EmbeddingShape();
    const TokenTensors own{BothPrefixes("embed_tokens", "wte.weight", shape),
                           {"lm_head", "lm_head.weight", shape}};
    return config_.tied ? Tied(own) : own;
  }

  at::Tensor Norm(const TensorMap& weights, const std::string& name,
                  const at::Tensor& x) const {
    return LayerNorm(weights, name, x, config_.norm_epsilon);
  }

  at::Tensor Attention(int layer, const TensorMap& weights,
                       const at::Tensor& x_BTD, Recorder& recorder) const {
    const ModelShape& shape = config_.shape;
    const std::vector<at::Tensor> qkv_BTD =
        Project(weights, "attn.c_attn", Norm(weights, "ln_1", x_BTD))
            .chunk(3, -1);
    const at::Tensor z_BHTE = RecordedAttention(
        layer, SplitHeads(qkv_BTD[0], shape.heads),
        SplitHeads(qkv_BTD[1], shape.heads),
        SplitHeads(qkv_BTD[2], shape.heads), shape.attention[layer], recorder);
    return Project(weights, "attn.c_proj", MergeHeads(z_BHTE));
  }

  at::Tensor Mlp(const TensorMap& weights, const at::Tensor& x_BTD) const {
    const at::Tensor wide_BTF =
        Project(weights, "mlp.c_fc", Norm(weights, "ln_2", x_BTD));
    return Project(weights, "mlp.c_proj", Gelu(wide_BTF, config_.activation));
  }

  const Gpt2Config config_;
};

}  // namespace

std::unique_ptr<Architecture> MakeGpt2(files::Fields& config) {
  return std::make_unique<Gpt2>(ReadConfig(config));
}

}  // namespace sinkwatch::model

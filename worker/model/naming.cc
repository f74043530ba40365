#include "worker/model/naming.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace sinkwatch::model {
namespace {

// hf_olmo wraps the trainer's module in one of its own.
constexpr const char* kOlmoRoots[] = {"transformer.", "model.transformer."};

void AddOlmoTop(const std::string& name, TensorSpec& spec) {
  for (const char* root : kOlmoRoots) AddName(root + name, spec);
}

}  // namespace

void AddName(const std::string& name, TensorSpec& spec) {
  spec.sources.push_back({name, spec.shape});
}

void AddPaddedName(const std::string& name, int64_t multiple,
                   TensorSpec& spec) {
  TensorSource padded;
  padded.name = name;
  padded.shape = spec.shape;
  padded.shape[0] = (spec.shape[0] + multiple - 1) / multiple * multiple;
  spec.sources.push_back(std::move(padded));
}

void AddOlmoName(int layer, const std::string& name, TensorSpec& spec) {
  AddOlmoTop(absl::StrCat("blocks.", layer, ".", name), spec);
}

void AddOlmoRows(int layer, const std::string& name, int64_t rows,
                 int64_t first_row, TensorSpec& spec) {
  for (const char* root : kOlmoRoots) {
    TensorSource source;
    source.name = absl::StrCat(root, "blocks.", layer, ".", name);
    source.shape = spec.shape;
    source.shape[0] = rows;
    source.first_row = first_row;
    spec.sources.push_back(std::move(source));
  }
}

void AddRotaryPairs(const std::string& name, int64_t heads, TensorSpec& spec) {
  TensorSource source;
  source.name = name;
  source.shape = spec.shape;
  source.arrangement = Arrangement::kRotaryPairs;
  source.heads = heads;
  spec.sources.push_back(std::move(source));
}

namespace {

// Megatron pads the vocabulary to a multiple of 128 times the ranks that share
// it, which the config does not tell.
void AddMegatronTable(const std::string& name, TensorSpec& spec) {
  AddName(name, spec);
  for (int64_t ranks = 1; ranks <= 64; ranks *= 2) {
    AddPaddedName(name, 128 * ranks, spec);
  }
}

TensorSpec EmbeddingTensor(const ModelShape& shape) {
  TensorSpec spec("embed_tokens", "model.embed_tokens.weight",
                  shape.EmbeddingShape());
  AddOlmoTop("wte.weight", spec);
  AddName("embeddings.weight", spec);
  AddName("tok_embeddings.weight", spec);
  AddMegatronTable("embedding.word_embeddings.weight", spec);
  return spec;
}

TensorSpec OutputTensor(const ModelShape& shape) {
  TensorSpec spec("lm_head", "lm_head.weight", shape.EmbeddingShape());
  AddOlmoTop("ff_out.weight", spec);
  AddName("lm_head.w_out.weight", spec);
  AddName("w_out.weight", spec);  // OLMo-core, older
  AddName("output.weight", spec);
  AddMegatronTable("output_layer.weight", spec);
  return spec;
}

}  // namespace

TokenTensors Tied(const TokenTensors& own) {
  TokenTensors tied = own;
  std::vector<TensorSource>& names = tied.embedding.sources;
  names.insert(names.end(), own.output.sources.begin(),
               own.output.sources.end());
  tied.output.sources = own.embedding.sources;
  tied.output.own = own.output.sources;
  return tied;
}

TokenTensors TokenTensorsOf(const ModelShape& shape, bool tied) {
  TokenTensors own{EmbeddingTensor(shape), OutputTensor(shape)};
  return tied ? Tied(own) : own;
}

TensorSpec FinalNormTensor(const ModelShape& shape) {
  TensorSpec spec("norm", "model.norm.weight", {shape.width});
  AddOlmoTop("ln_f.weight", spec);
  AddName("lm_head.norm.weight", spec);
  AddName("norm.weight", spec);                     // OLMo-core, older; Meta
  AddName("decoder.final_layernorm.weight", spec);  // Megatron-Core
  return spec;
}

TensorSpec LayerTensor(int layer, const std::string& name,
                       const std::string& core_name,
                       std::vector<int64_t> shape) {
  TensorSpec spec(name, absl::StrCat("model.layers.", layer, ".", name),
                  std::move(shape));
  AddName(absl::StrCat("blocks.", layer, ".", core_name), spec);
  return spec;
}

namespace {

TensorSpec Matrix(int layer, const std::string& name,
                  const std::string& core_name, int64_t out, int64_t in) {
  return LayerTensor(layer, name + ".weight", core_name + ".weight", {out, in});
}

}  // namespace

std::vector<TensorSpec> AttentionTensors(int layer, const ModelShape& shape) {
  const int64_t width = shape.width;
  const int64_t query = int64_t{shape.heads} * shape.head_dim;
  const int64_t key = int64_t{shape.kv_heads} * shape.head_dim;
  std::vector<TensorSpec> specs = {
      Matrix(layer, "self_attn.q_proj", "attention.w_q", query, width),
      Matrix(layer, "self_attn.k_proj", "attention.w_k", key, width),
      Matrix(layer, "self_attn.v_proj", "attention.w_v", key, width),
      Matrix(layer, "self_attn.o_proj", "attention.w_out", width, query)};
  const int64_t fused = query + 2 * key;
  AddOlmoRows(layer, "att_proj.weight", fused, 0, specs[0]);
  AddOlmoRows(layer, "att_proj.weight", fused, query, specs[1]);
  AddOlmoRows(layer, "att_proj.weight", fused, query + key, specs[2]);
  AddOlmoName(layer, "attn_out.weight", specs[3]);
  return specs;
}

std::vector<TensorSpec> ProjectionTensors(int layer, const ModelShape& shape,
                                          int64_t feed_forward) {
  const int64_t width = shape.width;
  TensorSpec gate =
      Matrix(layer, "mlp.gate_proj", "feed_forward.w1", feed_forward, width);
  TensorSpec up =
      Matrix(layer, "mlp.up_proj", "feed_forward.w3", feed_forward, width);
  TensorSpec down =
      Matrix(layer, "mlp.down_proj", "feed_forward.w2", width, feed_forward);
  // Up comes first.
  AddOlmoRows(layer, "ff_proj.weight", 2 * feed_forward, feed_forward, gate);
  AddOlmoRows(layer, "ff_proj.weight", 2 * feed_forward, 0, up);
  AddOlmoName(layer, "ff_out.weight", down);
  std::vector<TensorSpec> specs = AttentionTensors(layer, shape);
  for (TensorSpec* spec : {&gate, &up, &down}) {
    specs.push_back(std::move(*spec));
  }
  return specs;
}

std::vector<TensorSpec> QkvBiases(int layer, const ModelShape& shape) {
  const int64_t query = int64_t{shape.heads} * shape.head_dim;
  const int64_t key = int64_t{shape.kv_heads} * shape.head_dim;
  return {
      LayerTensor(layer, "self_attn.q_proj.bias", "attention.w_q.bias",
                  {query}),
      LayerTensor(layer, "self_attn.k_proj.bias", "attention.w_k.bias", {key}),
      LayerTensor(layer, "self_attn.v_proj.bias", "attention.w_v.bias", {key})};
}

TensorSpec OutputBias(int layer, const ModelShape& shape) {
  return LayerTensor(layer, "self_attn.o_proj.bias", "attention.w_out.bias",
                     {shape.width});
}

std::vector<TensorSpec> MlpBiases(int layer, const ModelShape& shape,
                                  int64_t feed_forward) {
  return {LayerTensor(layer, "mlp.gate_proj.bias", "feed_forward.w1.bias",
                      {feed_forward}),
          LayerTensor(layer, "mlp.up_proj.bias", "feed_forward.w3.bias",
                      {feed_forward}),
          LayerTensor(layer, "mlp.down_proj.bias", "feed_forward.w2.bias",
                      {shape.width})};
}

void AddStackedExpert(int layer, const std::string& prefix,
                      const std::string& projection, int64_t index,
                      int64_t experts, TensorSpec& spec) {
  const bool down = projection == "down_proj";
  TensorSource stack;
  stack.name = absl::StrCat("model.layers.", layer, ".", prefix,
                            down ? "down_proj" : "gate_up_proj");
  stack.shape = {experts, (down ? 1 : 2) * spec.shape[0], spec.shape[1]};
  stack.slab = {index};
  if (projection == "up_proj") stack.first_row = spec.shape[0];
  spec.sources.push_back(std::move(stack));
}

void PrefixedTensors::Add(const std::string& name, std::vector<int64_t> shape) {
  specs_.push_back({name, prefix_ + name, std::move(shape)});
}

void PrefixedTensors::AddConstant(const std::string& name, double value) {
  Add(name, {});
  specs_.back().constant = value;
}

void PrefixedTensors::AddLinear(const std::string& name, int64_t out,
                                int64_t in, bool bias) {
  Add(name + ".weight", {out, in});
  if (bias) Add(name + ".bias", {out});
}

void PrefixedTensors::AddAttention(const ModelShape& shape, bool bias) {
  const int64_t query = int64_t{shape.heads} * shape.head_dim;
  const int64_t key = int64_t{shape.kv_heads} * shape.head_dim;
  AddLinear("self_attn.q_proj", query, shape.width, bias);
  AddLinear("self_attn.k_proj", key, shape.width, bias);
  AddLinear("self_attn.v_proj", key, shape.width, bias);
  AddLinear("self_attn.o_proj", shape.width, query, bias);
}

void PrefixedTensors::AddNorm(const std::string& name, int64_t width) {
  Add(name + ".weight", {width});
  Add(name + ".bias", {width});
}

}  // namespace sinkwatch::model

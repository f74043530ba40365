#ifndef SINKWATCH_WORKER_MODEL_NAMING_H_
#define SINKWATCH_WORKER_MODEL_NAMING_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "worker/model/architecture.h"

// What trainers call the tensors of decoders that are built of attention and
// SwiGLU. The short names, which forward passes use, are Hugging Face's within
// a layer ("self_attn.q_proj.weight"); each TensorSpec lists all schemes:
//
//   scheme               layers                 written by
//   Hugging Face         model.layers.N.        save_pretrained
//   OLMo                 transformer.blocks.N.  allenai/OLMo; hf_olmo puts
//                                               "model." before it. q, k and v
//                                               are fused, and so are up and
//                                               gate
//   OLMo-core            blocks.N.              allenai/OLMo-core
//   Meta                 layers.N.              Meta's Llama, llama2.c,
//                                               torchtitan; rotary pairs lie
//                                               next to each other
//
// Names do not tell where a norm is applied: OLMo-core has the same for both of
// its blocks. The architecture decides that.
namespace sinkwatch::model {

// The same tensor under a name of another scheme, stored as it is.
void AddName(const std::string& name, TensorSpec& spec);
// The same for layer `layer` of OLMo, with and without "model." before it.
void AddOlmoName(int layer, const std::string& name, TensorSpec& spec);
// The tensor is rows [first_row, ...) of OLMo's fused one of `rows` rows.
void AddOlmoRows(int layer, const std::string& name, int64_t rows,
                 int64_t first_row, TensorSpec& spec);
// The same tensor with rows behind its own, up to a multiple of `multiple`: a
// padded vocabulary, whose last rows are none of the model's.
void AddPaddedName(const std::string& name, int64_t multiple, TensorSpec& spec);
// The same tensor with Meta's rotary pairs.
void AddRotaryPairs(const std::string& name, int64_t heads, TensorSpec& spec);

// The embedding and the output matrix.
struct TokenTensors {
  TensorSpec embedding;
  TensorSpec output;
};

// The two where they are one matrix: either may be stored under the names of
// the other alone.
TokenTensors Tied(const TokenTensors& own);

// "embed_tokens" and "lm_head" in every scheme, one matrix if `tied`.
TokenTensors TokenTensorsOf(const ModelShape& shape, bool tied);
// "norm" (final), in every scheme.
TensorSpec FinalNormTensor(const ModelShape& shape);

// A tensor of a layer in Hugging Face's and OLMo-core's schemes.
TensorSpec LayerTensor(int layer, const std::string& name,
                       const std::string& core_name,
                       std::vector<int64_t> shape);

// The matrices of a layer in the schemes of Hugging Face, OLMo and OLMo-core:
// self_attn.{q,k,v,o}_proj.weight and mlp.{gate,up,down}_proj.weight.
std::vector<TensorSpec> ProjectionTensors(int layer, const ModelShape& shape,
                                          int64_t feed_forward);
// The first four of them.
std::vector<TensorSpec> AttentionTensors(int layer, const ModelShape& shape);

// Their biases in the schemes of Hugging Face and OLMo-core: of q, k and v; of
// o; of the three of the MLP.
std::vector<TensorSpec> QkvBiases(int layer, const ModelShape& shape);
TensorSpec OutputBias(int layer, const ModelShape& shape);
std::vector<TensorSpec> MlpBiases(int layer, const ModelShape& shape,
                                  int64_t feed_forward);

// The same tensor, `gate_proj`, `up_proj` or `down_proj` of expert `index`, in
// the stacks that transformers 5 makes of a layer's experts:
// model.layers.N.`prefix`gate_up_proj [X,2F,D], the gate first, and down_proj
// [X,D,F].
void AddStackedExpert(int layer, const std::string& prefix,
                      const std::string& projection, int64_t index,
                      int64_t experts, TensorSpec& spec);

// Tensors of a family that was published in one scheme: each lies under
// `prefix` + what the forward pass calls it.
class PrefixedTensors {
 public:
  explicit PrefixedTensors(std::string prefix) : prefix_(std::move(prefix)) {}

  void Add(const std::string& name, std::vector<int64_t> shape);
  // A number of rank 0 that need not be stored.
  void AddConstant(const std::string& name, double value);
  // `name`.weight [out, in] and, where there is one, `name`.bias.
  void AddLinear(const std::string& name, int64_t out, int64_t in, bool bias);
  // self_attn.{q,k,v,o}_proj, with biases if there is `bias`.
  void AddAttention(const ModelShape& shape, bool bias);
  // `name`.weight and `name`.bias of a LayerNorm.
  void AddNorm(const std::string& name, int64_t width);

  std::vector<TensorSpec> Take() { return std::move(specs_); }

 private:
  const std::string prefix_;
  std::vector<TensorSpec> specs_;
};

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_NAMING_H_

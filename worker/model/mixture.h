#ifndef SINKWATCH_WORKER_MODEL_MIXTURE_H_
#define SINKWATCH_WORKER_MODEL_MIXTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/experts.h"
#include "worker/model/shape_config.h"
#include "worker/model/tensor_map.h"

// A mixture of SwiGLU experts in the place of an MLP, as the families of Llama
// with experts have it. N tokens (of all sequences), D width, F an expert's
// width, X experts, K chosen.
namespace sinkwatch::model {

// What checkpoints call the parts: model.layers.N.`router`.weight [X,D] and
// model.layers.N.`expert`.I.`gate`.weight and so on.
struct MixtureNames {
  const char* router = "mlp.gate";
  const char* expert = "mlp.experts.";
  const char* gate = "gate_proj";
  const char* up = "up_proj";
  const char* down = "down_proj";
};

struct SwiGluMixture {
  ExpertCounts counts;
  bool of_torchtitan = false;  // torchtitan's names too
  // The bias that torchtitan balances experts with: of the choice only, not of
  // the weights.
  bool has_selection_bias = false;
  int64_t feed_forward = 0;   // of an expert
  bool renormalised = false;  // the chosen experts' weights add up to 1
  MixtureNames names;
};

// Which layers have a mixture, by Qwen's keys decoder_sparse_step and
// mlp_only_layers.
std::vector<bool> ReadMixedLayers(files::Fields& config, int layers);

// "mlp.gate.weight" and "mlp.experts.I.{gate,up,down}_proj.weight" of all
// experts, from the checkpoint's names or from the stacks that transformers 5
// makes of them.
std::vector<TensorSpec> MixtureTensors(int layer, int64_t width,
                                       const SwiGluMixture& mixture);
// The same of the experts alone.
std::vector<TensorSpec> ExpertTensors(int layer, int64_t width,
                                      const SwiGluMixture& mixture);

// Softmax over all experts in float32, then the largest, of each the softmax
// and, where it is defined, its bias.
Routing RouteBySoftmax(const at::Tensor& logits_NX,
                       const SwiGluMixture& mixture,
                       const at::Tensor& bias_X = {});

// What the chosen experts make of each token, weighted: [N,D].
at::Tensor MixSwiGlu(const TensorMap& weights, const SwiGluMixture& mixture,
                     const Routing& routing, const at::Tensor& n_ND);
// The same by the router's softmax, which is shown: [B,T,D].
at::Tensor MixSwiGlu(int layer, const TensorMap& weights,
                     const SwiGluMixture& mixture, const at::Tensor& n_BTD,
                     Recorder& recorder);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_MIXTURE_H_

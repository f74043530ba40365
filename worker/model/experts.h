#ifndef SINKWATCH_WORKER_MODEL_EXPERTS_H_
#define SINKWATCH_WORKER_MODEL_EXPERTS_H_

#include <cstdint>
#include <functional>

#include "ATen/core/Tensor.h"
#include "worker/model/recorder.h"

// Mixtures of experts: every token goes through K of X feed-forward networks.
// N tokens (of all sequences), D width, R tokens of one expert.
namespace sinkwatch::model {

struct Routing {
  at::Tensor expert_NK;  // int64; no expert twice for a token
  at::Tensor weight_NK;
  // What the choice is from: the router's softmax or sigmoids, float32.
  at::Tensor score_NX = {};
};

// Shows the scores and the choice of the tokens n_BTD.
void RecordRouting(int layer, const Routing& routing, const at::Tensor& n_BTD,
                   Recorder& recorder);

// What expert `index` makes of its tokens: x_RD -> y_RD.
using Expert = std::function<at::Tensor(int64_t index, const at::Tensor& x_RD)>;

// sum over a token's experts of weight * expert(x) -> [N,D]. An expert sees
// just the tokens that chose it, and is not called for none. Experts are added
// in the order of their numbers, so the sum is the same to the bit every time,
// on any device. Differentiable.
at::Tensor MixExperts(const at::Tensor& x_ND, const Routing& routing,
                      int64_t num_experts, const Expert& expert);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_EXPERTS_H_

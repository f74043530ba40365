#include "worker/model/experts.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/argsort.h"
#include "ATen/ops/bincount.h"
#include "ATen/ops/zeros_like.h"

namespace sinkwatch::model {

void RecordRouting(int layer, const Routing& routing, const at::Tensor& n_BTD,
                   Recorder& recorder) {
  const int64_t B = n_BTD.size(0), T = n_BTD.size(1);
  recorder.Record(Point::kRouterScores, layer,
                  routing.score_NX.view({B, T, -1}));
  recorder.Record(Point::kExperts, layer, routing.expert_NK.view({B, T, -1}));
}

// S = N*K choices, as they lie in the routing.
at::Tensor MixExperts(const at::Tensor& x_ND, const Routing& routing,
                      int64_t num_experts, const Expert& expert) {
  const at::Tensor expert_S = routing.expert_NK.flatten();
  const at::Tensor weight_S = routing.weight_NK.flatten();
  // Stable: an expert's tokens stay in order.
  const at::Tensor order_S = at::argsort(expert_S, /*stable=*/true);
  const at::Tensor token_S =
      order_S.div(routing.expert_NK.size(1), /*rounding_mode=*/"floor");
  // The one wait for the device.
  const at::Tensor count_X = at::bincount(expert_S, {}, num_experts).cpu();
  at::Tensor out_ND = at::zeros_like(x_ND);
  int64_t begin = 0;
  for (int64_t index = 0; index < num_experts; ++index) {
    const int64_t count = count_X.const_data_ptr<int64_t>()[index];
    if (count == 0) continue;
    const at::Tensor token_R = token_S.narrow(0, begin, count);
    const at::Tensor weight_R =
        weight_S.index_select(0, order_S.narrow(0, begin, count));
    const at::Tensor y_RD = expert(index, x_ND.index_select(0, token_R));
    out_ND.index_add_(0, token_R, y_RD * weight_R.unsqueeze(-1));
    begin += count;
  }
  return out_ND;
}

}  // namespace sinkwatch::model

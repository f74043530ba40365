#include "worker/executor/layer_recorder.h"

namespace sinkwatch::executor {
namespace {

using model::AttentionKind;
using model::Point;

kernels::AttentionOptions AttentionOptionsOf(
    const model::AttentionShape& shape) {
  kernels::AttentionOptions options;
  options.scale = shape.scale;
  options.window = shape.window;
  options.soft_cap = shape.soft_cap;
  if (shape.kind == AttentionKind::kRelu) {
    options.normalisation = kernels::Normalisation::kRelu;
  }
  return options;
}

}  // namespace

void DescribeLayer(const model::Architecture& architecture, int layer,
                   const model::TensorMap& weights,
                   metrics::LayerBatch& batch) {
  batch.attention = AttentionOptionsOf(architecture.shape().attention[layer]);
  batch.attention.learned_sinks_H = architecture.LearnedSinks(layer, weights);
  batch.output_projection_DHE = architecture.OutputProjection(layer, weights);
}

bool LayerRecorder::Wants(Point point) {
  switch (point) {
    case Point::kAttnOut:
      return (needs_ & metrics::kNeedsAttentionOut) != 0;
    case Point::kMlpOut:
      return (needs_ & metrics::kNeedsMlpOut) != 0;
    default:
      return true;
  }
}

void LayerRecorder::Record(Point point, int, const at::Tensor& tensor) {
  switch (point) {
    case Point::kResidPre:
      layer_.resid_pre_BTD = tensor;
      break;
    case Point::kQ:
      layer_.q_BHTE = tensor;
      break;
    case Point::kK:
      layer_.k_BGTE = tensor;
      break;
    case Point::kV:
      layer_.v_BGTE = tensor;
      break;
    case Point::kZ:
      layer_.z_BHTE = tensor;
      break;
    case Point::kGate:
      layer_.gate_BHTN = tensor;
      break;
    case Point::kUngatedZ:
      layer_.ungated_z_BHTE = tensor;
      break;
    case Point::kLogSumExp:
      layer_.attention.log_sum_exp_BHT = tensor;
      break;
    case Point::kResidPost:
      layer_.resid_post_BTD = tensor;
      break;
    case Point::kAttnOut:
      if (Wants(point)) layer_.attn_out_BTD = tensor;
      break;
    case Point::kResidMid:
      if (needs_ & metrics::kNeedsMlpOut) layer_.resid_mid_BTD = tensor;
      break;
    case Point::kRouterScores:
      if (needs_ & metrics::kNeedsRouter) layer_.router_BTX = tensor;
      break;
    case Point::kExperts:
      if (needs_ & metrics::kNeedsRouter) layer_.experts_BTK = tensor;
      break;
    case Point::kMlpOut:
      if (Wants(point)) layer_.mlp_out_BTD = tensor;
      break;
  }
}

}  // namespace sinkwatch::executor

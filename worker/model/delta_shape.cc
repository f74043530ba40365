#include "worker/model/delta_shape.h"

#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/silu.h"
#include "absl/strings/str_cat.h"
#include "worker/model/delta_net.h"
#include "worker/model/layers.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxDim = int64_t{1} << 16;

}  // namespace

DeltaShape ReadDeltaShape(files::Fields& config, const DeltaShape& fallback) {
  DeltaShape shape;
  shape.key_heads =
      config.IntOr("linear_num_key_heads", 1, kMaxHeads, fallback.key_heads);
  shape.value_heads = config.IntOr("linear_num_value_heads", 1, kMaxHeads,
                                   fallback.value_heads);
  shape.key_dim =
      config.IntOr("linear_key_head_dim", 1, kMaxDim, fallback.key_dim);
  const int64_t value_dim =
      fallback.value_dim > 0 ? fallback.value_dim : 2 * shape.key_dim;
  shape.value_dim =
      config.IntOr("linear_value_head_dim", 1, kMaxDim, value_dim);
  shape.taps = config.IntOr("linear_conv_kernel_dim", 1, 64, fallback.taps);
  if (shape.value_heads % shape.key_heads != 0) {
    config.Contradiction(absl::StrCat(
        "linear_num_value_heads ", shape.value_heads,
        " is no multiple of linear_num_key_heads ", shape.key_heads));
    shape.value_heads = shape.key_heads;
  }
  if (shape.key_dim < 1) {
    config.Contradiction("linear_key_head_dim is missing");
    shape.key_dim = shape.value_dim = 1;
  }
  return shape;
}

void ReadLinearLayers(files::Fields& config,
                      const std::function<bool(int)>& linear,
                      ModelShape& shape) {
  const std::vector<bool> is_linear =
      ReadLayersOfType(config, "linear_attention", linear, shape.layers);
  for (size_t layer = 0; layer < is_linear.size(); ++layer) {
    if (is_linear[layer]) shape.attention[layer].kind = AttentionKind::kNone;
  }
}

at::Tensor RunDeltaRule(const at::Tensor& mixed_BTC, const at::Tensor& g_BHT,
                        const at::Tensor& beta_BHT, const DeltaShape& shape) {
  const int64_t keys = shape.keys();
  const int64_t shared = shape.value_heads / shape.key_heads;
  const auto of_keys = [&](int64_t first) {
    return SplitHeads(mixed_BTC.slice(-1, first, first + keys), shape.key_heads)
        .repeat_interleave(shared, 1);
  };
  const at::Tensor v_BHTV =
      SplitHeads(mixed_BTC.slice(-1, 2 * keys), shape.value_heads);
  return GatedDeltaRule(of_keys(0), of_keys(keys), v_BHTV, g_BHT, beta_BHT)
      .to(mixed_BTC.scalar_type());
}

at::Tensor GatedOutput(const at::Tensor& out_BHTV, const at::Tensor& gate_BHTV,
                       const at::Tensor& norm_V, double epsilon) {
  return MergeHeads(RmsNorm(out_BHTV, norm_V, epsilon) * at::silu(gate_BHTV));
}

}  // namespace sinkwatch::model

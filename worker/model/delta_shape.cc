#include "worker/model/delta_shape.h"

#include "ATen/TensorOperators.h"
#include "ATen/ops/silu.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/files/strict_json.h"
#include "worker/model/delta_net.h"
#include "worker/model/layers.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxDim = int64_t{1} << 16;

bool IsLinear(files::Fields& config, const nlohmann::json& type) {
  if (type != "linear_attention" && type != "full_attention") {
    config.Unsupported(
        absl::StrCat("layer_types ", files::Quoted(type.dump())));
  }
  return type == "linear_attention";
}

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
  const bool listed = config.Has("layer_types");
  if (listed) {
    const nlohmann::json& types = config.json().at("layer_types");
    if (!types.is_array() || types.size() != shape.attention.size()) {
      return config.Contradiction(absl::StrCat("layer_types must be a list of ",
                                               shape.layers,
                                               " names, one per layer"));
    }
  }
  for (int layer = 0; layer < shape.layers; ++layer) {
    const bool is_linear =
        listed ? IsLinear(config, config.json().at("layer_types").at(layer))
               : linear(layer);
    if (is_linear) shape.attention[layer].kind = AttentionKind::kNone;
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

#include "worker/model/megatron_names.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sinkwatch::model {
namespace {

// Where a tensor of ours lies in one of Megatron's.
struct Place {
  const char* ours;
  const char* megatron;
  int64_t rows = 0;  // of Megatron's
  int64_t first = 0;
  int64_t runs = 1;
  int64_t run_stride = 0;
};

std::vector<Place> PlacesOf(const ModelShape& shape, int64_t feed_forward) {
  const int64_t dim = shape.head_dim, groups = shape.kv_heads;
  const int64_t query = shape.heads / groups * dim;  // rows of a group
  const int64_t stride = query + 2 * dim, all = groups * stride;
  const int64_t width = shape.width;
  const char* const qkv = "self_attention.linear_qkv.weight";
  const char* const qkv_bias = "self_attention.linear_qkv.bias";
  const char* const fc1 = "mlp.linear_fc1.weight";
  return {
      {"self_attn.q_proj.weight", qkv, all, 0, groups, stride},
      {"self_attn.k_proj.weight", qkv, all, query, groups, stride},
      {"self_attn.v_proj.weight", qkv, all, query + dim, groups, stride},
      {"self_attn.q_proj.bias", qkv_bias, all, 0, groups, stride},
      {"self_attn.k_proj.bias", qkv_bias, all, query, groups, stride},
      {"self_attn.v_proj.bias", qkv_bias, all, query + dim, groups, stride},
      {"self_attn.o_proj.weight", "self_attention.linear_proj.weight", width},
      {"self_attn.q_norm.weight", "self_attention.q_layernorm.weight", dim},
      {"self_attn.k_norm.weight", "self_attention.k_layernorm.weight", dim},
      {"input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight",
       width},
      {"mlp.gate_proj.weight", fc1, 2 * feed_forward},
      {"mlp.up_proj.weight", fc1, 2 * feed_forward, feed_forward},
      {"mlp.down_proj.weight", "mlp.linear_fc2.weight", width},
      {"post_attention_layernorm.weight", "mlp.linear_fc1.layer_norm_weight",
       width},
  };
}

TensorSource SourceAt(const Place& place, const TensorSpec& spec) {
  TensorSource source;
  source.shape = spec.shape;
  source.shape[0] = place.rows;
  source.first_row = place.first;
  source.runs = place.runs;
  source.run_stride = place.run_stride;
  return source;
}

}  // namespace

void AddMegatronNames(int layer, const ModelShape& shape, int64_t feed_forward,
                      std::vector<TensorSpec>& specs) {
  const std::vector<Place> places = PlacesOf(shape, feed_forward);
  for (TensorSpec& spec : specs) {
    for (const Place& place : places) {
      if (spec.name != place.ours) continue;
      TensorSource own = SourceAt(place, spec);
      TensorSource stacked = own;
      own.name = absl::StrCat("decoder.layers.", layer, ".", place.megatron);
      stacked.name = absl::StrCat("decoder.layers.", place.megatron);
      stacked.shape.insert(stacked.shape.begin(), shape.layers);
      stacked.slab = layer;
      spec.sources.push_back(std::move(stacked));
      spec.sources.push_back(std::move(own));
    }
  }
}

}  // namespace sinkwatch::model

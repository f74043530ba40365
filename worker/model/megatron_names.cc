#include "worker/model/megatron_names.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "worker/model/naming.h"

namespace sinkwatch::model {
namespace {

// Where a tensor of ours lies in one of Megatron's.
struct Place {
  const char* ours;
  const char* megatron;
  int64_t rows = 0;  // of Megatron's; 0: as many as ours
  int64_t first = 0;
  int64_t runs = 1;
  int64_t run_stride = 0;
};

std::vector<Place> PlacesOf(const ModelShape& shape, int64_t feed_forward) {
  const int64_t dim = shape.head_dim, groups = shape.kv_heads;
  const int64_t query = shape.heads / groups * dim;  // rows of a group
  const int64_t stride = query + 2 * dim, all = groups * stride;
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
      {"self_attn.o_proj.weight", "self_attention.linear_proj.weight"},
      {"self_attn.q_norm.weight", "self_attention.q_layernorm.weight"},
      {"self_attn.k_norm.weight", "self_attention.k_layernorm.weight"},
      {"input_layernorm.weight", "self_attention.linear_qkv.layer_norm_weight"},
      {"mlp.gate_proj.weight", fc1, 2 * feed_forward},
      {"mlp.up_proj.weight", fc1, 2 * feed_forward, feed_forward},
      {"mlp.down_proj.weight", "mlp.linear_fc2.weight"},
      {"post_attention_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"},
      // Without Transformer Engine.
      {"input_layernorm.weight", "input_layernorm.weight"},
      {"post_attention_layernorm.weight", "pre_mlp_layernorm.weight"},
  };
}

std::vector<Place> MlaPlacesOf(int64_t feed_forward, int64_t shared) {
  const char* const fc1 = "mlp.linear_fc1.weight";
  const char* const shared_fc1 = "mlp.shared_experts.linear_fc1.weight";
  return {
      {"input_layernorm.weight", "input_layernorm.weight"},
      {"self_attn.q_proj.weight", "self_attention.linear_q_proj.weight"},
      {"self_attn.q_a_proj.weight", "self_attention.linear_q_down_proj.weight"},
      {"self_attn.q_a_layernorm.weight",
       "self_attention.linear_q_up_proj.layer_norm_weight"},
      {"self_attn.q_b_proj.weight", "self_attention.linear_q_up_proj.weight"},
      {"self_attn.kv_a_proj_with_mqa.weight",
       "self_attention.linear_kv_down_proj.weight"},
      {"self_attn.kv_a_layernorm.weight",
       "self_attention.linear_kv_up_proj.layer_norm_weight"},
      {"self_attn.kv_b_proj.weight", "self_attention.linear_kv_up_proj.weight"},
      {"self_attn.o_proj.weight", "self_attention.linear_proj.weight"},
      {"mlp.gate_proj.weight", fc1, 2 * feed_forward},
      {"mlp.up_proj.weight", fc1, 2 * feed_forward, feed_forward},
      {"mlp.down_proj.weight", "mlp.linear_fc2.weight"},
      {"post_attention_layernorm.weight", "mlp.linear_fc1.layer_norm_weight"},
      {"mlp.shared_experts.gate_proj.weight", shared_fc1, 2 * shared},
      {"mlp.shared_experts.up_proj.weight", shared_fc1, 2 * shared, shared},
      {"mlp.shared_experts.down_proj.weight",
       "mlp.shared_experts.linear_fc2.weight"},
      {"mlp.gate.e_score_correction_bias", "mlp.router.expert_bias"},
  };
}

// The tensor in a stack of all layers, and in one of its own.
void AddPlaces(int layer, int64_t layers, const std::string& megatron,
               TensorSource own, TensorSpec& spec) {
  TensorSource stacked = own;
  own.name = absl::StrCat("decoder.layers.", layer, ".", megatron);
  stacked.name = absl::StrCat("decoder.layers.", megatron);
  stacked.shape.insert(stacked.shape.begin(), layers);
  stacked.slab.insert(stacked.slab.begin(), layer);
  spec.sources.push_back(std::move(stacked));
  spec.sources.push_back(std::move(own));
}

void AddNames(int layer, int64_t layers, const std::vector<Place>& places,
              std::vector<TensorSpec>& specs) {
  for (TensorSpec& spec : specs) {
    for (const Place& place : places) {
      if (spec.name != place.ours) continue;
      TensorSource source;
      source.shape = spec.shape;
      if (place.rows > 0) source.shape[0] = place.rows;
      source.first_row = place.first;
      source.runs = place.runs;
      source.run_stride = place.run_stride;
      AddPlaces(layer, layers, place.megatron, std::move(source), spec);
    }
  }
}

// The matrices of an MLP apart from each other, below `prefix`, as
// singleton_local_shards has them.
void AddApart(const std::string& prefix, absl::string_view ours,
              TensorSpec& spec) {
  const bool down = absl::EndsWith(ours, "down_proj.weight");
  const bool gate = absl::EndsWith(ours, "gate_proj.weight");
  AddName(absl::StrCat(prefix, "linear_fc", down ? "2.weight" : "1.weight_",
                       down   ? ""
                       : gate ? "w"
                              : "v"),
          spec);
}

// Of "mlp.experts.I.gate_proj.weight" the stacks of all layers' experts and of
// the layer's, and the expert's own.
void AddExpert(int layer, int64_t layers, int64_t experts, TensorSpec& spec) {
  absl::string_view rest = spec.name;
  int64_t index = 0;
  if (!absl::ConsumePrefix(&rest, "mlp.experts.") ||
      !absl::SimpleAtoi(rest.substr(0, rest.find('.')), &index)) {
    return;
  }
  const bool down = absl::EndsWith(rest, "down_proj.weight");
  TensorSource own;
  own.shape = {experts, (down ? 1 : 2) * spec.shape[0], spec.shape[1]};
  own.slab = {index};
  if (absl::EndsWith(rest, "up_proj.weight")) own.first_row = spec.shape[0];
  AddPlaces(
      layer, layers,
      absl::StrCat("mlp.experts.experts.linear_fc", down ? 2 : 1, ".weight"),
      std::move(own), spec);
  AddApart(absl::StrCat("decoder.layers.", layer, ".mlp.experts.experts.",
                        index, "."),
           rest, spec);
}

void AddDenseApart(int layer, std::vector<TensorSpec>& specs) {
  const std::string prefix = absl::StrCat("decoder.layers.", layer, ".mlp.");
  for (TensorSpec& spec : specs) {
    absl::string_view rest = spec.name;
    if (!absl::ConsumePrefix(&rest, "mlp.")) continue;
    if (rest == "gate_proj.weight" || rest == "up_proj.weight") {
      AddApart(prefix, rest, spec);
    } else if (rest == "shared_experts.gate_proj.weight" ||
               rest == "shared_experts.up_proj.weight") {
      AddApart(prefix + "shared_experts.", rest, spec);
    }
  }
}

}  // namespace

void AddMegatronNames(int layer, const ModelShape& shape, int64_t feed_forward,
                      std::vector<TensorSpec>& specs) {
  AddNames(layer, shape.layers, PlacesOf(shape, feed_forward), specs);
  AddDenseApart(layer, specs);
}

void AddMegatronMixtureNames(int layer, const ModelShape& shape,
                             const SwiGluMixture& mixture,
                             std::vector<TensorSpec>& specs) {
  AddNames(layer, shape.layers,
           {{"mlp.gate.weight", "mlp.router.weight"},
            {"post_attention_layernorm.weight", "pre_mlp_layernorm.weight"}},
           specs);
  for (TensorSpec& spec : specs) {
    AddExpert(layer, shape.layers, mixture.counts.experts, spec);
  }
}

void AddMegatronMlaNames(int layer, const ModelShape& shape,
                         int64_t feed_forward, int64_t shared,
                         std::vector<TensorSpec>& specs) {
  AddNames(layer, shape.layers, MlaPlacesOf(feed_forward, shared), specs);
  AddDenseApart(layer, specs);
}

}  // namespace sinkwatch::model

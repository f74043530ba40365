// The same of naming_schemes_test.cc for Megatron-Core's torch_dist, whose
// names and stacks are written down here once more, from megatron/core's
// sharded_state_dict (NVIDIA/Megatron-LM at d98e8a64, 2026-08-22).
#include <map>
#include <string>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/stack.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/measure/naming_schemes_testing.h"

namespace sinkwatch::worker {
namespace {

// Tensors of one layer, by their names below decoder.layers.
class MegatronLayer {
 public:
  MegatronLayer(Model& model, int layer)
      : model_(model), prefix_(absl::StrCat("model.layers.", layer, ".")) {}

  bool Has(const std::string& ours) const {
    return model_.weights.count(absl::StrCat(prefix_, ours, ".weight")) > 0;
  }
  at::Tensor Take(const std::string& ours) {
    return model_.weights.extract(absl::StrCat(prefix_, ours, ".weight"))
        .mapped();
  }
  void Move(const std::string& ours, const std::string& theirs) {
    if (Has(ours)) made_[theirs] = Take(ours);
  }
  // Gate and up below `ours` in one matrix, and down.
  void MoveMlp(const std::string& ours, const std::string& theirs) {
    if (!Has(ours + "up_proj")) return;
    made_[theirs + "linear_fc1.weight"] =
        at::cat({Take(ours + "gate_proj"), Take(ours + "up_proj")});
    Move(ours + "down_proj", theirs + "linear_fc2.weight");
  }
  // The experts in two stacks, and the router.
  void MoveExperts(int64_t experts) {
    std::vector<at::Tensor> fc1, fc2;
    for (int64_t i = 0; i < experts; ++i) {
      const std::string expert = absl::StrCat("mlp.experts.", i, ".");
      fc1.push_back(
          at::cat({Take(expert + "gate_proj"), Take(expert + "up_proj")}));
      fc2.push_back(Take(expert + "down_proj"));
    }
    made_["mlp.experts.experts.linear_fc1.weight"] = at::stack(fc1);
    made_["mlp.experts.experts.linear_fc2.weight"] = at::stack(fc2);
    Move("mlp.gate", "mlp.router.weight");
    const auto bias = model_.weights.find(
        absl::StrCat(prefix_, "mlp.gate.e_score_correction_bias"));
    if (bias == model_.weights.end()) return;
    made_["mlp.router.expert_bias"] = bias->second;
    model_.weights.erase(bias);
  }
  // q, k and v by group of heads.
  void MoveQkv() {
    Weights parts;
    for (const auto& [ours, theirs] :
         Names{{"q_proj", "wq"}, {"k_proj", "wk"}, {"v_proj", "wv"}}) {
      parts[theirs + ".weight"] = Take("self_attn." + ours);
    }
    made_["self_attention.linear_qkv.weight"] =
        ByGroup(model_.config, parts, "");
    Move("input_layernorm", "self_attention.linear_qkv.layer_norm_weight");
    Move("self_attn.o_proj", "self_attention.linear_proj.weight");
    Move("self_attn.q_norm", "self_attention.q_layernorm.weight");
    Move("self_attn.k_norm", "self_attention.k_layernorm.weight");
  }
  void MoveLatentAttention() {
    const std::string theirs = "self_attention.linear_";
    Move("input_layernorm", "input_layernorm.weight");
    Move("self_attn.q_proj", theirs + "q_proj.weight");
    Move("self_attn.q_a_proj", theirs + "q_down_proj.weight");
    Move("self_attn.q_b_proj", theirs + "q_up_proj.weight");
    Move("self_attn.q_a_layernorm", theirs + "q_up_proj.layer_norm_weight");
    Move("self_attn.kv_a_proj_with_mqa", theirs + "kv_down_proj.weight");
    Move("self_attn.kv_b_proj", theirs + "kv_up_proj.weight");
    Move("self_attn.kv_a_layernorm", theirs + "kv_up_proj.layer_norm_weight");
    Move("self_attn.o_proj", theirs + "proj.weight");
  }

  const Weights& made() const { return made_; }

 private:
  Model& model_;
  const std::string prefix_;
  Weights made_;
};

// Mixtral's names of a mixture under those that the others have.
Weights WithoutMixtralsNames(const Weights& weights) {
  Weights renamed;
  for (const auto& [name, tensor] : weights) {
    std::string usual =
        absl::StrReplaceAll(name, {{"block_sparse_moe", "mlp"}});
    if (usual != name) {
      usual = absl::StrReplaceAll(usual, {{".w1.", ".gate_proj."},
                                          {".w2.", ".down_proj."},
                                          {".w3.", ".up_proj."}});
    }
    renamed[usual] = tensor;
  }
  return renamed;
}

Weights AsMegatron(Model model, bool stacked) {
  model.weights = WithoutMixtralsNames(model.weights);
  const std::vector<const char*> counts = {"num_experts", "num_local_experts",
                                           "n_routed_experts"};
  int64_t experts = 0;
  for (const char* key : counts) experts = model.config.value(key, experts);
  std::map<std::string, std::vector<at::Tensor>> layers;
  Weights weights;
  for (int index = 0; index < model.config.at("num_hidden_layers"); ++index) {
    MegatronLayer layer(model, index);
    if (layer.Has("self_attn.k_proj")) {
      layer.MoveQkv();
    } else {
      layer.MoveLatentAttention();
    }
    const bool mixed = layer.Has("mlp.gate");
    layer.Move("post_attention_layernorm",
               mixed ? "pre_mlp_layernorm.weight"
                     : "mlp.linear_fc1.layer_norm_weight");
    layer.MoveMlp("mlp.", "mlp.");
    layer.MoveMlp("mlp.shared_experts.", "mlp.shared_experts.");
    if (mixed) layer.MoveExperts(experts);
    for (const auto& [name, tensor] : layer.made()) {
      layers[name].push_back(tensor);
      weights[absl::StrCat("decoder.layers.", index, ".", name)] = tensor;
    }
  }
  if (stacked) weights.clear();
  for (const auto& [name, tensors] : layers) {
    if (stacked) weights["decoder.layers." + name] = at::stack(tensors);
  }
  for (const auto& [ours, theirs] :
       Names{{"model.embed_tokens.weight", "embedding.word_embeddings.weight"},
             {"model.norm.weight", "decoder.final_layernorm.weight"},
             {"lm_head.weight", "output_layer.weight"}}) {
    const auto found = model.weights.find(ours);
    if (found != model.weights.end()) weights[theirs] = found->second;
  }
  return weights;
}

TEST(MegatronNamesTest, LayersAreStacked) {
  for (const char* name :
       {"llama", "qwen3", "mistral", "mixtral", "qwen3_moe"}) {
    SCOPED_TRACE(name);
    ExpectSameLogits(name, AsMegatron(Read(name), /*stacked=*/true));
  }
}

TEST(MegatronNamesTest, LayersAreTensorsOfTheirOwn) {
  for (const char* name : {"llama", "mixtral", "qwen3_moe", "deepseek_v2",
                           "deepseek_v3", "deepseek_v3_yarn"}) {
    SCOPED_TRACE(name);
    ExpectSameLogits(name, AsMegatron(Read(name), /*stacked=*/false));
  }
}

// The layers that Megatron-Core has without Transformer Engine.
TEST(MegatronNamesTest, NormsAreTensorsOfTheirOwn) {
  for (const bool stacked : {true, false}) {
    Weights weights;
    for (const auto& [name, tensor] : AsMegatron(Read("qwen3"), stacked)) {
      weights[absl::StrReplaceAll(
          name,
          {{"self_attention.linear_qkv.layer_norm_weight",
            "input_layernorm.weight"},
           {"mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight"}})] =
          tensor;
    }
    ExpectSameLogits("qwen3", weights);
  }
}

// What a stack of a layer's experts, or a matrix of gate and up, is where
// nothing is stacked (singleton_local_shards).
void TakeApart(const std::string& name, const at::Tensor& tensor,
               Weights& apart) {
  if (tensor.dim() == 3) {
    for (int64_t i = 0; i < tensor.size(0); ++i) {
      const std::string expert = absl::StrReplaceAll(
          name,
          {{".experts.experts.", absl::StrCat(".experts.experts.", i, ".")}});
      TakeApart(expert, tensor[i], apart);
    }
  } else if (absl::EndsWith(name, "linear_fc1.weight")) {
    const int64_t half = tensor.size(0) / 2;
    apart[name + "_w"] = tensor.slice(0, 0, half).contiguous();
    apart[name + "_v"] = tensor.slice(0, half).contiguous();
  } else {
    apart[name] = tensor.contiguous();
  }
}

TEST(MegatronNamesTest, NothingIsStacked) {
  for (const char* name : {"llama", "mixtral", "qwen3_moe", "deepseek_v2",
                           "deepseek_v3", "deepseek_v3_yarn"}) {
    SCOPED_TRACE(name);
    Weights apart;
    for (const auto& [stored, tensor] :
         AsMegatron(Read(name), /*stacked=*/false)) {
      TakeApart(stored, tensor, apart);
    }
    ExpectSameLogits(name, apart);
  }
}

}  // namespace
}  // namespace sinkwatch::worker

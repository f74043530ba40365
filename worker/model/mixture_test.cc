#include "worker/model/mixture.h"

#include <string>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/stack.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/model_testing.h"

namespace sinkwatch::model {
namespace {

constexpr int kLayers = 2;
constexpr int kExperts = 3;

nlohmann::json Config(const std::string& architecture) {
  nlohmann::json config = {{"architectures", {architecture}},
                           {"hidden_size", 16},
                           {"intermediate_size", 6},
                           {"moe_intermediate_size", 6},
                           {"num_hidden_layers", kLayers},
                           {"num_attention_heads", 4},
                           {"num_key_value_heads", 4},
                           {"head_dim", 8},
                           {"num_experts", kExperts},
                           {"num_experts_per_tok", 2},
                           {"n_shared_experts", 1},
                           {"n_group", 1},
                           {"topk_group", 1},
                           {"first_k_dense_replace", 0},
                           {"linear_num_key_heads", 2},
                           {"linear_num_value_heads", 2},
                           {"linear_key_head_dim", 4},
                           {"vocab_size", 11}};
  // There the width of the rotated part.
  if (architecture == "DeepseekV3ForCausalLM") config.erase("head_dim");
  return config;
}

// As transformers 5 holds them: two tensors for all experts of a layer, and the
// router under its own name.
Weights Stacked(const Weights& weights, const MixtureNames& names) {
  Weights stacked;
  for (const auto& [name, tensor] : weights) {
    if (name.find(names.expert) == std::string::npos) stacked[name] = tensor;
  }
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    std::vector<at::Tensor> gate_up, down;
    for (int e = 0; e < kExperts; ++e) {
      const auto part = [&](const char* name) {
        return weights.at(
            absl::StrCat(prefix, names.expert, e, ".", name, ".weight"));
      };
      gate_up.push_back(at::cat({part(names.gate), part(names.up)}));
      down.push_back(part(names.down));
    }
    stacked[prefix + "mlp.experts.gate_up_proj"] = at::stack(gate_up);
    stacked[prefix + "mlp.experts.down_proj"] = at::stack(down);
    const std::string router = absl::StrCat(prefix, names.router, ".weight");
    const at::Tensor rows = weights.at(router);
    stacked.erase(router);
    stacked[prefix + "mlp.gate.weight"] = rows;
  }
  return stacked;
}

void ExpectSameStacked(const std::string& architecture,
                       const MixtureNames& names) {
  SCOPED_TRACE(architecture);
  const auto model = CreateFrom(Config(architecture));
  ASSERT_NE(model, nullptr);
  const Weights weights = RandomWeights(*model, 1);
  const at::Tensor tokens_BT = RandomTokens(2, 5, 11, 2);
  EXPECT_TRUE(Forward(*model, Stacked(weights, names), tokens_BT)
                  .equal(Forward(*model, weights, tokens_BT)));
}

TEST(MixtureTest, StackedExpertsGiveTheSameLogitsInEveryFamily) {
  for (const char* architecture :
       {"Qwen3MoeForCausalLM", "Qwen3NextForCausalLM", "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM"}) {
    ExpectSameStacked(architecture, {});
  }
  ExpectSameStacked(
      "MixtralForCausalLM",
      {"block_sparse_moe.gate", "block_sparse_moe.experts.", "w1", "w3", "w2"});
}

}  // namespace
}  // namespace sinkwatch::model

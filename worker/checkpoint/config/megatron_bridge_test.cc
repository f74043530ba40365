#include "worker/checkpoint/config/megatron_bridge.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

// Fields of the model, as a provider has them, and of what surrounds it.
constexpr char kProvider[] =
    R"(_target_: megatron.bridge.training.config.ConfigContainer
checkpoint:
  _target_: megatron.bridge.training.config.CheckpointConfig
  save_rng: true
model:
  _target_: megatron.bridge.models.gpt_provider.GPTModelProvider
  activation_func:
    _call_: false
    _target_: torch.nn.functional.silu
  add_bias_linear: false
  add_qkv_bias: false
  apply_rope_fusion: true
  attention_backend:
    _args_:
    - 5
    _call_: true
    _target_: megatron.core.transformer.enums.AttnBackend
  bf16: true
  ffn_hidden_size: 28
  gated_linear_unit: true
  hidden_size: 16
  kv_channels: 8
  layernorm_epsilon: 1.0e-05
  normalization: RMSNorm
  num_attention_heads: 2
  num_layers: 3
  num_moe_experts: null
  num_query_groups: 1
  params_dtype:
    _call_: false
    _target_: torch.bfloat16
  position_embedding_type: rope
  qk_layernorm: false
  recompute_modules:
  - core_attn
  rope_scaling: false
  rope_scaling_factor: 1.0
  rotary_base: 500000
  rotary_percent: 1.0
  seq_length: 4096
  share_embeddings_and_output_weights: false
  tensor_model_parallel_size: 2
  transformer_layer_spec:
    _call_: false
    _target_: megatron.bridge.models.gpt_provider.default_layer_spec
  vocab_size: 64
  window_size: null
optimizer:
  lr: 0.001
peft: null
)";

using Changes = std::vector<std::pair<absl::string_view, absl::string_view>>;

absl::StatusOr<Json> Translated(const Changes& changes = {}) {
  const std::string text = absl::StrReplaceAll(kProvider, changes);
  for (const auto& [from, to] : changes) {
    EXPECT_TRUE(absl::StrContains(kProvider, from)) << from;
  }
  auto config = ParseModelConfig("run_config.yaml", text);
  if (!config.ok()) return config.status();
  return config->json();
}

TEST(MegatronBridgeTest, ADenseDecoderIsALlama) {
  const auto keys = Translated();
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(*keys, Json({{"architectures", {"LlamaForCausalLM"}},
                         {"head_dim", 8},
                         {"hidden_act", "silu"},
                         {"hidden_size", 16},
                         {"intermediate_size", 28},
                         {"max_position_embeddings", 4096},
                         {"num_attention_heads", 2},
                         {"num_hidden_layers", 3},
                         {"num_key_value_heads", 1},
                         {"rms_norm_eps", 1e-5},
                         {"rope_parameters",
                          {{"rope_type", "default"}, {"rope_theta", 500000.0}}},
                         {"tie_word_embeddings", false},
                         {"vocab_size", 64}}));
}

TEST(MegatronBridgeTest, AttentionTellsTheFamily) {
  const std::pair<Changes, const char*> cases[] = {
      {{{"qk_layernorm: false", "qk_layernorm: true"}}, "Qwen3ForCausalLM"},
      {{{"add_qkv_bias: false", "add_qkv_bias: true"}}, "Qwen2ForCausalLM"},
  };
  for (const auto& [changes, name] : cases) {
    const auto keys = Translated(changes);
    ASSERT_TRUE(keys.ok()) << keys.status();
    EXPECT_EQ(keys->at("architectures"), Json({name}));
  }
}

TEST(MegatronBridgeTest, PositionsAreScaledAsMegatronDoes) {
  auto keys =
      Translated({{"rope_scaling: false", "rope_scaling: true"},
                  {"rope_scaling_factor: 1.0", "rope_scaling_factor: 32.0"}});
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->at("rope_parameters"),
            Json({{"rope_type", "llama3"},
                  {"rope_theta", 500000.0},
                  {"factor", 32.0},
                  {"low_freq_factor", 1.0},
                  {"high_freq_factor", 4.0},
                  {"original_max_position_embeddings", 8192}}));
  keys = Translated(
      {{"rope_scaling: false", "seq_len_interpolation_factor: 4.0"}});
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->at("rope_parameters").at("rope_type"), "linear");
  EXPECT_EQ(keys->at("rope_parameters").at("factor"), 4.0);
}

TEST(MegatronBridgeTest, ExpertsAreMixtralsOrQwens) {
  const std::pair<absl::string_view, absl::string_view> experts = {
      "  num_moe_experts: null",
      "  num_moe_experts: 4\n  moe_router_topk: 2\n  moe_ffn_hidden_size: 12\n"
      "  moe_layer_freq: [1, 1, 1]\n  moe_router_pre_softmax: false\n"
      "  moe_router_load_balancing_type: [aux_loss]"};
  auto keys = Translated({experts});
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->at("architectures"), Json({"MixtralForCausalLM"}));
  EXPECT_EQ(keys->at("intermediate_size"), 12);
  EXPECT_EQ(keys->at("num_experts"), 4);
  EXPECT_EQ(keys->at("num_experts_per_tok"), 2);
  keys = Translated({experts, {"qk_layernorm: false", "qk_layernorm: true"}});
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->at("architectures"), Json({"Qwen3MoeForCausalLM"}));
  EXPECT_EQ(keys->at("moe_intermediate_size"), 12);
  EXPECT_EQ(keys->at("norm_topk_prob"), true);
}

// What Bridge writes since its configs are apart from their builders.
TEST(MegatronBridgeTest, TheDecoderMayBeASectionOfItsOwn) {
  const std::string text =
      "model:\n"
      "  _target_: "
      "megatron.bridge.models.gpt.model_config.BridgeGPTModelConfig\n"
      "  position_embedding_type: rope\n"
      "  rotary_base: 500000\n"
      "  seq_length: 4096\n"
      "  share_embeddings_and_output_weights: false\n"
      "  vocab_size: 64\n"
      "  transformer:\n"
      "    _target_: megatron.bridge.models.transformer_config."
      "TransformerConfig\n"
      "    activation_func: silu\n"
      "    add_bias_linear: false\n"
      "    ffn_hidden_size: 28\n"
      "    gated_linear_unit: true\n"
      "    hidden_size: 16\n"
      "    kv_channels: 8\n"
      "    normalization: RMSNorm\n"
      "    num_attention_heads: 2\n"
      "    num_layers: 3\n"
      "    num_query_groups: 1\n"
      "optimizer: {}\n";
  const auto config = ParseModelConfig("run_config.yaml", text);
  ASSERT_TRUE(config.ok()) << config.status();
  const auto provider = Translated();
  ASSERT_TRUE(provider.ok()) << provider.status();
  EXPECT_EQ(config->json(), *provider);
}

TEST(MegatronBridgeTest, RefusesOtherModelsByTheField) {
  const std::pair<Changes, const char*> cases[] = {
      {{{"window_size: null", "window_size: [127, 0]"}}, "model.window_size"},
      {{{"normalization: RMSNorm", "normalization: LayerNorm"}},
       "model.normalization"},
      {{{"functional.silu", "functional.gelu"}}, "model.activation_func"},
      {{{"gated_linear_unit: true", "gated_linear_unit: false"}},
       "model.gated_linear_unit"},
      {{{"default_layer_spec", "my_spec"}}, "model.transformer_layer_spec"},
      {{{"models.gpt_provider.GPTModelProvider",
         "models.gemma.gemma3_provider.Gemma3ModelProvider"}},
       "model._target_"},
      {{{"position_embedding_type: rope", "position_embedding_type: yarn"}},
       "model.position_embedding_type"},
      {{{"num_moe_experts: null", "moe_what: 1"}}, "model.moe_what"},
      {{{"num_moe_experts: null",
         "num_moe_experts: 4\n  moe_router_score_function: sigmoid"}},
       "model.moe_router_score_function"},
      {{{"num_moe_experts: null",
         "num_moe_experts: 4\n  moe_layer_freq: [0, 1, 1]"}},
       "model.moe_layer_freq"},
      {{{"num_moe_experts: null",
         "num_moe_experts: 4\n  moe_router_load_balancing_type: sinkhorn"}},
       "model.moe_router_load_balancing_type"},
      {{{"peft: null", "peft:\n  dim: 8"}}, "peft"},
  };
  for (const auto& [changes, key] : cases) {
    files::ExpectError(Translated(changes).status(),
                       absl::StatusCode::kUnimplemented,
                       {"run_config.yaml", absl::StrCat("'", key, "'")});
  }
}

TEST(MegatronBridgeTest, WaitsForTheRestOfACutFile) {
  const std::string text(kProvider);
  const std::string cut = text.substr(0, text.find("  num_query_groups"));
  files::ExpectError(ParseModelConfig("run_config.yaml", cut).status(),
                     absl::StatusCode::kFailedPrecondition, {"incomplete"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint

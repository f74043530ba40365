#include "worker/model/registry.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/registry_testing.h"

namespace sinkwatch::model {
namespace {

// GPT-2's keys have other names, Gemma's scale and DeepSeek's heads are keys of
// their own, and hybrids have layers without attention.
std::vector<std::string> ArchitecturesOfTheUsualKeys() {
  const std::set<std::string> others = {
      "DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM",
      "GPT2LMHeadModel",       "Gemma2ForCausalLM",
      "Gemma3ForCausalLM",     "OlmoHybridForCausalLM",
      "Qwen3NextForCausalLM",  "Qwen3_5ForCausalLM",
      "Qwen3_5MoeForCausalLM"};
  std::vector<std::string> names;
  for (const std::string& name : ArchitectureNames()) {
    if (others.count(name) == 0) names.push_back(name);
  }
  return names;
}

class EveryArchitectureTest : public ::testing::TestWithParam<std::string> {
 protected:
  nlohmann::json Base() const { return ConfigOf(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(All, EveryArchitectureTest,
                         ::testing::ValuesIn(ArchitecturesOfTheUsualKeys()),
                         [](const auto& info) { return info.param; });

TEST_P(EveryArchitectureTest, ReadsTheSharedShape) {
  const auto architecture = Create(Base());
  ASSERT_TRUE(architecture.ok()) << architecture.status().ToString();
  const ModelShape& shape = (*architecture)->shape();
  EXPECT_EQ(shape.architecture, GetParam());
  EXPECT_EQ(shape.layers, 2);
  EXPECT_EQ(shape.heads, 4);
  EXPECT_EQ(shape.kv_heads, 4);  // as many as heads where the key is null
  EXPECT_EQ(shape.head_dim, 4);
  EXPECT_EQ(shape.width, 16);
  EXPECT_EQ(shape.vocabulary, 32);
  EXPECT_EQ(shape.max_positions, 64);
  ASSERT_EQ(shape.attention.size(), 2u);
  EXPECT_EQ(shape.attention[1].kind, AttentionKind::kSoftmax);
  EXPECT_DOUBLE_EQ(shape.attention[1].scale, 0.5);
}

TEST_P(EveryArchitectureTest, OutOfRangeKeyIsDataLossByName) {
  for (const char* key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "vocab_size", "max_position_embeddings",
        "intermediate_size", "head_dim"}) {
    for (const nlohmann::json& value :
         {nlohmann::json(0), nlohmann::json(-4), nlohmann::json(1LL << 40),
          nlohmann::json("four"), nlohmann::json(4.5)}) {
      ExpectRefused(Base(), key, value, absl::StatusCode::kDataLoss);
    }
  }
}

TEST_P(EveryArchitectureTest, MissingKeyIsDataLossByName) {
  for (const char* key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
        "intermediate_size"}) {
    nlohmann::json config = Base();
    config.erase(key);
    const absl::Status status = Create(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(std::string(status.message()).find(key), std::string::npos)
        << status.ToString();
  }
}

TEST_P(EveryArchitectureTest, HeadsThatDoNotShareOutAreDataLoss) {
  ExpectRefused(Base(), "num_key_value_heads", 3, absl::StatusCode::kDataLoss);
  ExpectRefused(Base(), "num_attention_heads", 5, absl::StatusCode::kDataLoss);
}

TEST(RegistryTest, QuantisedWeightsAreUnimplementedByMethod) {
  ExpectRefused(ConfigOf("LlamaForCausalLM"), "quantization_config",
                {{"quant_method", "gptq"}}, absl::StatusCode::kUnimplemented);
  ExpectRefused(ConfigOf("LlamaForCausalLM"), "quantization_config", "odd",
                absl::StatusCode::kUnimplemented);
}

TEST(RegistryTest, HeadsThatDoNotFillTheStreamAreRefusedWhereCodeNeedsThem) {
  for (const char* name : {"GPTNeoXForCausalLM", "OlmoeForCausalLM"}) {
    ExpectRefused(ConfigOf(name), "head_dim", 6,
                  absl::StatusCode::kUnimplemented);
  }
}

// What configuration_*.py of transformers 5.24 has for keys that are not there.
TEST(RegistryTest, HeadsThatTheConfigLeavesOutAreTransformersDefaults) {
  const auto shape_of = [](const char* name) {
    nlohmann::json config = ConfigOf(name);
    config["num_attention_heads"] = 32;
    config["hidden_size"] = 64;
    config.erase("num_key_value_heads");
    config.erase("head_dim");
    const auto architecture = Create(config);
    EXPECT_TRUE(architecture.ok()) << name << ": " << architecture.status();
    return architecture.ok() ? (*architecture)->shape() : ModelShape();
  };
  struct Default {
    const char* name;
    int kv_heads, head_dim;
  };
  for (const Default& want :
       {Default{"LlamaForCausalLM", 32, 2}, Default{"MistralForCausalLM", 8, 2},
        Default{"Qwen2ForCausalLM", 32, 2},
        Default{"Qwen3ForCausalLM", 32, 128},
        Default{"Gemma2ForCausalLM", 4, 256},
        Default{"Gemma3ForCausalLM", 4, 256},
        Default{"GptOssForCausalLM", 8, 64},
        Default{"SmolLM3ForCausalLM", 4, 2},
        Default{"Olmo2ForCausalLM", 32, 2}}) {
    const ModelShape shape = shape_of(want.name);
    EXPECT_EQ(shape.kv_heads, want.kv_heads) << want.name;
    EXPECT_EQ(shape.head_dim, want.head_dim) << want.name;
  }
}

TEST(RegistryTest, TheHybridOfBeforeItsReleaseMustSayItsTheta) {
  nlohmann::json config = ConfigOf("OlmoHybridForCausalLM");
  config["architectures"] = {"Olmo3_2HybridForCausalLM"};
  config["model_type"] = "olmo3_2_hybrid";
  EXPECT_EQ(Create(config).status().code(), absl::StatusCode::kUnimplemented);
  config["rope_theta"] = nullptr;
  EXPECT_EQ((*Create(config))->shape().architecture, "OlmoHybridForCausalLM");
}

TEST(RegistryTest, LayersOfAHybridThatAreNotKnownAreRefused) {
  for (const char* name : {"OlmoHybridForCausalLM", "Qwen3NextForCausalLM"}) {
    ExpectRefused(ConfigOf(name), "layer_types", {"linear_attention", "mamba"},
                  absl::StatusCode::kUnimplemented);
    ExpectRefused(ConfigOf(name), "layer_types", {"linear_attention"},
                  absl::StatusCode::kDataLoss);
  }
}

TEST(RegistryTest, ExpertsAreCountedUnderAnyOfTheirKeys) {
  for (const char* key :
       {"num_experts", "num_local_experts", "n_routed_experts"}) {
    nlohmann::json config = ConfigOf("Qwen3MoeForCausalLM");
    config.erase("num_experts");
    config[key] = 4;
    EXPECT_TRUE(Create(config).ok()) << key;
    ExpectRefused(config, key, 0, absl::StatusCode::kDataLoss);
  }
}

TEST(RegistryTest, OptionsThatANewFamilyDoesNotHaveAreRefusedByName) {
  const nlohmann::json smol = ConfigOf("SmolLM3ForCausalLM");
  for (const nlohmann::json& value :
       {nlohmann::json({1}), nlohmann::json({1, 2}), nlohmann::json("1")}) {
    ExpectRefused(smol, "no_rope_layers", value, absl::StatusCode::kDataLoss);
  }
  ExpectRefused(ConfigOf("Qwen3MoeForCausalLM"), "mlp_only_layers", {-1},
                absl::StatusCode::kDataLoss);
  ExpectRefused(ConfigOf("DeepseekV2ForCausalLM"), "topk_method", "noaux_tc",
                absl::StatusCode::kUnimplemented);
  ExpectRefused(ConfigOf("DeepseekV3ForCausalLM"), "n_group", 4,
                absl::StatusCode::kDataLoss);  // groups of one expert
  nlohmann::json groups = ConfigOf("DeepseekV2ForCausalLM");
  groups["topk_method"] = "group_limited_greedy";
  EXPECT_TRUE(Create(groups).ok());
  ExpectRefused(groups, "num_experts_per_tok", 3,
                absl::StatusCode::kDataLoss);  // of a group of two
  ExpectRefused(ConfigOf("Gemma2ForCausalLM"), "use_bidirectional_attention",
                true, absl::StatusCode::kUnimplemented);
  ExpectRefused(ConfigOf("ApertusForCausalLM"), "hidden_act", "silu",
                absl::StatusCode::kUnimplemented);
}

// transformers would put in a scaling of its own, with a base of its own.
TEST(RegistryTest, ApertusAndGptOssMustSayTheirRotaryPositions) {
  for (const char* name : {"ApertusForCausalLM", "GptOssForCausalLM"}) {
    nlohmann::json config = ConfigOf(name);
    config.erase("rope_parameters");
    config["rope_theta"] = 500.0;
    const absl::Status status = Create(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << name;
    EXPECT_NE(status.message().find("rope_parameters"), std::string::npos)
        << status;
  }
}

TEST(RegistryTest, UnknownRopeTypeIsUnimplementedByName) {
  for (const char* name : {"LlamaForCausalLM", "OlmoForCausalLM"}) {
    nlohmann::json config = ConfigOf(name);
    config["rope_scaling"] = {{"rope_type", "longrope"}, {"factor", 8.0}};
    const absl::Status status = Create(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_NE(std::string(status.message()).find("longrope"), std::string::npos)
        << status.ToString();
  }
}

TEST(RegistryTest, LayerTypesInAFamilyWithoutThemAreRefused) {
  for (const char* name : {"LlamaForCausalLM", "Qwen3MoeForCausalLM",
                           "Olmo2ForCausalLM", "MixtralForCausalLM"}) {
    ExpectRefused(ConfigOf(name), "layer_types",
                  {"sliding_attention", "full_attention"},
                  absl::StatusCode::kUnimplemented);
    nlohmann::json config = ConfigOf(name);
    config["layer_types"] = {"full_attention", "full_attention"};
    EXPECT_TRUE(Create(config).ok()) << name;
  }
}

TEST(RegistryTest, AttentionToWhatComesAfterIsUnimplemented) {
  for (const char* name : {"LlamaForCausalLM", "GPT2LMHeadModel"}) {
    nlohmann::json config = ConfigOf(name);
    config.update(
        {{"n_embd", 16}, {"n_layer", 2}, {"n_head", 4}, {"n_positions", 64}});
    ExpectRefused(config, "is_causal", false, absl::StatusCode::kUnimplemented);
    config["is_causal"] = true;
    EXPECT_TRUE(Create(config).ok()) << name;
  }
}

TEST(RegistryTest, OtherActivationIsUnimplemented) {
  for (const char* name : {"LlamaForCausalLM", "OlmoForCausalLM"}) {
    ExpectRefused(ConfigOf(name), "hidden_act", "gelu",
                  absl::StatusCode::kUnimplemented);
  }
}

TEST(RegistryTest, OddHeadWidthIsDataLossWhereItIsRotated) {
  for (const char* name : {"LlamaForCausalLM", "OlmoForCausalLM"}) {
    ExpectRefused(ConfigOf(name), "head_dim", 3, absl::StatusCode::kDataLoss);
  }
}

TEST(RegistryTest, WrongTypeOfAnOptionIsDataLoss) {
  const nlohmann::json llama = ConfigOf("LlamaForCausalLM");
  for (const char* key :
       {"attention_bias", "mlp_bias", "tie_word_embeddings"}) {
    ExpectRefused(llama, key, "yes", absl::StatusCode::kDataLoss);
  }
  ExpectRefused(llama, "hidden_act", 5, absl::StatusCode::kDataLoss);
  for (const nlohmann::json& value :
       {nlohmann::json(0.0), nlohmann::json(-1.0), nlohmann::json("x")}) {
    ExpectRefused(llama, "rms_norm_eps", value, absl::StatusCode::kDataLoss);
    ExpectRefused(llama, "rope_theta", value, absl::StatusCode::kDataLoss);
    ExpectRefused(ConfigOf("OlmoForCausalLM"), "clip_qkv", value,
                  absl::StatusCode::kDataLoss);
    ExpectRefused(ConfigOf("BigramBackcopyForCausalLM"), "layer_norm_eps",
                  value, absl::StatusCode::kDataLoss);
  }
}

TEST(RegistryTest, OtherAttentionKindIsUnimplemented) {
  ExpectRefused(ConfigOf("BigramBackcopyForCausalLM"), "attention_kind",
                "linear", absl::StatusCode::kUnimplemented);
}

TEST(RegistryTest, GroupedHeadsInTheToyModelAreUnimplemented) {
  ExpectRefused(ConfigOf("BigramBackcopyForCausalLM"), "num_key_value_heads", 2,
                absl::StatusCode::kUnimplemented);
}

TEST(RegistryTest, ToyModelWithoutPositionsIsDataLoss) {
  nlohmann::json config = ConfigOf("BigramBackcopyForCausalLM");
  config.erase("max_position_embeddings");
  const absl::Status status = Create(config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(
      std::string(status.message()).find("max_position_embeddings is missing"),
      std::string::npos);
}

TEST(RegistryTest, LayerSwitchesMustBeOneBooleanPerLayer) {
  const nlohmann::json toy = ConfigOf("BigramBackcopyForCausalLM");
  for (const char* key : {"layer_attention", "layer_mlp"}) {
    for (const nlohmann::json& value :
         {nlohmann::json(true), nlohmann::json({true}),
          nlohmann::json({true, true, true}), nlohmann::json({true, 1})}) {
      ExpectRefused(toy, key, value, absl::StatusCode::kDataLoss);
    }
  }
}

// A value goes into messages escaped and cut short: a config must not be able
// to write lines or colours into a log.
TEST(RegistryTest, ValuesInMessagesAreQuoted) {
  std::string hostile = "x\n\x1b[31m\"";
  for (int i = 0; i < 12; ++i) hostile += hostile;
  nlohmann::json nameless = ConfigOf("LlamaForCausalLM");
  nameless["architectures"] = {hostile};
  nlohmann::json activation = ConfigOf("LlamaForCausalLM");
  activation["hidden_act"] = hostile;
  nlohmann::json rope = ConfigOf("LlamaForCausalLM");
  rope["rope_parameters"] = {{"rope_type", hostile}};
  for (const nlohmann::json& config : {nameless, activation, rope}) {
    const absl::Status status = Create(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_LT(status.message().size(), 1000u);
    EXPECT_NE(status.message().find("x\\n\\033[31m"), std::string::npos)
        << status;
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace sinkwatch::model

#include "worker/checkpoint/config/olmo_core.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/config/olmo_core_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

std::vector<std::string> LayerTypes(const Json& root) {
  return KeysOf(root)["layer_types"];
}

constexpr char kFull[] = "full_attention";
constexpr char kSliding[] = "sliding_attention";

TEST(OlmoCoreTest, ReorderedNormIsOlmo2) {
  const Json expected = Json::parse(R"({
      "architectures": ["Olmo2ForCausalLM"],
      "hidden_size": 2048, "intermediate_size": 8192,
      "num_hidden_layers": 16, "num_attention_heads": 16,
      "num_key_value_heads": 16, "head_dim": 128, "vocab_size": 100352,
      "rms_norm_eps": 1e-6, "rope_theta": 500000.0, "hidden_act": "silu",
      "attention_bias": false, "tie_word_embeddings": false})");
  EXPECT_EQ(KeysOf(Olmo2(2048, 16, 16, 8192)), expected);
  const Json keys = KeysOf(Olmo2(4096, 32, 32, 11008));
  EXPECT_EQ(keys["hidden_size"], 4096);
  EXPECT_EQ(keys["num_hidden_layers"], 32);
  EXPECT_EQ(keys["head_dim"], 128);
}

TEST(OlmoCoreTest, ErrorsOfTheArchitectureSayThatTheKeysAreTranslated) {
  absl::StatusOr<Config> config = Translate(Olmo2(2048, 16, 16, 8192));
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->path(),
            std::string(kPath) + " (keys translated from OLMo-core)");
  EXPECT_EQ(config->json().at("architectures").at(0), "Olmo2ForCausalLM");
}

TEST(OlmoCoreTest, BothSpellingsOfAttentionAreOne) {
  Json root = Olmo2(2048, 16, 16, 8192);
  const Json keys = KeysOf(root);
  Block(root)["attention"] = Attention(root);
  files::ExpectError(Translate(root).status(), kCorrupt,
                     {kPath, "'model.block.attention'", "both"});
  Block(root).erase("sequence_mixer");
  Block(root)["attention"].erase("type");
  EXPECT_EQ(KeysOf(root), keys);
}

TEST(OlmoCoreTest, GroupedHeadsAndTiedWeightsAreKept) {
  Json root = Olmo2(5120, 64, 40, 27648);
  Attention(root)["n_kv_heads"] = 8;
  Model(root)["tie_word_embeddings"] = true;
  Json keys = KeysOf(root);
  EXPECT_EQ(keys["num_key_value_heads"], 8);
  EXPECT_EQ(keys["tie_word_embeddings"], true);
  Attention(root)["head_dim"] = 64;
  EXPECT_EQ(KeysOf(root)["head_dim"], 64);
}

// The tensors of both have the same names: only the block's name tells.
TEST(OlmoCoreTest, TheBlocksNameDecidesWhereTheNormsAre) {
  Json root = Olmo2(2048, 16, 16, 8192);
  Block(root)["name"] = "default";
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {kPath, "'model.block.name'", "'default'", "width"});
  Attention(root).erase("qk_norm");
  EXPECT_EQ(KeysOf(root)["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(KeysOf(root)["mlp_bias"], false);
  // `default` is what an absent name means.
  Block(root).erase("name");
  EXPECT_EQ(KeysOf(root)["architectures"][0], "LlamaForCausalLM");
  Block(root)["name"] = "reordered_norm";
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.block.name'", "'reordered_norm'", "none"});
}

TEST(OlmoCoreTest, QkNormPerHeadIsQwen3) {
  Json root = Olmo2(1024, 28, 16, 3072);
  Block(root)["name"] = "default";
  Attention(root)["use_head_qk_norm"] = true;
  Attention(root)["n_kv_heads"] = 8;
  Attention(root)["head_dim"] = 128;
  const Json keys = KeysOf(root);
  EXPECT_EQ(keys["architectures"][0], "Qwen3ForCausalLM");
  EXPECT_EQ(keys["head_dim"], 128);
  EXPECT_FALSE(keys.contains("mlp_bias"));
  Block(root)["name"] = "reordered_norm";
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.block.name'", "head"});
}

TEST(OlmoCoreTest, LearnedSinksAndTheGateAreKeysOfTheirOwn) {
  Json root = Olmo2(32, 2, 4, 48);
  EXPECT_FALSE(KeysOf(root).contains("attention_sinks"));
  EXPECT_FALSE(KeysOf(root).contains("attention_gate"));
  Attention(root)["attention_sinks"] = true;
  Attention(root)["gate"] = {{"granularity", "elementwise"},
                             {"full_precision", true},
                             {"_CLASS_", "olmo_core.nn.attention.GateConfig"}};
  EXPECT_EQ(KeysOf(root)["attention_sinks"], true);
  EXPECT_EQ(KeysOf(root)["attention_gate"], "elementwise");
  Attention(root)["gate"] = Json::object();  // its default
  EXPECT_EQ(KeysOf(root)["attention_gate"], "headwise");
}

TEST(OlmoCoreTest, AnAbsentBiasIsThere) {
  Json root = Olmo2(2048, 16, 16, 8192);
  Block(root)["name"] = "default";
  Attention(root).erase("qk_norm");
  Attention(root).erase("bias");
  Block(root)["feed_forward"].erase("bias");
  const Json keys = KeysOf(root);
  EXPECT_EQ(keys["attention_bias"], true);
  EXPECT_EQ(keys["mlp_bias"], true);
}

TEST(OlmoCoreTest, AnAbsentBiasThatNoFamilyHasIsRefused) {
  struct {
    std::function<void(Json&)> spoil;
    std::string key;
  } cases[] = {
      {[](Json& r) { Block(r)["feed_forward"].erase("bias"); },
       "'model.block.feed_forward.bias'"},
      {[](Json& r) { Block(r)["layer_norm"].erase("bias"); },
       "'model.block.layer_norm.bias'"},
      {[](Json& r) { Attention(r)["qk_norm"].erase("bias"); },
       "'model.block.sequence_mixer.qk_norm.bias'"},
      {[](Json& r) { Model(r)["lm_head"].erase("bias"); },
       "'model.lm_head.bias'"},
      {[](Json& r) { Model(r)["lm_head"]["layer_norm"].erase("bias"); },
       "'model.lm_head.layer_norm.bias'"},
  };
  for (const auto& [spoil, key] : cases) {
    Json root = Olmo2(2048, 16, 16, 8192);
    spoil(root);
    files::ExpectError(Translate(root).status(), kUnsupported,
                       {kPath, key, "absent"});
  }
}

TEST(OlmoCoreTest, ReleasesBefore17HaveTheHeadAsKeysOfTheModel) {
  Json root = Olmo2(2048, 16, 16, 8192);
  const Json keys = KeysOf(root);
  Model(root)["layer_norm"] = Model(root)["lm_head"]["layer_norm"];
  Model(root)["bias"] = false;
  Model(root).erase("lm_head");
  EXPECT_EQ(KeysOf(root), keys);
  Model(root)["bias"] = true;
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.bias'", "true"});
  Model(root).erase("bias");  // true where it is absent
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.bias'", "true"});
  Model(root).erase("layer_norm");
  files::ExpectError(Translate(root).status(), kCorrupt, {"'model.lm_head'"});
}

TEST(OlmoCoreTest, AnAbsentEpsIs1e5) {
  Json root = Olmo2(2048, 16, 16, 8192);
  for (Json* norm : {&Block(root)["layer_norm"], &Attention(root)["qk_norm"],
                     &Model(root)["lm_head"]["layer_norm"]}) {
    norm->erase("eps");
  }
  EXPECT_EQ(KeysOf(root)["rms_norm_eps"], 1e-5);
  // Hugging Face has one eps for all.
  Attention(root)["qk_norm"]["eps"] = 1e-6;
  files::ExpectError(
      Translate(root).status(), kUnsupported,
      {"'model.block.sequence_mixer.qk_norm'", "eps 1e-06", "1e-05"});
  Attention(root)["qk_norm"].erase("eps");
  Model(root)["lm_head"]["layer_norm"]["eps"] = 1e-6;
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.lm_head.layer_norm'", "eps 1e-06"});
}

TEST(OlmoCoreTest, AnAbsentThetaIs500000) {
  Json root = Olmo2(2048, 16, 16, 8192);
  Attention(root)["rope"] = Json::object();
  EXPECT_EQ(KeysOf(root)["rope_theta"], 500000.0);
  Attention(root)["rope"]["theta"] = 10000;
  EXPECT_EQ(KeysOf(root)["rope_theta"], 10000.0);
}

TEST(OlmoCoreTest, ALayerWithAWindowMakesOlmo3) {
  const Json keys = KeysOf(Olmo3(4096, 32, 32, 11008));
  EXPECT_EQ(keys["architectures"][0], "Olmo3ForCausalLM");
  EXPECT_EQ(keys["sliding_window"], 4096);
  EXPECT_FALSE(keys.contains("rope_parameters"));
  ASSERT_EQ(keys["layer_types"].size(), 32u);
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(keys["layer_types"][i], i % 4 == 3 ? kFull : kSliding) << i;
  }
}

TEST(OlmoCoreTest, TheLastLayerIsFullWhereThatIsForced) {
  Json root = Olmo3(512, 6, 4, 1376);
  using Types = std::vector<std::string>;
  EXPECT_EQ(LayerTypes(root),
            (Types{kSliding, kSliding, kSliding, kFull, kSliding, kFull}));
  Json& window = Attention(root)["sliding_window"];
  window["force_full_attention_on_last_layer"] = false;
  EXPECT_EQ(LayerTypes(root),
            (Types{kSliding, kSliding, kSliding, kFull, kSliding, kSliding}));
}

TEST(OlmoCoreTest, AForcedFirstLayerShiftsThePatternAndIsTheDefault) {
  Json root = Olmo3(512, 7, 4, 1376);
  using Types = std::vector<std::string>;
  const Types shifted = {kFull, kSliding, kSliding, kSliding,
                         kFull, kSliding, kFull};
  Json& window = Attention(root)["sliding_window"];
  window["force_full_attention_on_first_layer"] = true;
  EXPECT_EQ(LayerTypes(root), shifted);
  window.erase("force_full_attention_on_first_layer");
  window.erase("force_full_attention_on_last_layer");
  EXPECT_EQ(LayerTypes(root), shifted);
}

TEST(OlmoCoreTest, APatternWithoutWindowsIsOlmo2) {
  Json root = Olmo3(512, 6, 4, 1376);
  Attention(root)["sliding_window"]["pattern"] = {-1};
  const Json keys = KeysOf(root);
  EXPECT_EQ(keys["architectures"][0], "Olmo2ForCausalLM");
  EXPECT_FALSE(keys.contains("layer_types"));
}

TEST(OlmoCoreTest, YarnIsOnFullLayersOnly) {
  const Json keys = KeysOf(Olmo3WithYarn(6));
  EXPECT_EQ(keys["architectures"][0], "Olmo3ForCausalLM");
  EXPECT_EQ(keys["layer_types"],
            Json({kSliding, kSliding, kSliding, kFull, kSliding, kFull}));
  EXPECT_EQ(keys["rope_theta"], 500000.0);
  EXPECT_EQ(keys["rope_parameters"][kSliding],
            Json({{"rope_theta", 500000.0}, {"rope_type", "default"}}));
  const Json& full = keys["rope_parameters"][kFull];
  EXPECT_EQ(full["rope_type"], "yarn");
  EXPECT_EQ(full["rope_theta"], 500000.0);
  EXPECT_EQ(full["factor"], 8.0);
  EXPECT_EQ(full["original_max_position_embeddings"], 8192);
  EXPECT_EQ(full["beta_fast"], 32);
  EXPECT_EQ(full["beta_slow"], 1);
  // The reference's figure for factor 8.
  EXPECT_NEAR(full["attention_factor"].get<double>(), 1.2079, 5e-5);
}

TEST(OlmoCoreTest, LayersOfOneKindMustHaveOneRope) {
  Json root = Olmo3WithYarn(8);
  Model(root)["block_overrides"].erase("3");
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.block_overrides'", "one kind"});
  root = Olmo3WithYarn(8);
  Model(root)["block_overrides"]["7"]["sequence_mixer"]["rope"]["scaling"]
             ["factor"] = 4.0;
  files::ExpectError(Translate(root).status(), kUnsupported, {"one kind"});
}

TEST(OlmoCoreTest, OverridesOfAnythingElseAreRefused) {
  Json root = Olmo2(512, 4, 4, 1376);
  Model(root)["block_overrides"]["2"] = Block(root);
  EXPECT_EQ(KeysOf(root), KeysOf(Olmo2(512, 4, 4, 1376)));
  Model(root)["block_overrides"]["2"]["feed_forward"]["hidden_size"] = 1024;
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {kPath, "'model.block_overrides'", "layer 2"});
  for (const char* layer : {"4", "-1", "last"}) {
    root = Olmo2(512, 4, 4, 1376);
    Model(root)["block_overrides"][layer] = Block(root);
    files::ExpectError(Translate(root).status(), kCorrupt,
                       {"'model.block_overrides'", layer, "no layer"});
  }
}

TEST(OlmoCoreTest, ScalingsAreTranslated) {
  const auto scaled = [](const Json& scaling) {
    Json root = Olmo2(2048, 16, 16, 8192);
    Attention(root)["rope"]["scaling"] = scaling;
    return KeysOf(root);
  };
  Json keys = scaled(Yarn());
  EXPECT_EQ(keys["rope_parameters"]["rope_type"], "yarn");
  EXPECT_EQ(scaled({{"_CLASS_", "olmo_core.nn.rope.PIRoPEScalingConfig"},
                    {"attention_rescale_factor", 1.0},
                    {"factor", 4.0}})["rope_parameters"],
            Json({{"rope_type", "linear"},
                  {"factor", 4.0},
                  {"rope_theta", 500000.0}}));
  const Json llama3 = {
      {"rope_type", "llama3"},   {"rope_theta", 500000.0},
      {"factor", 32.0},          {"low_freq_factor", 1.0},
      {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 8192}};
  EXPECT_EQ(
      scaled(
          {{"_CLASS_",
            "olmo_core.nn.rope.StepwiseRoPEScalingConfig"}})["rope_parameters"],
      llama3);
  EXPECT_EQ(
      scaled({{"_CLASS_",
               "olmo_core.nn.rope.RoPEScalingConfig"}})["rope_parameters"],
      llama3);
  keys = scaled({{"_CLASS_", "olmo_core.nn.rope.ABFRoPEScalingConfig"},
                 {"new_theta", 8000000}});
  EXPECT_EQ(keys["rope_theta"], 8e6);
  EXPECT_FALSE(keys.contains("rope_parameters"));
}

// Without layer types, a scaling would be that of the full layers only.
TEST(OlmoCoreTest, ScalingOfAllLayersIsGivenByLayerTypeWhereSomeSlide) {
  Json root = Olmo3(2048, 16, 16, 8192);
  Attention(root)["rope"]["scaling"] = Yarn();
  const Json keys = KeysOf(root);
  EXPECT_EQ(keys["rope_parameters"][kSliding]["rope_type"], "yarn");
  EXPECT_EQ(keys["rope_parameters"][kSliding], keys["rope_parameters"][kFull]);
}

// OLMo-core cuts the ramp at half of what Hugging Face does.
TEST(OlmoCoreTest, AYarnThatHuggingFaceComputesOtherwiseIsRefused) {
  Json root = Olmo2(2048, 16, 16, 8192);
  Attention(root)["rope"]["theta"] = 1000;
  Attention(root)["rope"]["scaling"] = Yarn();
  files::ExpectError(Translate(root).status(), kUnsupported,
                     {"'model.block.sequence_mixer.rope.scaling.beta_slow'"});
}

TEST(OlmoCoreTest, WhatDoesNotChangeTheComputationIsIgnored) {
  Json root = Olmo2(2048, 16, 16, 8192);
  const Json keys = KeysOf(root);
  Model(root)["float8_config"] = {{"enabled", true}};
  Model(root)["compile"] = true;
  Model(root)["dp_config"] = {{"name", "hsdp"}};
  Model(root)["freeze_params"] = {"embeddings.*"};
  Model(root)["embed_scale"] = 1.0;
  Block(root)["dropout"] = 0.1;
  Block(root)["attention_residual_alpha"] = 1.0;
  Attention(root)["use_flash"] = true;
  Block(root)["layer_norm"]["name"] = "fused_rms";
  Model(root)["a_new_field"] = nullptr;
  EXPECT_EQ(KeysOf(root), keys);
}

TEST(OlmoCoreTest, NamedBlocksWithDeltaNetworksAreTheHybrid) {
  Json root = Hybrid();
  const Json expected = Json::parse(R"({
      "architectures": ["OlmoHybridForCausalLM"],
      "hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8,
      "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 128,
      "vocab_size": 100352, "rms_norm_eps": 1e-6, "rope_theta": 500000.0,
      "hidden_act": "silu", "attention_bias": false,
      "tie_word_embeddings": false, "linear_num_key_heads": 4,
      "linear_num_value_heads": 4, "linear_key_head_dim": 96,
      "linear_value_head_dim": 192, "linear_conv_kernel_dim": 4,
      "linear_allow_neg_eigval": true, "linear_norm_after": true,
      "layer_types": ["linear_attention", "linear_attention",
        "linear_attention", "full_attention", "linear_attention",
        "linear_attention", "linear_attention", "full_attention"]})");
  EXPECT_EQ(KeysOf(root), expected);
  // Norms before, as Hugging Face's class has them; no rotary positions.
  Model(root)["block"]["gdn"]["name"] = "default";
  Model(root)["block"]["attn"]["sequence_mixer"].erase("rope");
  const Json keys = KeysOf(root);
  EXPECT_EQ(keys["linear_norm_after"], false);
  EXPECT_TRUE(keys["rope_theta"].is_null());
}

TEST(OlmoCoreTest, NamedBlocksOfAttentionAloneMayDifferInTheirWindow) {
  Json root = Olmo2(512, 4, 4, 1376);
  const Json global = Block(root);
  Json local = global;
  local["sequence_mixer"]["sliding_window"] = {
      {"pattern", {64}},
      {"force_full_attention_on_first_layer", false},
      {"force_full_attention_on_last_layer", false}};
  Model(root)["block"] = {{"local", local}, {"global", global}};
  Model(root)["block_pattern"] = {"local", "global"};
  const Json keys = KeysOf(root);
  EXPECT_EQ(keys["architectures"][0], "Olmo3ForCausalLM");
  EXPECT_EQ(keys["sliding_window"], 64);
  EXPECT_EQ(keys["layer_types"], (Json{kSliding, kFull, kSliding, kFull}));
}

}  // namespace
}  // namespace sinkwatch::checkpoint

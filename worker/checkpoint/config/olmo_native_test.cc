// Whole `model:` parts as OLMo's trainer resolves them, and its defaults.
#include "worker/checkpoint/config/olmo_native.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

// Every field of ModelConfig, as a dump has them: OLMo 1's 1B.
Json Olmo1B() {
  return Json::parse(R"({
      "d_model": 2048, "n_heads": 16, "n_kv_heads": null, "clip_qkv": null,
      "n_layers": 16, "mlp_ratio": 8, "mlp_hidden_size": null,
      "activation_type": "swiglu", "block_type": "sequential",
      "block_group_size": 1, "alibi": false, "alibi_bias_max": 8.0,
      "rope": true, "rope_full_precision": true, "rope_theta": 10000,
      "flash_attention": true, "attention_dropout": 0.0,
      "multi_query_attention": false, "attention_layer_norm": false,
      "residual_dropout": 0.0, "embedding_dropout": 0.0,
      "embedding_layer_norm": false, "layer_norm_type": "default",
      "layer_norm_with_affine": false, "layer_norm_eps": 1e-05,
      "attention_layer_norm_with_affine": false, "max_sequence_length": 2048,
      "include_bias": false, "bias_for_layer_norm": false,
      "scale_logits": false, "vocab_size": 50280, "embedding_size": 50304,
      "weight_tying": true, "eos_token_id": 50279, "pad_token_id": 1,
      "init_device": "meta", "init_fn": "mitchell", "init_std": 0.02,
      "init_cutoff_factor": null, "precision": "amp_bf16",
      "scale_emb_init": false, "emb_init_std": null, "norm_after": false})");
}

Json Olmo7B() {
  Json model = Olmo1B();
  model.update(Json::parse(R"({"d_model": 4096, "n_heads": 32, "n_layers": 32,
                               "mlp_ratio": 4, "mlp_hidden_size": 22016,
                               "weight_tying": false})"));
  return model;
}

// The tiny ladder: RMSNorm with weights, before each sub-layer.
Json Olmo20M() {
  Json model = Olmo1B();
  model.update(Json::parse(R"({
      "d_model": 256, "n_heads": 8, "n_layers": 8, "mlp_ratio": 8,
      "layer_norm_type": "rms", "layer_norm_with_affine": true,
      "layer_norm_eps": 1e-06, "max_sequence_length": 4096,
      "weight_tying": false, "eos_token_id": 0})"));
  return model;
}

// OLMo 2's 1B as the first trainer wrote it.
Json Olmo2Of1B() {
  Json model = Olmo1B();
  model.update(Json::parse(R"({
      "rope_theta": 500000, "layer_norm_type": "rms",
      "layer_norm_with_affine": true, "layer_norm_eps": 1e-06,
      "attention_layer_norm": true, "attention_layer_norm_with_affine": true,
      "norm_after": true, "vocab_size": 100278, "embedding_size": 100352,
      "weight_tying": false, "max_sequence_length": 4096,
      "multi_query_attention": null})"));
  return model;
}

Json KeysOf(const Json& model) {
  absl::StatusOr<Json> keys = TranslateOlmoNative(model, "model");
  EXPECT_TRUE(keys.ok()) << keys.status();
  return keys.ok() ? *keys : Json();
}

absl::Status ErrorOf(const Json& model) {
  return TranslateOlmoNative(model, "model").status();
}

TEST(OlmoNativeTest, OneB) {
  EXPECT_EQ(KeysOf(Olmo1B()), Json::parse(R"({
      "architectures": ["OlmoForCausalLM"],
      "hidden_size": 2048, "intermediate_size": 8192,
      "num_hidden_layers": 16, "num_attention_heads": 16,
      "num_key_value_heads": 16, "vocab_size": 50304,
      "max_position_embeddings": 2048, "rope_theta": 10000.0,
      "hidden_act": "silu", "attention_bias": false,
      "tie_word_embeddings": true, "olmo.layer_norm_affine": false,
      "olmo.scale_logits": false})"));
}

// mlp_hidden_size counts the gate and the up projection.
TEST(OlmoNativeTest, SevenBHasHalfOfMlpHiddenSize) {
  const Json keys = KeysOf(Olmo7B());
  EXPECT_EQ(keys["intermediate_size"], 11008);
  EXPECT_EQ(keys["hidden_size"], 4096);
  EXPECT_EQ(keys["tie_word_embeddings"], false);
  EXPECT_FALSE(keys.contains("clip_qkv"));
}

TEST(OlmoNativeTest, LaterSevenBClips) {
  Json model = Olmo7B();
  model["clip_qkv"] = 8.0;
  model["max_sequence_length"] = 4096;
  EXPECT_EQ(KeysOf(model)["clip_qkv"], 8.0);
}

// OLMo-7B-Twin-2T is the 7B, trained on other hardware.
TEST(OlmoNativeTest, Twin) {
  Json model = Olmo7B();
  model["layer_norm_type"] = "low_precision";
  model["flash_attention"] = false;
  model["init_device"] = "cpu";
  EXPECT_EQ(KeysOf(model), KeysOf(Olmo7B()));
}

TEST(OlmoNativeTest, NormsWithWeightsAndScaledLogitsAreSaid) {
  Json model = Olmo1B();
  model["layer_norm_with_affine"] = true;
  model["scale_logits"] = true;
  const Json keys = KeysOf(model);
  EXPECT_EQ(keys["architectures"][0], "OlmoForCausalLM");
  EXPECT_EQ(keys["olmo.layer_norm_affine"], true);
  EXPECT_EQ(keys["olmo.scale_logits"], true);
}

TEST(OlmoNativeTest, RmsNormBeforeEachSubLayerIsLlama) {
  const Json keys = KeysOf(Olmo20M());
  EXPECT_EQ(keys, Json::parse(R"({
      "architectures": ["LlamaForCausalLM"],
      "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8,
      "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 50304,
      "max_position_embeddings": 4096, "rope_theta": 10000.0,
      "rms_norm_eps": 1e-06, "hidden_act": "silu", "attention_bias": false,
      "tie_word_embeddings": false})"));
}

TEST(OlmoNativeTest, RmsNormAfterEachSubLayerIsOlmo2) {
  const Json keys = KeysOf(Olmo2Of1B());
  EXPECT_EQ(keys["architectures"][0], "Olmo2ForCausalLM");
  EXPECT_EQ(keys["vocab_size"], 100352);
  EXPECT_EQ(keys["rope_theta"], 500000.0);
  EXPECT_EQ(keys["rms_norm_eps"], 1e-6);
  EXPECT_EQ(keys["intermediate_size"], 8192);
  EXPECT_EQ(keys["num_key_value_heads"], 16);
  EXPECT_FALSE(keys.contains("olmo.layer_norm_affine"));
}

// Each field left out of a config that says everything.
TEST(OlmoNativeTest, AbsentFieldsHaveTheTrainersDefaults) {
  const auto without = [](const char* key) {
    Json model = Olmo1B();
    model["layer_norm_with_affine"] = true;
    model["weight_tying"] = false;
    model.erase(key);
    return model;
  };
  EXPECT_EQ(KeysOf(without("d_model"))["hidden_size"], 768);
  EXPECT_EQ(KeysOf(without("n_layers"))["num_hidden_layers"], 12);
  EXPECT_EQ(KeysOf(without("mlp_ratio"))["intermediate_size"], 4096);
  EXPECT_EQ(KeysOf(without("rope_theta"))["rope_theta"], 10000.0);
  EXPECT_EQ(KeysOf(without("weight_tying"))["tie_word_embeddings"], true);
  EXPECT_EQ(KeysOf(without("embedding_size"))["vocab_size"], 50304);
  EXPECT_EQ(KeysOf(without("vocab_size"))["vocab_size"], 50304);
  EXPECT_EQ(KeysOf(without("layer_norm_with_affine"))["olmo.layer_norm_affine"],
            true);
  EXPECT_EQ(KeysOf(without("layer_norm_type"))["architectures"][0],
            "OlmoForCausalLM");
  EXPECT_EQ(KeysOf(without("scale_logits"))["olmo.scale_logits"], false);
  EXPECT_EQ(KeysOf(without("activation_type"))["hidden_act"], "silu");
  EXPECT_EQ(KeysOf(without("bias_for_layer_norm"))["olmo.layer_norm_affine"],
            true);
  EXPECT_FALSE(KeysOf(without("max_sequence_length"))
                   .contains("max_position_embeddings"));
  files::ExpectError(ErrorOf(without("n_heads")), kCorrupt,
                     {"'model.n_heads'", "multiple of 12"});
  files::ExpectError(ErrorOf(without("include_bias")), kUnsupported,
                     {"'model.include_bias'", "absent, which means true"});
  // Learned positions.
  files::ExpectError(ErrorOf(without("rope")), kUnsupported,
                     {"'model.rope'", "absent, which means false"});
}

TEST(OlmoNativeTest, NullEmbeddingSizeIsTheVocabularyNotTheDefault) {
  Json model = Olmo1B();
  model["embedding_size"] = nullptr;
  EXPECT_EQ(KeysOf(model)["vocab_size"], 50280);
  model["vocab_size"] = 1000;
  EXPECT_EQ(KeysOf(model)["vocab_size"], 1000);
  model.erase("embedding_size");
  EXPECT_EQ(KeysOf(model)["vocab_size"], 50304);
}

TEST(OlmoNativeTest, KeyValueHeadsFromEitherField) {
  const auto heads = [](const Json& counted, const Json& multi_query) {
    Json model = Olmo1B();
    model["n_kv_heads"] = counted;
    model["multi_query_attention"] = multi_query;
    return KeysOf(model)["num_key_value_heads"];
  };
  EXPECT_EQ(heads(nullptr, nullptr), 16);
  EXPECT_EQ(heads(nullptr, false), 16);
  EXPECT_EQ(heads(nullptr, true), 1);
  EXPECT_EQ(heads(4, nullptr), 4);
  EXPECT_EQ(heads(1, true), 1);
  EXPECT_EQ(heads(16, false), 16);
  Json model = Olmo1B();
  model["n_kv_heads"] = 4;
  files::ExpectError(
      ErrorOf(model), kCorrupt,
      {"'model.multi_query_attention'", "means 16", "n_kv_heads is 4"});
}

// An hf_olmo config.json has the model's fields at its root, among others.
TEST(OlmoNativeTest, HfOlmoIsTheSame) {
  Json config = Olmo7B();
  config.update(Json::parse(R"({
      "architectures": ["OLMoForCausalLM"], "model_type": "hf_olmo",
      "auto_map": {"AutoConfig": "configuration_olmo.OLMoConfig"},
      "transformers_version": "4.36.2", "torch_dtype": "float32",
      "use_cache": true})"));
  absl::StatusOr<Json> keys = TranslateOlmoNative(config, "");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(*keys, KeysOf(Olmo7B()));
  config["d_model"] = 4095;
  files::ExpectError(TranslateOlmoNative(config, "").status(), kCorrupt,
                     {"key 'n_heads'"});
}

struct BadModel {
  const char* name;
  std::function<void(Json&)> spoil;
  absl::StatusCode code;
  std::vector<std::string> words;
};

const std::vector<BadModel>& BadModels() {
  static const auto* cases = new std::vector<BadModel>{
      {"Alibi",
       [](Json& m) { m["alibi"] = true; },
       kUnsupported,
       {"'model.alibi'", "true"}},
      {"LearnedPositions",
       [](Json& m) { m["rope"] = false; },
       kUnsupported,
       {"'model.rope'", "false"}},
      {"LlamaBlock",
       [](Json& m) { m["block_type"] = "llama"; },
       kUnsupported,
       {"'model.block_type'", "'llama'"}},
      {"Moe",
       [](Json& m) { m["block_type"] = "moe"; },
       kUnsupported,
       {"'model.block_type'", "'moe'"}},
      {"GroupsOfBlocks",
       [](Json& m) { m["block_group_size"] = 3; },
       kUnsupported,
       {"'model.block_group_size'", "3"}},
      {"Biases",
       [](Json& m) { m["include_bias"] = true; },
       kUnsupported,
       {"'model.include_bias'", "true"}},
      {"BiasesOfNorms",
       [](Json& m) {
         m["layer_norm_with_affine"] = true;
         m["bias_for_layer_norm"] = true;
       },
       kUnsupported,
       {"'model.bias_for_layer_norm'"}},
      {"EmbeddingNorm",
       [](Json& m) { m["embedding_layer_norm"] = true; },
       kUnsupported,
       {"'model.embedding_layer_norm'"}},
      {"Gelu",
       [](Json& m) { m["activation_type"] = "gelu"; },
       kUnsupported,
       {"'model.activation_type'", "'gelu'"}},
      {"Relu",
       [](Json& m) { m["activation_type"] = "relu"; },
       kUnsupported,
       {"'model.activation_type'", "'relu'"}},
      {"UnknownNorm",
       [](Json& m) { m["layer_norm_type"] = "amd"; },
       kUnsupported,
       {"'model.layer_norm_type'", "'amd'"}},
      {"QkNormInOlmo1",
       [](Json& m) { m["attention_layer_norm"] = true; },
       kUnsupported,
       {"'model.attention_layer_norm'", "true"}},
      {"LayerNormAfter",
       [](Json& m) { m["norm_after"] = true; },
       kUnsupported,
       {"'model.norm_after'", "true"}},
      {"OtherEpsInOlmo1",
       [](Json& m) { m["layer_norm_eps"] = 1e-6; },
       kUnsupported,
       {"'model.layer_norm_eps'", "1e-06"}},
      {"RmsWithoutWeights",
       [](Json& m) {
         m = Olmo20M();
         m["layer_norm_with_affine"] = false;
       },
       kUnsupported,
       {"'model.layer_norm_with_affine'"}},
      {"RmsWithClip",
       [](Json& m) {
         m = Olmo20M();
         m["clip_qkv"] = 8.0;
       },
       kUnsupported,
       {"'model.clip_qkv'"}},
      {"RmsWithScaledLogits",
       [](Json& m) {
         m = Olmo20M();
         m["scale_logits"] = true;
       },
       kUnsupported,
       {"'model.scale_logits'"}},
      {"RmsBeforeWithQkNorm",
       [](Json& m) {
         m = Olmo20M();
         m["attention_layer_norm"] = true;
       },
       kUnsupported,
       {"'model.attention_layer_norm'", "true"}},
      {"Olmo2WithoutQkNorm",
       [](Json& m) {
         m = Olmo2Of1B();
         m.erase("attention_layer_norm");
       },
       kUnsupported,
       {"'model.attention_layer_norm'", "absent"}},
      {"Olmo2WithQkNormWithoutWeights",
       [](Json& m) {
         m = Olmo2Of1B();
         m["attention_layer_norm_with_affine"] = false;
       },
       kUnsupported,
       {"'model.attention_layer_norm_with_affine'"}},
      {"UnknownKey",
       [](Json& m) { m["attention_sink_bias"] = true; },
       kUnsupported,
       {"'model.attention_sink_bias'", "not known"}},
      {"OddSwiglu",
       [](Json& m) { m["mlp_hidden_size"] = 22017; },
       kCorrupt,
       {"'model.mlp_hidden_size'", "22017"}},
      {"FewerRowsThanIds",
       [](Json& m) { m["embedding_size"] = 50279; },
       kCorrupt,
       {"'model.embedding_size'", "50279", "50280"}},
      {"TextForWidth",
       [](Json& m) { m["d_model"] = "2048"; },
       kCorrupt,
       {"'model.d_model'", "integer"}},
      {"Interpolation",
       [](Json& m) { m["n_layers"] = "${layers}"; },
       kCorrupt,
       {"'model.n_layers'", "integer"}},
      {"NoHeads",
       [](Json& m) { m["n_heads"] = 0; },
       kCorrupt,
       {"'model.n_heads'", "[1, "}},
      {"ModelIsAList",
       [](Json& m) { m = Json::array(); },
       kCorrupt,
       {"'model'", "object"}},
  };
  return *cases;
}

class BadOlmoNativeTest : public ::testing::TestWithParam<BadModel> {};

TEST_P(BadOlmoNativeTest, IsRefusedWithKeyAndRule) {
  Json model = Olmo1B();
  GetParam().spoil(model);
  const absl::Status status = ErrorOf(model);
  EXPECT_EQ(status.code(), GetParam().code) << status;
  for (const std::string& word : GetParam().words) {
    files::ExpectError(status, GetParam().code, {word});
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadOlmoNativeTest,
                         ::testing::ValuesIn(BadModels()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sinkwatch::checkpoint

#include "worker/checkpoint/config/model_config.h"

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

constexpr char kHuggingFace[] =
    R"({"model_type": "llama", "hidden_size": 64, "rope_theta": 1e4})";

// As OmegaConf dumps the trainer's resolved config: block style, every field.
constexpr char kYaml[] = R"(run_name: OLMo2-1B-stage1
seed: 6198
epoch: null
dry_run: false
model:
  d_model: 2048
  n_heads: 16
  n_kv_heads: null
  clip_qkv: null
  n_layers: 16
  mlp_ratio: 8
  mlp_hidden_size: null
  activation_type: swiglu
  block_type: sequential
  block_group_size: 1
  alibi: false
  alibi_bias_max: 8.0
  rope: true
  rope_full_precision: true
  rope_theta: 500000
  flash_attention: true
  attention_dropout: 0.0
  multi_query_attention: null
  attention_layer_norm: true
  residual_dropout: 0.0
  embedding_dropout: 0.0
  embedding_layer_norm: false
  layer_norm_type: rms
  layer_norm_with_affine: true
  layer_norm_eps: 1.0e-06
  attention_layer_norm_with_affine: true
  max_sequence_length: 4096
  include_bias: false
  bias_for_layer_norm: false
  scale_logits: false
  vocab_size: 100278
  embedding_size: 100352
  weight_tying: false
  eos_token_id: 100257
  pad_token_id: 100277
  init_device: meta
  init_fn: normal
  init_std: 0.02
  init_cutoff_factor: 3.0
  precision: amp_bf16
  scale_emb_init: false
  emb_init_std: null
  norm_after: true
optimizer:
  name: adamw
  learning_rate: 0.0004
  betas:
  - 0.9
  - 0.95
  eps: 1.0e-08
tokenizer:
  identifier: tokenizers/allenai_dolma2.json
  truncate_direction: right
data:
  paths:
  - s3://ai2-llm/preprocessed/part-000-00000.npy
  - s3://ai2-llm/preprocessed/part-001-00000.npy
  datasets: null
wandb: null
)";

std::string Architecture(const absl::StatusOr<Config>& config) {
  EXPECT_TRUE(config.ok()) << config.status();
  if (!config.ok()) return "";
  return config->json().at("architectures").at(0).get<std::string>();
}

TEST(ModelConfigTest, AHuggingFaceConfigIsTakenAsItIs) {
  auto config = ParseModelConfig("config.json", kHuggingFace);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path(), "config.json");
  EXPECT_EQ(config->json(), Json::parse(kHuggingFace));
  // A config of ours may have a `model` key too: model_type decides.
  constexpr char kWithModel[] = R"({"model_type": "llama", "model": {}})";
  config = ParseModelConfig("config.json", kWithModel);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->json(), Json::parse(kWithModel));
}

TEST(ModelConfigTest, AWholeYamlIsRead) {
  auto config = ParseModelConfig("step1/config.yaml", kYaml);
  EXPECT_EQ(Architecture(config), "Olmo2ForCausalLM");
  EXPECT_EQ(config->path(), "step1/config.yaml (keys translated from OLMo)");
  EXPECT_EQ(config->json()["rms_norm_eps"], 1e-6);
  EXPECT_EQ(config->json()["vocab_size"], 100352);
  EXPECT_EQ(config->json()["intermediate_size"], 8192);
  // As people write it by hand.
  std::string text = kYaml;
  text.replace(text.find("1.0e-06"), 7, "1e-6");
  EXPECT_EQ(ParseModelConfig("c.yaml", text)->json(), config->json());
}

// Most prefixes of a dump are good YAML, whose missing fields would silently
// become the trainer's defaults.
TEST(ModelConfigTest, NoPrefixOfAYamlWithinItsModelIsBelieved) {
  const std::string text = kYaml;
  const size_t after_model = text.find("optimizer:");
  for (size_t size = 0; size <= after_model; ++size) {
    const absl::Status status =
        ParseModelConfig("c.yaml", text.substr(0, size)).status();
    EXPECT_EQ(status.code(), kIncomplete) << size << ": " << status;
  }
  files::ExpectError(
      ParseModelConfig("c.yaml", text.substr(0, after_model)).status(),
      kIncomplete, {"c.yaml", "within key 'model'"});
}

TEST(ModelConfigTest, YamlErrorsNameTheFileAndTheRule) {
  files::ExpectError(ParseModelConfig("c.yaml", "model: *x\n").status(),
                     kCorrupt, {"c.yaml: line 1"});
  files::ExpectError(
      ParseModelConfig("c.yaml", "model: 1\nmodel: 2\n").status(), kCorrupt,
      {"c.yaml", "'model'", "second time"});
  files::ExpectError(ParseModelConfig("c.yaml", "model: [1\n").status(),
                     kIncomplete, {"c.yaml"});
  files::ExpectError(
      ParseModelConfig(
          "c.yml", "model: {include_bias: false, rope: true, d_model: wide}\n")
          .status(),
      kCorrupt, {"c.yml: key 'model.d_model'", "integer"});
  files::ExpectError(ParseModelConfig("c.yaml", "model: 7\n").status(),
                     kCorrupt, {"c.yaml: key 'model'", "object"});
  std::string deep = "model: " + std::string(40, '[') + std::string(40, ']');
  files::ExpectError(ParseModelConfig("c.yaml", deep + "\n").status(),
                     kUnsupported, {"c.yaml", "32 levels"});
}

TEST(ModelConfigTest, HfOlmoIsToldFromOlmoByItsFields) {
  const std::string fields =
      R"("d_model": 64, "n_heads": 4, "n_layers": 2, "rope": true,
         "include_bias": false, "layer_norm_with_affine": false,
         "weight_tying": false, "architectures": ["OLMoModelForCausalLM"])";
  const std::string now = "{\"model_type\": \"hf_olmo\", " + fields + "}";
  const std::string at_first = "{\"model_type\": \"olmo\", " + fields + "}";
  auto config = ParseModelConfig("c.json", now);
  EXPECT_EQ(Architecture(config), "OlmoForCausalLM");
  EXPECT_EQ(config->path(), "c.json (keys translated from hf_olmo)");
  EXPECT_EQ(config->json()["hidden_size"], 64);
  EXPECT_EQ(ParseModelConfig("c.json", at_first)->json(), config->json());
  // Hugging Face's own class.
  const char own[] = R"({"model_type": "olmo", "hidden_size": 64})";
  EXPECT_EQ(ParseModelConfig("c.json", own)->path(), "c.json");
}

TEST(ModelConfigTest, MetaParamsAreLlama) {
  // Llama 3 8B.
  auto config = ParseModelConfig("params.json", R"({
      "dim": 4096, "ffn_dim_multiplier": 1.3, "multiple_of": 1024,
      "n_heads": 32, "n_kv_heads": 8, "n_layers": 32, "norm_eps": 1e-05,
      "rope_theta": 500000.0, "vocab_size": 128256})");
  EXPECT_EQ(Architecture(config), "LlamaForCausalLM");
  EXPECT_EQ(config->json()["intermediate_size"], 14336);
  EXPECT_EQ(config->json()["num_key_value_heads"], 8);
  EXPECT_EQ(config->json()["rope_theta"], 500000.0);
  // Llama 2 7B, with the tokenizer's size written in.
  config = ParseModelConfig("params.json", R"({
      "dim": 4096, "multiple_of": 256, "n_heads": 32, "n_layers": 32,
      "norm_eps": 1e-06, "vocab_size": 32000})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->json()["intermediate_size"], 11008);
  EXPECT_EQ(config->json()["num_key_value_heads"], 32);
  EXPECT_EQ(config->json()["rope_theta"], 10000.0);
  const std::string shape = R"({"dim": 64, "n_heads": 4, "n_layers": 2, )";
  files::ExpectError(
      ParseModelConfig("p.json", shape + R"("vocab_size": -1})").status(),
      kUnsupported, {"p.json: key 'vocab_size'", "tokenizer"});
  files::ExpectError(ParseModelConfig("p.json", shape + R"("vocab_size": 9,
                                   "use_scaled_rope": true})")
                         .status(),
                     kUnsupported, {"'use_scaled_rope'"});
  files::ExpectError(
      ParseModelConfig("p.json", shape + R"("vocab_size": 9, "tied": true})")
          .status(),
      kUnsupported, {"'tied'", "not known"});
}

TEST(ModelConfigTest, TheFirstFileThatIsThereCounts) {
  base::TempFolder temp;
  files::ExpectError(ReadModelConfig(temp.path(), "").status(), kIncomplete,
                     {temp.path(), "config.json missing"});
  files::WriteFile(
      temp / "params.json",
      R"({"dim": 64, "n_heads": 4, "n_layers": 2, "vocab_size": 9})");
  EXPECT_EQ(Architecture(ReadModelConfig(temp.path(), "")), "LlamaForCausalLM");
  files::WriteFile(temp / "config.yaml", kYaml);
  EXPECT_EQ(Architecture(ReadModelConfig(temp.path(), "")), "Olmo2ForCausalLM");
  files::WriteFile(temp / "config.json", kHuggingFace);
  EXPECT_EQ(ReadModelConfig(temp.path(), "")->path(), temp / "config.json");
  // Half-written, it is waited for; the other files do not step in.
  files::WriteFile(temp / "config.json", "");
  files::ExpectError(ReadModelConfig(temp.path(), "").status(), kIncomplete,
                     {"config.json", "empty"});
}

TEST(ModelConfigTest, AnOperatorsFileReplacesThem) {
  base::TempFolder temp, elsewhere;
  files::WriteFile(temp / "config.json", "{");
  files::WriteFile(elsewhere / "mine.yaml", kYaml);
  const std::string real = std::filesystem::canonical(temp.path());
  EXPECT_EQ(
      Architecture(ReadModelConfig(temp.path(), real, elsewhere / "mine.yaml")),
      "Olmo2ForCausalLM");
  files::ExpectError(
      ReadModelConfig(temp.path(), real, elsewhere / "gone.json").status(),
      kIncomplete, {"gone.json"});
}

TEST(ModelConfigTest, ALinkOutOfTheFolderIsRefused) {
  base::TempFolder temp, elsewhere;
  files::WriteFile(elsewhere / "config.json", kHuggingFace);
  std::filesystem::create_symlink(elsewhere / "config.json",
                                  temp / "config.json");
  const std::string real = std::filesystem::canonical(temp.path());
  files::ExpectError(ReadModelConfig(temp.path(), real).status(), kUnsupported,
                     {"config.json", "outside of"});
  EXPECT_TRUE(ReadModelConfig(temp.path(), "").ok());
}

// As google/gemma-3-4b-it has it: what is not said is the class's default.
constexpr char kWithImages[] = R"({
  "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
  "mm_tokens_per_image": 256, "vision_config": {"hidden_size": 1152},
  "text_config": {"hidden_size": 2560, "intermediate_size": 10240,
    "model_type": "gemma3_text", "num_hidden_layers": 34,
    "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
    "sliding_window": 1024}})";

TEST(ModelConfigTest, OfAModelOfTextAndImagesTheTextsConfigIsTaken) {
  const auto config = ParseModelConfig("config.json", kWithImages);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path(), "config.json (keys translated from text_config)");
  EXPECT_EQ(config->json(), Json::parse(R"({
      "hidden_size": 2560, "intermediate_size": 10240,
      "model_type": "gemma3_text", "num_hidden_layers": 34,
      "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
      "sliding_window": 1024, "tie_word_embeddings": true,
      "vocab_size": 262208, "num_attention_heads": 8,
      "num_key_value_heads": 4, "head_dim": 256,
      "max_position_embeddings": 131072})"));
}

TEST(ModelConfigTest, WhatTheOuterConfigSaysCountsForTheText) {
  Json root = Json::parse(kWithImages);
  root["tie_word_embeddings"] = false;
  root["quantization_config"] = {{"quant_method", "fp8"}};
  root["text_config"]["architectures"] = {"Gemma3ForCausalLM"};
  const auto config = ParseModelConfig("config.json", root.dump());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->json()["tie_word_embeddings"], false);
  EXPECT_TRUE(config->Has("quantization_config"));
  EXPECT_FALSE(config->Has("architectures"));
}

// Which only the model of text alone looks at.
TEST(ModelConfigTest, TheCapOfGemma3sLogitsIsNoneBesideImages) {
  Json root = Json::parse(kWithImages);
  root["text_config"]["final_logit_softcapping"] = 30.0;
  const auto config = ParseModelConfig("config.json", root.dump());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->Has("final_logit_softcapping"));
}

TEST(ModelConfigTest, ATextConfigOfUnknownModelsIsRefusedByName) {
  Json root = Json::parse(kWithImages);
  root["model_type"] = "paligemma";
  files::ExpectError(ParseModelConfig("config.json", root.dump()).status(),
                     kUnsupported, {"config.json", "'paligemma'", "gemma3"});
  root = Json::parse(kWithImages);
  root["text_config"]["rope_theta"] = "@";
  std::string text = root.dump();
  text.replace(text.find("\"@\""), 3, "NaN");
  const auto config = ParseModelConfig("config.json", text);
  ASSERT_TRUE(config.ok());  // and no theta, for whoever asks for it
  EXPECT_TRUE(config->json()["rope_theta"].is_number_float());
}

TEST(ModelConfigTest, NanochatsMetaFileIsTranslated) {
  constexpr char kMeta[] = R"({"step": 650, "val_bpb": 0.8, "model_config": {
      "sequence_len": 2048, "vocab_size": 65536, "n_layer": 20, "n_head": 10,
      "n_kv_head": 10, "n_embd": 1280}, "user_config": {"run": "d20"}})";
  auto config = ParseModelConfig("meta_000650.json", kMeta);
  EXPECT_EQ(Architecture(config), "NanoChatForCausalLM");
  EXPECT_EQ(config->json()["intermediate_size"], 5120);
  EXPECT_TRUE(config->Has("every_tensor_is_used"));
  Json later = Json::parse(kMeta);
  later["model_config"]["window_pattern"] = "SSSL";
  files::ExpectError(ParseModelConfig("meta.json", later.dump()).status(),
                     kUnsupported,
                     {"meta.json", "'model_config.window_pattern'", "SSSL"});
  later["model_config"]["window_pattern"] = "L";
  later["model_config"]["n_loops"] = 2;
  files::ExpectError(ParseModelConfig("meta.json", later.dump()).status(),
                     kUnsupported, {"'model_config.n_loops'"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint

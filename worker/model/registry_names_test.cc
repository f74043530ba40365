// Which architecture a config means, by its names.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/registry.h"
#include "worker/model/registry_testing.h"

namespace sinkwatch::model {
namespace {

TEST(RegistryNamesTest, UnknownArchitectureIsUnimplementedWithTheKnownOnes) {
  const absl::Status status = Create(ConfigOf("NewForCausalLM")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  const std::string message(status.message());
  EXPECT_NE(message.find("NewForCausalLM"), std::string::npos) << message;
  EXPECT_NE(message.find("LlamaForCausalLM"), std::string::npos) << message;
  EXPECT_NE(message.find(kFile), std::string::npos) << message;
}

TEST(RegistryNamesTest, NamesAreInOrderAndDifferent) {
  const std::vector<std::string> names = ArchitectureNames();
  for (size_t i = 1; i < names.size(); ++i) EXPECT_LT(names[i - 1], names[i]);
}

// A config without `architectures` of the type.
nlohmann::json ConfigOfType(const std::string& model_type,
                            const std::string& architecture) {
  nlohmann::json config = ConfigOf(architecture);
  config.erase("architectures");
  config["model_type"] = model_type;
  config.update({{"n_embd", 16},
                 {"n_layer", 2},
                 {"n_head", 4},
                 {"n_positions", 64}});  // GPT-2's names
  return config;
}

TEST(RegistryNamesTest, EveryNameIsAlsoFoundByItsModelType) {
  const std::pair<const char*, const char*> types[] = {
      {"apertus", "ApertusForCausalLM"},
      {"bigram_backcopy", "BigramBackcopyForCausalLM"},
      {"deepseek_v2", "DeepseekV2ForCausalLM"},
      {"deepseek_v3", "DeepseekV3ForCausalLM"},
      {"gemma2", "Gemma2ForCausalLM"},
      {"gemma3_text", "Gemma3ForCausalLM"},
      {"gpt2", "GPT2LMHeadModel"},
      {"gpt_neox", "GPTNeoXForCausalLM"},
      {"gpt_oss", "GptOssForCausalLM"},
      {"llama", "LlamaForCausalLM"},
      {"ministral", "MinistralForCausalLM"},
      {"mistral", "MistralForCausalLM"},
      {"mixtral", "MixtralForCausalLM"},
      {"nanochat", "NanoChatForCausalLM"},
      {"olmo", "OlmoForCausalLM"},
      {"olmo2", "Olmo2ForCausalLM"},
      {"olmo3", "Olmo3ForCausalLM"},
      {"olmo_hybrid", "OlmoHybridForCausalLM"},
      {"olmoe", "OlmoeForCausalLM"},
      {"qwen2", "Qwen2ForCausalLM"},
      {"qwen3", "Qwen3ForCausalLM"},
      {"qwen3_moe", "Qwen3MoeForCausalLM"},
      {"qwen3_5_moe_text", "Qwen3_5MoeForCausalLM"},
      {"qwen3_5_text", "Qwen3_5ForCausalLM"},
      {"qwen3_next", "Qwen3NextForCausalLM"},
      {"smollm3", "SmolLM3ForCausalLM"}};
  std::set<std::string> found;
  for (const auto& [type, name] : types) {
    const auto architecture = Create(ConfigOfType(type, name));
    ASSERT_TRUE(architecture.ok()) << type << ": " << architecture.status();
    EXPECT_EQ((*architecture)->shape().architecture, name);
    found.insert(name);
  }
  const std::vector<std::string> names = ArchitectureNames();
  EXPECT_EQ(found, std::set<std::string>(names.begin(), names.end()));
}

// As transformers 5.24's AutoModelForCausalLM, which never looks at
// `architectures`.
TEST(RegistryNamesTest, TheModelTypeCountsWhereTwoKnownNamesDisagree) {
  nlohmann::json config = ConfigOf("Olmo2ForCausalLM");
  config["model_type"] = "olmo3";
  EXPECT_EQ((*Create(config))->shape().architecture, "Olmo3ForCausalLM");
  config["model_type"] = "llama";
  EXPECT_EQ((*Create(config))->shape().architecture, "LlamaForCausalLM");
  for (const nlohmann::json& none :
       {nlohmann::json(), nlohmann::json::array()}) {
    config["architectures"] = none;
    EXPECT_EQ((*Create(config))->shape().architecture, "LlamaForCausalLM");
  }
}

TEST(RegistryNamesTest, TwoNamesOfWhichOneIsNotKnownAreRefusedWithBoth) {
  const std::pair<const char*, const char*> pairs[] = {
      {"LlamaForCausalLM", "mamba"},
      {"NewForCausalLM", "llama"},
      {"LlamaForSequenceClassification", "llama"},
      {"NewForCausalLM", "new"}};
  for (const auto& [name, type] : pairs) {
    nlohmann::json config = ConfigOf(name);
    config["model_type"] = type;
    const absl::Status status = Create(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    for (const char* word : {name, type, kFile}) {
      EXPECT_NE(status.message().find(word), std::string::npos) << status;
    }
  }
}

// With code in the folder the class of `architectures` is that code's.
TEST(RegistryNamesTest, TwoNamesBesideCodeOfItsOwnAreRefused) {
  nlohmann::json config = ConfigOf("MistralForCausalLM");
  config["model_type"] = "llama";
  config["auto_map"] = {{"AutoModelForCausalLM", "code.MistralForCausalLM"}};
  ExpectRefused(config, "model_type", "llama",
                absl::StatusCode::kUnimplemented);
  config["model_type"] = "mistral";
  EXPECT_TRUE(Create(config).ok());
}

TEST(RegistryNamesTest, NamesFromBeforeTheReleaseAreThoseOfTheFamily) {
  struct Old {
    const char* name;
    const char* model_type;
    const char* released;
  };
  const Old olds[] = {
      {"Olmo1124ForCausalLM", "olmo_1124", "Olmo2ForCausalLM"},
      {"Olmo2RetrofitForCausalLM", "olmo2-retrofit", "Olmo3ForCausalLM"},
      {"SwissAIForCausalLM", "swissai", "ApertusForCausalLM"}};
  for (const Old& old : olds) {
    nlohmann::json config = ConfigOf(old.released);
    config["architectures"] = {old.name};
    EXPECT_EQ((*Create(config))->shape().architecture, old.released);
    config["model_type"] = old.model_type;
    EXPECT_EQ((*Create(config))->shape().architecture, old.released);
    config.erase("architectures");
    EXPECT_EQ((*Create(config))->shape().architecture, old.released);
  }
}

TEST(RegistryNamesTest, AnArchitectureThatNobodyNamesIsUnsupported) {
  nlohmann::json config = ConfigOf("LlamaForCausalLM");
  config.erase("architectures");
  const absl::Status nameless = Create(config).status();
  EXPECT_EQ(nameless.code(), absl::StatusCode::kUnimplemented);
  for (const char* word : {kFile, "'architectures'", "'model_type'"}) {
    EXPECT_NE(nameless.message().find(word), std::string::npos) << nameless;
  }
  ExpectRefused(config, "model_type", "mamba",
                absl::StatusCode::kUnimplemented);
  config["model_type"] = "mamba";
  EXPECT_NE(Create(config).status().message().find("'mamba'"),
            std::string::npos);
  for (const nlohmann::json& value :
       {nlohmann::json("Llama"), nlohmann::json::array({1})}) {
    ExpectRefused(config, "architectures", value, absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace sinkwatch::model

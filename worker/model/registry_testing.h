// Small configs for the tests of the registry.
#ifndef SINKWATCH_WORKER_MODEL_REGISTRY_TESTING_H_
#define SINKWATCH_WORKER_MODEL_REGISTRY_TESTING_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/config/config.h"
#include "worker/model/architecture.h"
#include "worker/model/registry.h"

namespace sinkwatch::model {

inline constexpr char kFile[] = "run/step5/config.json";

// A small config of the architecture, with the keys that it must have.
inline nlohmann::json ConfigOf(const std::string& architecture) {
  nlohmann::json config = {
      {"architectures", {architecture}}, {"hidden_size", 16},
      {"intermediate_size", 24},         {"num_hidden_layers", 2},
      {"num_attention_heads", 4},        {"vocab_size", 32},
      {"num_key_value_heads", nullptr},  {"head_dim", nullptr},
      {"max_position_embeddings", 64},   {"num_experts_per_tok", 2}};
  for (const char* mixed :
       {"OlmoeForCausalLM", "Qwen3MoeForCausalLM", "Qwen3NextForCausalLM",
        "MixtralForCausalLM", "Qwen3_5MoeForCausalLM", "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM"}) {
    if (architecture == mixed) config["num_experts"] = 4;
  }
  if (architecture.rfind("Deepseek", 0) == 0) {
    config.erase("head_dim");  // there the width of the rotated part
    config.update({{"n_shared_experts", 1},
                   {"moe_intermediate_size", 8},
                   {"n_group", 2},
                   {"topk_group", 1}});
  }
  if (architecture == "ApertusForCausalLM") {
    config["rope_parameters"] = {{"rope_theta", 500.0}};
  }
  if (architecture == "GptOssForCausalLM") {
    config["num_local_experts"] = 4;
    config["rope_parameters"] = {{"rope_type", "default"}};
    config["sliding_window"] = 8;  // of layer 0, not 1
  }
  // A quarter of a head of 4 would be one element.
  if (architecture == "GPTNeoXForCausalLM") config["rotary_pct"] = 0.5;
  if (architecture == "Qwen3NextForCausalLM" ||
      architecture.rfind("Qwen3_5", 0) == 0) {
    config["partial_rotary_factor"] = 0.5;
  }
  return config;
}

inline absl::StatusOr<std::unique_ptr<Architecture>> Create(
    const nlohmann::json& json) {
  const auto config = checkpoint::Config::Parse(kFile, json.dump());
  if (!config.ok()) return config.status();
  return CreateArchitecture(*config);
}

// The config with `key` set to `value` is refused, by file and key.
inline void ExpectRefused(const nlohmann::json& base, const std::string& key,
                          const nlohmann::json& value, absl::StatusCode code) {
  nlohmann::json config = base;
  config[key] = value;
  const absl::Status status = Create(config).status();
  EXPECT_EQ(status.code(), code) << key << ": " << status.ToString();
  const std::string message(status.message());
  EXPECT_NE(message.find(kFile), std::string::npos) << message;
  EXPECT_NE(message.find(key), std::string::npos) << message;
}

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_REGISTRY_TESTING_H_

// config.json of every trainer, and what is made of it for a model to read:
// translated keys, or the file's own.
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/config/model_config.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::Config;

bool IsOf(const Config& config, absl::string_view trainer) {
  return absl::StrContains(config.path(), trainer);
}

void ExpectTextConfig(const nlohmann::json& keys) {
  Expect(keys.at("model_type").is_string(), "a text model has a type");
  Expect(keys.at("tie_word_embeddings").is_boolean(),
         "whether it is tied is known");
  Expect(!keys.contains("architectures"),
         "an outer name does not count for the text");
}

void ExpectHybrid(const nlohmann::json& keys) {
  if (keys.at("architectures").at(0) != "OlmoHybridForCausalLM") return;
  Expect(keys.at("layer_types").size() == keys.at("num_hidden_layers"),
         "each layer has its type");
  Expect(keys.at("linear_value_head_dim").get<int64_t>() > 0 &&
             keys.at("linear_key_head_dim").get<int64_t>() > 0,
         "delta networks have a width");
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto config =
      checkpoint::ParseModelConfig("config.json", std::string(input));
  if (!config.ok()) return config.status();
  const nlohmann::json& keys = config->json();
  Expect(keys.is_object(), "keys are an object");
  if (IsOf(*config, "from text_config")) ExpectTextConfig(keys);
  if (IsOf(*config, "from OLMo-core")) ExpectHybrid(keys);
  if (IsOf(*config, "from nanochat")) {
    Expect(keys.at("every_tensor_is_used") == true &&
               keys.at("intermediate_size") ==
                   4 * keys.at("hidden_size").get<int64_t>(),
           "nanochat's keys are whole");
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz

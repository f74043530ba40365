#include "worker/examples/bigram_backcopy/preset.h"

#include "absl/strings/str_cat.h"
#include "worker/examples/bigram_backcopy/task.h"

namespace sinkwatch::bigram_backcopy {
namespace {

using nlohmann::json;

json ToyConfig(int layers, const std::string& kind) {
  return {{"architectures", {"BigramBackcopyForCausalLM"}},
          {"model_type", "bigram_backcopy"},
          {"hidden_size", 48},
          {"intermediate_size", 192},
          {"num_hidden_layers", layers},
          {"num_attention_heads", 1},
          {"vocab_size", kVocabulary},
          {"max_position_embeddings", kLength},
          {"layer_norm_eps", 1e-5},
          {"attention_kind", kind},
          {"layer_attention", json::array()},
          {"layer_mlp", json::array()},
          {"tie_word_embeddings", false},
          {"bos_token_id", kBos}};
}

// Attention in the layers before the last, an MLP in all of them.
json DeepConfig() {
  json config = ToyConfig(3, "softmax");
  config["layer_attention"] = {true, true, false};
  config["layer_mlp"] = {true, true, true};
  return config;
}

json AllLayersConfig(int layers, const std::string& kind) {
  json config = ToyConfig(layers, kind);
  config["layer_attention"] = std::vector<bool>(layers, true);
  config["layer_mlp"] = std::vector<bool>(layers, true);
  return config;
}

json FourHeads() {
  json config = AllLayersConfig(1, "softmax");
  config["num_attention_heads"] = 4;
  return config;
}

json OlmoConfig() {
  return {{"architectures", {"OlmoForCausalLM"}},
          {"model_type", "olmo"},
          {"hidden_size", 48},
          {"intermediate_size", 128},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 1},
          {"vocab_size", kVocabulary},
          {"max_position_embeddings", kLength},
          {"rope_theta", 10000.0},
          {"attention_bias", false},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false},
          {"bos_token_id", kBos}};
}

// Six experts of which a token goes through two, and nothing that evens them
// out.
json MixtureConfig() {
  return {{"architectures", {"OlmoeForCausalLM"}},
          {"model_type", "olmoe"},
          {"hidden_size", 48},
          {"intermediate_size", 24},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 1},
          {"num_experts", 6},
          {"num_experts_per_tok", 2},
          {"norm_topk_prob", false},
          {"vocab_size", kVocabulary},
          {"max_position_embeddings", kLength},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"attention_bias", false},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false},
          {"bos_token_id", kBos}};
}

const std::vector<int64_t> kGrid = {0,   5,   10,  20,  40,  60,
                                    80,  100, 130, 160, 200, 250,
                                    300, 400, 500, 600, 700, 800};
const std::vector<int64_t> kDeepGrid = {0,   50,  100,  200,  300, 500,
                                        700, 900, 1100, 1300, 1500};
const std::vector<int64_t> kLongGrid = {0,   50,  100,  200,  300,  500,
                                        700, 900, 1200, 1500, 1800, 2000};
const std::vector<int64_t> kOlmoGrid = {0,   5,   10,  20,  40,  60,  80,  100,
                                        130, 160, 200, 250, 300, 400, 500, 600};

}  // namespace

const std::vector<Preset>& Presets() {
  static const auto* const kPresets = new std::vector<Preset>{
      {"adam", "one layer, AdamW: sink and value drain emerge, log-t growth",
       AllLayersConfig(1, "softmax"), "adamw", 3e-3, 800, 0, false, kGrid},
      {"relu", "one layer, ReLU attention: the task is solved without a sink",
       AllLayersConfig(1, "relu"), "adamw", 3e-3, 800, 0, false, kGrid},
      {"adam4", "four heads that share the task: none of them is needed alone",
       FourHeads(), "adamw", 3e-3, 800, 0, false, kGrid},
      {"nobos", "sequences without <s>: the sinks are tokens, not a position",
       AllLayersConfig(1, "softmax"), "adamw", 3e-3, 800, 0, false, kGrid,
       false},
      {"sgd", "one layer, SGD: the sink comes without AdamW as well",
       AllLayersConfig(1, "softmax"), "sgd", 0.1, 1500, 0, false, kDeepGrid},
      {"adam2", "two layers, AdamW: the sink emerges in both or in one",
       AllLayersConfig(2, "softmax"), "adamw", 3e-3, 1500, 0, false, kDeepGrid},
      {"relu3", "three layers, ReLU attention: the residual norm of <s> stays",
       AllLayersConfig(3, "relu"), "adamw", 3e-4, 2000, 0, false, kLongGrid},
      {"softmax3", "the same with softmax attention, to lay beside it",
       AllLayersConfig(3, "softmax"), "adamw", 3e-4, 2000, 0, false, kLongGrid},
      {"adam3", "three layers, AdamW: the residual norm of <s> grows linearly",
       DeepConfig(), "adamw", 3e-3, 1500, 0, false, kDeepGrid},
      {"sgd3", "three layers, SGD: the residual norm of <s> stays",
       DeepConfig(), "sgd", 0.1, 1500, 0, false, kDeepGrid},
      {"olmo",
       "two layers of OLMo's shape: RoPE, SwiGLU, LayerNorm of no weight",
       OlmoConfig(), "adamw", 1e-2, 600, 50, true, kOlmoGrid},
      {"moe",
       "two layers of OLMoE's shape: a mixture of six experts, two chosen",
       MixtureConfig(), "adamw", 1e-2, 600, 50, true, kOlmoGrid},
  };
  return *kPresets;
}

absl::StatusOr<Preset> FindPreset(const std::string& name) {
  std::string known;
  for (const Preset& preset : Presets()) {
    if (preset.name == name) return preset;
    absl::StrAppend(&known, known.empty() ? "" : ", ", preset.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--preset=", name, " is none of ", known));
}

}  // namespace sinkwatch::bigram_backcopy

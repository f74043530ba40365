#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_TESTING_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_TESTING_H_

#include <string>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/config/model_config.h"

// Whole configs as OLMo-core's ConfigSaverCallback writes them: every object
// names its class, fields that are None are absent, all others are spelled out.
namespace sinkwatch::checkpoint {

using Json = nlohmann::json;

inline constexpr char kPath[] = "run/step1000/config.json";
inline constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
inline constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

inline Json Norm(double eps) {
  return {{"name", "rms"},
          {"eps", eps},
          {"bias", false},
          {"dtype", "float32"},
          {"_CLASS_", "olmo_core.nn.layer_norm.LayerNormConfig"}};
}

// OLMo 2 of the given size: the 1B is (2048, 16, 16, 8192), the 7B
// (4096, 32, 32, 11008).
inline Json Olmo2(int width, int layers, int heads, int hidden) {
  Json attention = {{"name", "default"},
                    {"n_heads", heads},
                    {"bias", false},
                    {"rope",
                     {{"name", "default"},
                      {"theta", 500000},
                      {"full_precision", true},
                      {"no_global_rope", false},
                      {"partial_rotary_factor", 1.0},
                      {"_CLASS_", "olmo_core.nn.rope.RoPEConfig"}}},
                    {"qk_norm", Norm(1e-6)},
                    {"use_head_qk_norm", false},
                    {"backend", "flash_2"},
                    {"dtype", "float32"},
                    {"type", "attention"},
                    {"_CLASS_", "olmo_core.nn.attention.AttentionConfig"}};
  Json block = {
      {"name", "reordered_norm"},
      {"sequence_mixer", attention},
      {"layer_norm", Norm(1e-6)},
      {"feed_forward",
       {{"hidden_size", hidden},
        {"name", "default"},
        {"bias", false},
        {"dtype", "float32"},
        {"activation", "silu"},
        {"_CLASS_", "olmo_core.nn.feed_forward.FeedForwardConfig"}}},
      {"_CLASS_", "olmo_core.nn.transformer.config.TransformerBlockConfig"}};
  Json model = {
      {"d_model", width},
      {"vocab_size", 100352},
      {"n_layers", layers},
      {"block", block},
      {"lm_head",
       {{"name", "default"},
        {"layer_norm", Norm(1e-6)},
        {"bias", false},
        {"dtype", "float32"},
        {"loss_implementation", "default"},
        {"_CLASS_", "olmo_core.nn.lm_head.LMHeadConfig"}}},
      {"name", "default"},
      {"dtype", "float32"},
      {"init_method", "normal"},
      {"init_seed", 0},
      {"init_std", 0.02},
      {"tie_word_embeddings", false},
      {"_CLASS_", "olmo_core.nn.transformer.config.TransformerConfig"}};
  return {{"model", model},
          {"run_name", "peteish"},
          {"dataset",
           {{"tokenizer", {{"vocab_size", 100278}, {"eos_token_id", 100257}}}}},
          {"train_module", {{"max_sequence_length", 4096}}},
          {"_CLASS_", "olmo_core.internal.experiment.ExperimentConfig"}};
}

inline Json& Model(Json& root) { return root["model"]; }
inline Json& Block(Json& root) { return root["model"]["block"]; }
inline Json& Attention(Json& root) { return Block(root)["sequence_mixer"]; }

inline Json Olmo3(int width, int layers, int heads, int hidden) {
  Json root = Olmo2(width, layers, heads, hidden);
  Attention(root)["sliding_window"] = {
      {"pattern", {4096, 4096, 4096, -1}},
      {"force_full_attention_on_first_layer", false},
      {"force_full_attention_on_last_layer", true},
      {"_CLASS_", "olmo_core.nn.attention.SlidingWindowAttentionConfig"}};
  return root;
}

// As the pretraining script of OLMo-hybrid-7B makes it of OLMo 3, small.
inline Json Hybrid() {
  Json root = Olmo2(512, 8, 4, 1376);
  Json attention = Block(root);
  attention["sequence_mixer"]["sliding_window"] = {
      {"pattern", {4096, 4096, 4096, -1}},
      {"force_full_attention_on_first_layer", false},
      {"force_full_attention_on_last_layer", true},
      {"_CLASS_", "olmo_core.nn.attention.SlidingWindowAttentionConfig"}};
  Json delta = Block(root);
  delta["sequence_mixer"] = {
      {"n_heads", 4},
      {"head_dim", 96},
      {"expand_v", 2.0},
      {"allow_neg_eigval", true},
      {"conv_size", 4},
      {"conv_bias", false},
      {"norm_eps", 1e-5},
      {"dtype", "float32"},
      {"type", "gated_delta_net"},
      {"_CLASS_", "olmo_core.nn.attention.recurrent.GatedDeltaNetConfig"}};
  Model(root)["block"] = {{"gdn", delta}, {"attn", attention}};
  Model(root)["block_pattern"] = {"gdn", "gdn", "gdn", "attn"};
  return root;
}

inline Json Yarn() {
  return {{"factor", 8.0},
          {"beta_fast", 32},
          {"beta_slow", 1},
          {"old_context_len", 8192},
          {"_CLASS_", "olmo_core.nn.rope.YaRNRoPEScalingConfig"}};
}

// As with_rope_scaling writes it: an override for each full layer.
inline Json Olmo3WithYarn(int layers) {
  Json root = Olmo3(512, layers, 4, 1376);
  for (int i = 0; i < layers; ++i) {
    if (i % 4 != 3 && i != layers - 1) continue;
    Json block = Block(root);
    block["sequence_mixer"]["rope"]["scaling"] = Yarn();
    Model(root)["block_overrides"][std::to_string(i)] = block;
  }
  return root;
}

inline absl::StatusOr<Config> Translate(const Json& root) {
  return ParseModelConfig(kPath, root.dump());
}

inline Json KeysOf(const Json& root) {
  absl::StatusOr<Config> config = Translate(root);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? config->json() : Json();
}

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_TESTING_H_

// What the translator of OLMo-core configs refuses, one broken rule each.
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

struct BadConfig {
  const char* name;
  std::function<void(Json&)> spoil;
  absl::StatusCode code;
  std::vector<std::string> words;
};

const std::vector<BadConfig>& BadConfigs() {
  static const auto* cases = new std::vector<BadConfig>{
      // Refused by name: R10 of what the loader promises.
      {"NGpt",
       [](Json& r) { Model(r)["name"] = "normalized"; },
       kUnsupported,
       {"'model.name'", "'normalized'"}},
      {"NormalizedBlock",
       [](Json& r) { Block(r)["name"] = "normalized"; },
       kUnsupported,
       {"'model.block.name'", "'normalized'"}},
      {"PeriNorm",
       [](Json& r) { Block(r)["name"] = "peri_norm"; },
       kUnsupported,
       {"'model.block.name'", "'peri_norm'"}},
      {"DefaultScaled",
       [](Json& r) { Block(r)["name"] = "default_scaled"; },
       kUnsupported,
       {"'model.block.name'", "'default_scaled'"}},
      {"Moe",
       [](Json& r) { Block(r)["name"] = "moe_reordered_norm"; },
       kUnsupported,
       {"'model.block.name'", "'moe_reordered_norm'"}},
      {"MoeModel",
       [](Json& r) { Model(r)["name"] = "moe"; },
       kUnsupported,
       {"'model.name'", "'moe'"}},
      {"MoeFeedForward",
       [](Json& r) {
         Block(r)["feed_forward_moe"] = {{"num_experts", 64}};
       },
       kUnsupported,
       {"'model.block.feed_forward_moe'", "experts"}},
      {"PatternOfNothing",
       [](Json& r) {
         Model(r)["block_pattern"] = {"gdn", "attn"};
         Model(r)["block"] = {{"attn", Block(r)}};
       },
       kCorrupt,
       {"'model.block_pattern'", "'gdn'", "none of the blocks"}},
      {"HybridWithConvolutionBias",
       [](Json& r) {
         r = Hybrid();
         Model(r)["block"]["gdn"]["sequence_mixer"]["conv_bias"] = true;
       },
       kUnsupported,
       {"'model.block.gdn.sequence_mixer.conv_bias'"}},
      {"HybridOfUnevenValues",
       [](Json& r) {
         r = Hybrid();
         Model(r)["block"]["gdn"]["sequence_mixer"]["expand_v"] = 1.01;
       },
       kCorrupt,
       {"'model.block.gdn.sequence_mixer.expand_v'", "whole number"}},
      {"HybridWithoutAttention",
       [](Json& r) {
         r = Hybrid();
         Model(r)["block_pattern"] = {"gdn"};
       },
       kUnsupported,
       {"'model.block_pattern'", "without attention"}},
      {"HybridOfLlamasAttention",
       [](Json& r) {
         r = Hybrid();
         Model(r)["block"]["attn"]["name"] = "default";
         Model(r)["block"]["attn"]["sequence_mixer"].erase("qk_norm");
       },
       kUnsupported,
       {"'model.block'", "hybrid"}},
      {"HybridWithAWindow",
       [](Json& r) {
         r = Hybrid();
         Model(r)["block"]["attn"]["sequence_mixer"]["sliding_window"] = {
             {"pattern", {64}}, {"force_full_attention_on_last_layer", false}};
       },
       kUnsupported,
       {"'model.block'", "sliding window"}},
      {"GatedDeltaNet",
       [](Json& r) { Attention(r)["type"] = "gated_delta_net"; },
       kUnsupported,
       {"'model.block.sequence_mixer.type'", "'gated_delta_net'"}},
      {"GatedDeltaNetByClass",
       [](Json& r) {
         Attention(r)["_CLASS_"] =
             "olmo_core.nn.attention.recurrent.GatedDeltaNetConfig";
       },
       kUnsupported,
       {"sequence_mixer._CLASS_'", "GatedDeltaNetConfig"}},
      {"VisionModel",
       [](Json& r) {
         Model(r)["_CLASS_"] = "olmo_core.nn.vision.config.MultimodalConfig";
       },
       kUnsupported,
       {"'model._CLASS_'", "MultimodalConfig"}},
      {"FusedAttention",
       [](Json& r) { Attention(r)["name"] = "fused"; },
       kUnsupported,
       {"'model.block.sequence_mixer.name'", "'fused'"}},
      {"Gate",
       [](Json& r) {
         Attention(r)["gate"] = {{"granularity", "blockwise"}};
       },
       kUnsupported,
       {"'model.block.sequence_mixer.gate.granularity'", "blockwise"}},
      {"Clip",
       [](Json& r) { Attention(r)["clip_qkv"] = 8.0; },
       kUnsupported,
       {"'model.block.sequence_mixer.clip_qkv'"}},
      {"ScalableSoftmax",
       [](Json& r) { Attention(r)["scalable_softmax"] = true; },
       kUnsupported,
       {"'model.block.sequence_mixer.scalable_softmax'"}},
      {"NoRope",
       [](Json& r) { Attention(r).erase("rope"); },
       kUnsupported,
       {"'model.block.sequence_mixer.rope'", "absent"}},
      {"ComplexRope",
       [](Json& r) { Attention(r)["rope"]["name"] = "complex"; },
       kUnsupported,
       {"sequence_mixer.rope.name'", "'complex'"}},
      {"NoGlobalRope",
       [](Json& r) { Attention(r)["rope"]["no_global_rope"] = true; },
       kUnsupported,
       {"sequence_mixer.rope.no_global_rope'"}},
      {"PartialRope",
       [](Json& r) { Attention(r)["rope"]["partial_rotary_factor"] = 0.25; },
       kUnsupported,
       {"sequence_mixer.rope.partial_rotary_factor'", "0.25"}},
      {"UnknownScaling",
       [](Json& r) {
         Attention(r)["rope"]["scaling"] = {{"factor", 2}};
       },
       kUnsupported,
       {"sequence_mixer.rope.scaling._CLASS_'"}},
      {"RescaledScores",
       [](Json& r) {
         Attention(r)["rope"]["scaling"] = {
             {"_CLASS_", "olmo_core.nn.rope.PIRoPEScalingConfig"},
             {"attention_rescale_factor", 1.2}};
       },
       kUnsupported,
       {"scaling.attention_rescale_factor'", "1.2"}},
      {"AttentionAlpha",
       [](Json& r) { Block(r)["attention_residual_alpha"] = 0.5; },
       kUnsupported,
       {"'model.block.attention_residual_alpha'", "0.5"}},
      {"FeedForwardAlpha",
       [](Json& r) { Block(r)["feed_forward_residual_alpha"] = 2; },
       kUnsupported,
       {"'model.block.feed_forward_residual_alpha'", "2"}},
      {"EmbedScale",
       [](Json& r) { Model(r)["embed_scale"] = 32.0; },
       kUnsupported,
       {"'model.embed_scale'", "32"}},
      {"EmbeddingNorm",
       [](Json& r) { Model(r)["embedding_norm"] = Norm(1e-6); },
       kUnsupported,
       {"'model.embedding_norm'"}},
      {"LayerNorm",
       [](Json& r) { Block(r)["layer_norm"]["name"] = "default"; },
       kUnsupported,
       {"'model.block.layer_norm.name'", "'default'"}},
      {"NormWithoutWeight",
       [](Json& r) { Block(r)["layer_norm"]["elementwise_affine"] = false; },
       kUnsupported,
       {"'model.block.layer_norm.elementwise_affine'"}},
      {"Gelu",
       [](Json& r) { Block(r)["feed_forward"]["activation"] = "gelu_tanh"; },
       kUnsupported,
       {"'model.block.feed_forward.activation'", "'gelu_tanh'"}},
      {"NormalizedHead",
       [](Json& r) { Model(r)["lm_head"]["name"] = "normalized"; },
       kUnsupported,
       {"'model.lm_head.name'", "'normalized'"}},
      {"WindowInAPreNormBlock",
       [](Json& r) {
         r = Olmo3(512, 6, 4, 1376);
         Block(r)["name"] = "default";
         Attention(r).erase("qk_norm");
       },
       kUnsupported,
       {"'model.block'", "sliding window"}},
      {"WindowsOfTwoSizes",
       [](Json& r) {
         r = Olmo3(512, 6, 4, 1376);
         Attention(r)["sliding_window"]["pattern"] = {128, 256, -1};
       },
       kUnsupported,
       {"'model.block'", "different sizes"}},
      {"UnknownKeyOfModel",
       [](Json& r) { Model(r)["mixture"] = 1; },
       kUnsupported,
       {"'model.mixture'", "not known"}},
      {"UnknownKeyOfBlock",
       [](Json& r) { Block(r)["skip"] = true; },
       kUnsupported,
       {"'model.block.skip'", "not known"}},
      {"UnknownKeyOfAttention",
       [](Json& r) { Attention(r)["softcap"] = 30; },
       kUnsupported,
       {"'model.block.sequence_mixer.softcap'", "not known"}},
      {"UnknownKeyOfRope",
       [](Json& r) { Attention(r)["rope"]["interleaved"] = true; },
       kUnsupported,
       {"sequence_mixer.rope.interleaved'", "not known"}},
      {"UnknownKeyOfNorm",
       [](Json& r) { Block(r)["layer_norm"]["offset"] = 1; },
       kUnsupported,
       {"'model.block.layer_norm.offset'", "not known"}},
      {"UnknownKeyOfFeedForward",
       [](Json& r) { Block(r)["feed_forward"]["clamp"] = 7; },
       kUnsupported,
       {"'model.block.feed_forward.clamp'", "not known"}},
      {"UnknownKeyOfHead",
       [](Json& r) { Model(r)["lm_head"]["softcap"] = 30; },
       kUnsupported,
       {"'model.lm_head.softcap'", "not known"}},
      // Corrupt.
      {"NoWidth",
       [](Json& r) { Model(r).erase("d_model"); },
       kCorrupt,
       {"'model.d_model'", "missing"}},
      {"TextForLayers",
       [](Json& r) { Model(r)["n_layers"] = "16"; },
       kCorrupt,
       {"'model.n_layers'", "integer"}},
      {"NoLayers",
       [](Json& r) { Model(r)["n_layers"] = 0; },
       kCorrupt,
       {"'model.n_layers'", "not in [1, 1024]"}},
      {"NoBlock",
       [](Json& r) { Model(r).erase("block"); },
       kCorrupt,
       {"'model.block'", "missing"}},
      {"NoAttention",
       [](Json& r) { Block(r).erase("sequence_mixer"); },
       kCorrupt,
       {"'model.block.sequence_mixer'", "missing"}},
      {"NoFeedForward",
       [](Json& r) { Block(r).erase("feed_forward"); },
       kCorrupt,
       {"'model.block.feed_forward'", "missing"}},
      {"NoNorm",
       [](Json& r) { Block(r).erase("layer_norm"); },
       kCorrupt,
       {"'model.block.layer_norm'", "missing"}},
      {"NoFinalNorm",
       [](Json& r) { Model(r)["lm_head"].erase("layer_norm"); },
       kCorrupt,
       {"'model.lm_head.layer_norm'", "missing"}},
      {"HeadsThatDoNotShareOut",
       [](Json& r) { Attention(r)["n_heads"] = 13; },
       kCorrupt,
       {"'model.block.sequence_mixer.n_heads'", "no multiple of 13"}},
      {"ModelIsAList",
       [](Json& r) { r["model"] = Json::array(); },
       kCorrupt,
       {"'model'", "object"}},
      {"WindowOfZero",
       [](Json& r) { Attention(r)["sliding_window"]["pattern"] = {0}; },
       kCorrupt,
       {"sliding_window.pattern'"}},
      {"EmptyPattern",
       [](Json& r) {
         Attention(r)["sliding_window"]["pattern"] = Json::array();
       },
       kCorrupt,
       {"sliding_window.pattern'", "empty"}},
  };
  return *cases;
}

class BadOlmoCoreTest : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadOlmoCoreTest, IsRefusedWithFileKeyAndRule) {
  Json root = Olmo2(2048, 16, 16, 8192);
  GetParam().spoil(root);
  const absl::Status status = Translate(root).status();
  files::ExpectError(status, GetParam().code, {kPath});
  for (const std::string& word : GetParam().words) {
    files::ExpectError(status, GetParam().code, {word});
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadOlmoCoreTest,
                         ::testing::ValuesIn(BadConfigs()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sinkwatch::checkpoint

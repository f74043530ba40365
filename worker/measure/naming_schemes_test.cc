// The weights of a golden model under the names, and in the arrangement, of
// every trainer that writes its family, and its config in older keys: the
// logits must be the same to the bit. What a scheme looks like is written down
// here once more, from the trainers' own code, and not taken from
// worker/model/naming.h.
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/stack.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/measure/naming_schemes_testing.h"

namespace sinkwatch::worker {
namespace {

// A config as transformers wrote it before version 5.
nlohmann::json InKeysOfVersion4(nlohmann::json config) {
  nlohmann::json rope = config.at("rope_parameters");
  config.erase("rope_parameters");
  if (rope.contains("full_attention")) rope = rope.at("full_attention");
  config["rope_theta"] = rope.at("rope_theta");
  rope.erase("rope_theta");
  config["rope_scaling"] = rope.at("rope_type") == "default" ? nullptr : rope;
  config["torch_dtype"] = config.at("dtype");
  config.erase("dtype");
  return config;
}

TEST(NamingSchemesTest, KeysOfTransformersVersion4) {
  for (const char* name :
       {"llama", "llama_bias", "mistral", "qwen2", "qwen3", "olmo", "olmo2",
        "olmo3", "olmoe", "olmoe_options"}) {
    SCOPED_TRACE(name);
    const Model model = Read(name);
    ExpectSameLogits(name, InKeysOfVersion4(model.config), model.weights);
  }
}

// Every tensor by its new name; those of layer N start with `prefix`N.
Weights Renamed(const Weights& weights, const std::string& prefix,
                const Names& of_layer, const Names& of_top) {
  const std::string start = "model.layers.";
  Weights renamed;
  for (const auto& [name, tensor] : weights) {
    if (!absl::StartsWith(name, start)) {
      renamed[of_top.at(name)] = tensor;
      continue;
    }
    const size_t dot = name.find('.', start.size());
    renamed[absl::StrCat(prefix, name.substr(start.size(), dot - start.size()),
                         ".", of_layer.at(name.substr(dot + 1)))] = tensor;
  }
  return renamed;
}

// OLMo-core.

Names CoreLayer(bool reordered_norm) {
  Names names = {{"mlp.gate_proj", "feed_forward.w1"},
                 {"mlp.down_proj", "feed_forward.w2"},
                 {"mlp.up_proj", "feed_forward.w3"},
                 {"self_attn.q_proj", "attention.w_q"},
                 {"self_attn.k_proj", "attention.w_k"},
                 {"self_attn.v_proj", "attention.w_v"},
                 {"self_attn.o_proj", "attention.w_out"},
                 {"self_attn.q_norm", "attention.q_norm"},
                 {"self_attn.k_norm", "attention.k_norm"}};
  // The same two names for norms at different places.
  names[reordered_norm ? "post_attention_layernorm" : "input_layernorm"] =
      "attention_norm";
  names[reordered_norm ? "post_feedforward_layernorm"
                       : "post_attention_layernorm"] = "feed_forward_norm";
  Names full;
  for (const auto& [ours, theirs] : names) {
    for (const char* end : {".weight", ".bias"})
      full[ours + end] = theirs + end;
  }
  return full;
}

const Names kCoreTop = {{"model.embed_tokens.weight", "embeddings.weight"},
                        {"model.norm.weight", "lm_head.norm.weight"},
                        {"lm_head.weight", "lm_head.w_out.weight"}};
const Names kOldCoreTop = {{"model.embed_tokens.weight", "embeddings.weight"},
                           {"model.norm.weight", "norm.weight"},
                           {"lm_head.weight", "w_out.weight"}};

TEST(NamingSchemesTest, OlmoCoreBlockDefault) {
  for (const char* name : {"llama", "llama_bias", "qwen3", "qwen3_bias"}) {
    SCOPED_TRACE(name);
    for (const Names& top : {kCoreTop, kOldCoreTop}) {
      ExpectSameLogits(
          name, Renamed(Read(name).weights, "blocks.", CoreLayer(false), top));
    }
  }
}

TEST(NamingSchemesTest, OlmoCoreBlockReorderedNorm) {
  for (const char* name : {"olmo2", "olmo2_bias", "olmo3", "olmo3_yarn"}) {
    SCOPED_TRACE(name);
    for (const Names& top : {kCoreTop, kOldCoreTop}) {
      ExpectSameLogits(
          name, Renamed(Read(name).weights, "blocks.", CoreLayer(true), top));
    }
  }
}

// OLMo's first trainer.

// The layers' q, k and v in one matrix, in this order, and up and gate in
// another, up first.
Weights Fused(Weights weights, int layers) {
  for (int layer = 0; layer < layers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    const auto take = [&](const std::string& name) {
      return weights.extract(prefix + name + ".weight").mapped();
    };
    const at::Tensor q = take("self_attn.q_proj"), k = take("self_attn.k_proj"),
                     v = take("self_attn.v_proj");
    weights[prefix + "att_proj"] = at::cat({q, k, v});
    const at::Tensor up = take("mlp.up_proj"), gate = take("mlp.gate_proj");
    weights[prefix + "ff_proj"] = at::cat({up, gate});
  }
  return weights;
}

Weights AsOlmo(const Model& model, const std::string& root, bool norm_after) {
  Names layer = {{"att_proj", "att_proj.weight"},
                 {"ff_proj", "ff_proj.weight"},
                 {"self_attn.o_proj.weight", "attn_out.weight"},
                 {"mlp.down_proj.weight", "ff_out.weight"},
                 {"self_attn.q_norm.weight", "q_norm.weight"},
                 {"self_attn.k_norm.weight", "k_norm.weight"}};
  layer[norm_after ? "post_attention_layernorm.weight"
                   : "input_layernorm.weight"] = "attn_norm.weight";
  layer[norm_after ? "post_feedforward_layernorm.weight"
                   : "post_attention_layernorm.weight"] = "ff_norm.weight";
  const Names top = {{"model.embed_tokens.weight", root + "wte.weight"},
                     {"model.norm.weight", root + "ln_f.weight"},
                     {"lm_head.weight", root + "ff_out.weight"}};
  return Renamed(Fused(model.weights, model.config.at("num_hidden_layers")),
                 root + "blocks.", layer, top);
}

TEST(NamingSchemesTest, OlmoWithAndWithoutTheWrapper) {
  for (const char* root : {"transformer.", "model.transformer."}) {
    SCOPED_TRACE(root);
    for (const char* name : {"olmo", "olmo_tied", "llama"}) {
      SCOPED_TRACE(name);
      ExpectSameLogits(name, AsOlmo(Read(name), root, false));
    }
    ExpectSameLogits("olmo2", AsOlmo(Read("olmo2"), root, true));
  }
}

// OLMo's mixture in megablocks' form: the experts of a projection below one
// another, the third of them [in, out].
Weights AsMegablocks(const Model& model) {
  Weights weights = model.weights;
  const int64_t layers = model.config.at("num_hidden_layers");
  const int64_t experts = model.config.at("num_experts");
  for (int64_t layer = 0; layer < layers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    std::map<std::string, std::vector<at::Tensor>> parts;
    for (int64_t i = 0; i < experts; ++i) {
      const auto take = [&](const char* name) {
        return weights
            .extract(
                absl::StrCat(prefix, "mlp.experts.", i, ".", name, ".weight"))
            .mapped();
      };
      parts["w1"].push_back(take("gate_proj"));
      parts["v1"].push_back(take("up_proj"));
      parts["w2"].push_back(take("down_proj").t());
    }
    for (const auto& [name, tensors] : parts) {
      weights[prefix + name] = at::cat(tensors).contiguous();
    }
    std::vector<at::Tensor> qkv;
    for (const char* name : {"q_proj", "k_proj", "v_proj"}) {
      qkv.push_back(
          weights.extract(absl::StrCat(prefix, "self_attn.", name, ".weight"))
              .mapped());
    }
    weights[prefix + "att_proj"] = at::cat(qkv);
  }
  const std::string mlp = "ffn.experts.mlp.";
  return Renamed(weights, "transformer.blocks.",
                 {{"att_proj", "att_proj.weight"},
                  {"w1", mlp + "w1"},
                  {"v1", mlp + "v1"},
                  {"w2", mlp + "w2"},
                  {"mlp.gate.weight", "ffn.router.layer.weight"},
                  {"self_attn.o_proj.weight", "attn_out.weight"},
                  {"self_attn.q_norm.weight", "q_norm.weight"},
                  {"self_attn.k_norm.weight", "k_norm.weight"},
                  {"input_layernorm.weight", "attn_norm.weight"},
                  {"post_attention_layernorm.weight", "ff_norm.weight"}},
                 {{"model.embed_tokens.weight", "transformer.wte.weight"},
                  {"model.norm.weight", "transformer.ln_f.weight"},
                  {"lm_head.weight", "transformer.ff_out.weight"}});
}

TEST(NamingSchemesTest, OlmoMixtureInMegablocksForm) {
  for (const char* name : {"olmoe", "olmoe_options"}) {
    SCOPED_TRACE(name);
    ExpectSameLogits(name, AsMegablocks(Read(name)));
  }
}

// Meta, llama2.c and torchtitan.

// Rotary pairs next to each other: element 2 i of a head is ours i, element
// 2 i + 1 is ours i + E/2.
at::Tensor Paired(const at::Tensor& weight, int64_t heads) {
  const int64_t half = weight.size(0) / heads / 2;
  at::Tensor paired = weight.clone();
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < half; ++i) {
      const int64_t start = 2 * half * head;
      paired[start + 2 * i].copy_(weight[start + i]);
      paired[start + 2 * i + 1].copy_(weight[start + half + i]);
    }
  }
  return paired;
}

Weights AsMeta(Model model, const std::string& qkv, const std::string& output) {
  const Names layer = {{"self_attn.q_proj.weight", qkv + "wq.weight"},
                       {"self_attn.k_proj.weight", qkv + "wk.weight"},
                       {"self_attn.v_proj.weight", qkv + "wv.weight"},
                       {"self_attn.o_proj.weight", "attention.wo.weight"},
                       {"mlp.gate_proj.weight", "feed_forward.w1.weight"},
                       {"mlp.down_proj.weight", "feed_forward.w2.weight"},
                       {"mlp.up_proj.weight", "feed_forward.w3.weight"},
                       {"input_layernorm.weight", "attention_norm.weight"},
                       {"post_attention_layernorm.weight", "ffn_norm.weight"}};
  for (auto& [name, tensor] : model.weights) {
    if (absl::StrContains(name, "q_proj")) {
      tensor = Paired(tensor, model.config.at("num_attention_heads"));
    } else if (absl::StrContains(name, "k_proj")) {
      tensor = Paired(tensor, model.config.at("num_key_value_heads"));
    }
  }
  return Renamed(model.weights, "layers.", layer,
                 {{"model.embed_tokens.weight", "tok_embeddings.weight"},
                  {"model.norm.weight", "norm.weight"},
                  {"lm_head.weight", output}});
}

TEST(NamingSchemesTest, Meta) {
  ExpectSameLogits("llama",
                   AsMeta(Read("llama"), "attention.", "output.weight"));
}

TEST(NamingSchemesTest, TorchtitanWithAndWithoutFusedProjections) {
  for (const char* qkv : {"attention.", "attention.qkv_linear."}) {
    ExpectSameLogits("llama", AsMeta(Read("llama"), qkv, "lm_head.weight"));
  }
}

TEST(NamingSchemesTest, TorchtitanInOneMatrixByGroup) {
  const Model llama = Read("llama");
  Weights weights = AsMeta(llama, "attention.qkv_linear.", "output.weight");
  for (int layer = 0; layer < llama.config.at("num_hidden_layers"); ++layer) {
    const std::string qkv =
        absl::StrCat("layers.", layer, ".attention.qkv_linear.");
    weights[qkv + "wqkv.weight"] = ByGroup(llama.config, weights, qkv);
  }
  ExpectSameLogits("llama", weights);
}

// The experts of a layer in a stack each of w1, w2 and w3.
void StackExperts(Model& model, int layer, const std::string& stack,
                  bool shaped) {
  const std::string mlp = absl::StrCat("model.layers.", layer, ".mlp.");
  const std::string moe = absl::StrCat("layers.", layer, ".moe.");
  for (const auto& [ours, theirs, axes] : {std::tuple{"gate_proj", "1", "_EFD"},
                                           {"down_proj", "2", "_EDF"},
                                           {"up_proj", "3", "_EFD"}}) {
    std::vector<at::Tensor> experts;
    for (int64_t i = 0; i < model.config.at("num_local_experts"); ++i) {
      experts.push_back(
          model.weights
              .extract(absl::StrCat(mlp, "experts.", i, ".", ours, ".weight"))
              .mapped());
    }
    model.weights[absl::StrCat(moe, stack, theirs, shaped ? axes : "")] =
        at::stack(experts);
  }
  model.weights[moe + "router.gate.weight"] =
      model.weights.extract(mlp + "gate.weight").mapped();
}

TEST(NamingSchemesTest, TorchtitanMixtures) {
  for (const std::string stack :
       {"experts.w", "routed_experts.inner_experts.w"}) {
    Model model = Read("qwen3_moe");
    for (int layer = 0; layer < model.config.at("num_hidden_layers"); ++layer) {
      StackExperts(model, layer, stack, absl::StrContains(stack, "inner"));
    }
    ExpectSameLogits("qwen3_moe", model.weights);
  }
}

// torchtitan's DeepSeek-V3, whose rows are Hugging Face's.
Weights AsTorchtitanDeepseek(Model model, const char* bias) {
  const int64_t experts = model.config.at("n_routed_experts");
  for (int layer = 0; layer < model.config.at("num_hidden_layers"); ++layer) {
    const std::string mlp = absl::StrCat("model.layers.", layer, ".mlp.");
    if (model.weights.count(mlp + "gate.weight") == 0) continue;
    for (const auto& [ours, theirs] : Names{{"gate_proj", "titan_w1"},
                                            {"up_proj", "titan_w3"},
                                            {"down_proj", "titan_w2"}}) {
      std::vector<at::Tensor> stack;
      for (int64_t i = 0; i < experts; ++i) {
        stack.push_back(
            model.weights
                .extract(absl::StrCat(mlp, "experts.", i, ".", ours, ".weight"))
                .mapped());
      }
      model.weights[mlp + theirs] = at::stack(stack);
    }
  }
  return Renamed(
      model.weights, "layers.",
      {{"input_layernorm.weight", "attention_norm.weight"},
       {"self_attn.q_proj.weight", "attention.wq.weight"},
       {"self_attn.q_a_proj.weight", "attention.wq_a.weight"},
       {"self_attn.q_a_layernorm.weight", "attention.q_norm.weight"},
       {"self_attn.q_b_proj.weight", "attention.wq_b.weight"},
       {"self_attn.kv_a_proj_with_mqa.weight", "attention.wkv_a.weight"},
       {"self_attn.kv_a_layernorm.weight", "attention.kv_norm.weight"},
       {"self_attn.kv_b_proj.weight", "attention.wkv_b.weight"},
       {"self_attn.o_proj.weight", "attention.wo.weight"},
       {"post_attention_layernorm.weight", "ffn_norm.weight"},
       {"mlp.gate_proj.weight", "feed_forward.w1.weight"},
       {"mlp.up_proj.weight", "feed_forward.w3.weight"},
       {"mlp.down_proj.weight", "feed_forward.w2.weight"},
       {"mlp.titan_w1", "moe.experts.w1"},
       {"mlp.titan_w2", "moe.experts.w2"},
       {"mlp.titan_w3", "moe.experts.w3"},
       {"mlp.gate.weight", "moe.router.gate.weight"},
       {"mlp.gate.e_score_correction_bias", bias},
       {"mlp.shared_experts.gate_proj.weight", "moe.shared_experts.w1.weight"},
       {"mlp.shared_experts.up_proj.weight", "moe.shared_experts.w3.weight"},
       {"mlp.shared_experts.down_proj.weight", "moe.shared_experts.w2.weight"}},
      {{"model.embed_tokens.weight", "tok_embeddings.weight"},
       {"model.norm.weight", "norm.weight"},
       {"lm_head.weight", "output.weight"}});
}

TEST(NamingSchemesTest, TorchtitanDeepseek) {
  for (const char* name : {"deepseek_v3", "deepseek_v3_yarn"}) {
    SCOPED_TRACE(name);
    for (const char* bias : {"moe.expert_bias", "moe.expert_bias_E"}) {
      ExpectSameLogits(name, AsTorchtitanDeepseek(Read(name), bias));
    }
  }
}

// Around a language model, in the three orders that transformers had.
TEST(NamingSchemesTest, BesideImages) {
  for (const std::string prefix :
       {"language_model.model.", "model.language_model.",
        "model.text_model."}) {
    Weights weights;
    for (const auto& [name, tensor] : Read("llama").weights) {
      const bool head = absl::StartsWith(name, "lm_head");
      weights[head ? (prefix[0] == 'l' ? "language_model." + name : name)
                   : prefix + name.substr(6)] = tensor;
    }
    ExpectSameLogits("llama", weights);
  }
}

}  // namespace
}  // namespace sinkwatch::worker

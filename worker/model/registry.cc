#include "worker/model/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "proto/base/status_macros.h"
#include "spdlog/spdlog.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"
#include "worker/model/architectures.h"

namespace sinkwatch::model {
namespace {

struct Row {
  const char* name;        // in `architectures`
  const char* model_type;  // what transformers goes by
  ArchitectureFactory* make;
};

constexpr Row kTable[] = {
    {"ApertusForCausalLM", "apertus", MakeApertus},
    {"BigramBackcopyForCausalLM", "bigram_backcopy", MakeBigramBackcopy},
    {"DeepseekV2ForCausalLM", "deepseek_v2", MakeDeepseekV2},
    {"DeepseekV3ForCausalLM", "deepseek_v3", MakeDeepseekV3},
    {"GPT2LMHeadModel", "gpt2", MakeGpt2},
    {"GPTNeoXForCausalLM", "gpt_neox", MakeGptNeoX},
    {"Gemma2ForCausalLM", "gemma2", MakeGemma2},
    {"Gemma3ForCausalLM", "gemma3_text", MakeGemma3},
    {"GptOssForCausalLM", "gpt_oss", MakeGptOss},
    {"LlamaForCausalLM", "llama", MakeLlama},
    {"MinistralForCausalLM", "ministral", MakeMinistral},
    {"MistralForCausalLM", "mistral", MakeMistral},
    {"MixtralForCausalLM", "mixtral", MakeMixtral},
    {"NanoChatForCausalLM", "nanochat", MakeNanoChat},
    {"Olmo2ForCausalLM", "olmo2", MakeOlmo2},
    {"Olmo3ForCausalLM", "olmo3", MakeOlmo3},
    {"OlmoForCausalLM", "olmo", MakeOlmo},
    {"OlmoHybridForCausalLM", "olmo_hybrid", MakeOlmoHybrid},
    {"OlmoeForCausalLM", "olmoe", MakeOlmoe},
    {"Qwen2ForCausalLM", "qwen2", MakeQwen2},
    {"Qwen3ForCausalLM", "qwen3", MakeQwen3},
    {"Qwen3MoeForCausalLM", "qwen3_moe", MakeQwen3Moe},
    {"Qwen3NextForCausalLM", "qwen3_next", MakeQwen3Next},
    {"Qwen3_5ForCausalLM", "qwen3_5_text", MakeQwen35},
    {"Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", MakeQwen35Moe},
    {"SmolLM3ForCausalLM", "smollm3", MakeSmolLm3},
};

// What a family was called before its release, in checkpoints that are public.
struct Alias {
  const char* name;
  const char* model_type;
  const char* released;  // name of the row
};

constexpr Alias kAliases[] = {
    // transformers until March 2023, and conversions that were made with it.
    {"LLaMAForCausalLM", "llama", "LlamaForCausalLM"},
    // AI2's fork of transformers, November 2024.
    {"Olmo1124ForCausalLM", "olmo_1124", "Olmo2ForCausalLM"},
    // The same before OLMo 3: RL-Zero and Think steps of Olmo-3-7B.
    {"Olmo2RetrofitForCausalLM", "olmo2-retrofit", "Olmo3ForCausalLM"},
    // The same before the hybrid's release.
    {"Olmo3_2HybridForCausalLM", "olmo3_2_hybrid", "OlmoHybridForCausalLM"},
    // The Swiss AI Initiative's fork, before Apertus.
    {"SwissAIForCausalLM", "swissai", "ApertusForCausalLM"},
};

const Row* RowOf(const std::string& name) {
  for (const Row& row : kTable) {
    if (name == row.name) return &row;
  }
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return RowOf(alias.released);
  }
  return nullptr;
}

const Row* RowOfType(const std::string& model_type) {
  for (const Row& row : kTable) {
    if (model_type == row.model_type) return &row;
  }
  for (const Alias& alias : kAliases) {
    if (model_type == alias.model_type) return RowOf(alias.released);
  }
  return nullptr;
}

// What a config says of its architecture; empty where it does not.
struct Said {
  std::string model_type;
  std::string name;  // the first of `architectures`
};

absl::StatusOr<Said> ReadSaid(const checkpoint::Config& config) {
  files::Fields fields = config.fields();
  Said said;
  said.model_type = fields.StringOr("model_type", "");
  if (fields.Has("architectures")) {
    const nlohmann::json& names = config.json().at("architectures");
    const bool wrong =
        !names.is_array() || (!names.empty() && !names.front().is_string());
    if (wrong) {
      fields.Fail("architectures", "must be a list of names");
    } else if (!names.empty()) {
      said.name = names.front().get<std::string>();
    }
  }
  RETURN_IF_ERROR(fields.status());
  return said;
}

absl::Status NotImplemented(const checkpoint::Config& config,
                            const Said& said) {
  if (said.name.empty() && said.model_type.empty()) {
    return absl::UnimplementedError(absl::StrCat(
        config.path(),
        ": neither key 'architectures' nor 'model_type' is there, so it is no "
        "config of a model: give the run a model_config (Hugging Face's "
        "keys)"));
  }
  std::vector<std::string> both;
  if (!said.name.empty()) {
    both.push_back(absl::StrCat("architecture ", files::Quoted(said.name)));
  }
  if (!said.model_type.empty()) {
    both.push_back(
        absl::StrCat("key 'model_type' ", files::Quoted(said.model_type)));
  }
  return absl::UnimplementedError(
      absl::StrCat(config.path(), ": ", absl::StrJoin(both, " with "),
                   " is not implemented; known: ",
                   absl::StrJoin(ArchitectureNames(), ", ")));
}

// Whether the folder brings code of its own for the model: then the class that
// it names is neither transformers' nor ours.
bool HasOwnCode(const checkpoint::Config& config) {
  return config.Has("auto_map");
}

// transformers 5.24 goes by model_type alone (AutoModelForCausalLM: the class
// is a function of the config's). So do we where both names are known; where
// one is not, nobody can tell whose numbers we would give.
absl::StatusOr<const Row*> FindRow(const checkpoint::Config& config) {
  ASSIGN_OR_RETURN(const Said said, ReadSaid(config));
  const Row* const by_name = RowOf(said.name);
  const Row* const by_type = RowOfType(said.model_type);
  if (said.model_type.empty() && by_name != nullptr) return by_name;
  if (said.name.empty() && by_type != nullptr) return by_type;
  if (by_name == nullptr || by_type == nullptr) {
    return NotImplemented(config, said);
  }
  if (by_name == by_type) return by_type;
  if (HasOwnCode(config)) return NotImplemented(config, said);
  spdlog::warn(
      "config is of two architectures; model_type counts, as for transformers "
      "config={} model_type={} architecture={}",
      config.path(), said.model_type, said.name);
  return by_type;
}

// Quantised weights (MXFP4, GPTQ, ...) lie under other names and in other
// types.
absl::Status RefuseQuantised(const checkpoint::Config& config) {
  if (!config.Has("quantization_config")) return absl::OkStatus();
  const nlohmann::json& scheme = config.json().at("quantization_config");
  const bool named = scheme.is_object() && scheme.contains("quant_method") &&
                     scheme.at("quant_method").is_string();
  const std::string method =
      named ? scheme.at("quant_method").get<std::string>() : scheme.dump();
  return absl::UnimplementedError(absl::StrCat(
      config.path(), ": quantization_config ", files::Quoted(method),
      " is not implemented: weights must be float32, bfloat16 or float16"));
}

// Layer types in a family that has none: transformers does not look at them or
// fails, other programs follow them.
void RefuseLayerTypes(const Row& row, files::Fields& fields) {
  if (fields.IsTaken("layer_types") || !fields.Has("layer_types")) return;
  for (const nlohmann::json& type : fields.Array("layer_types")) {
    if (type != "full_attention") {
      fields.Unsupported(absl::StrCat(
          "layer_types ", files::Quoted(type.dump()), " in ", row.name));
    }
  }
}

// Switches that are on by default in some family. Null is false to Python, and
// the default to whoever takes it for absent.
void RefuseNullSwitches(files::Fields& fields) {
  for (const char* key :
       {"attention_bias", "is_causal", "linear_allow_neg_eigval",
        "norm_topk_prob", "rope_interleave", "scale_attn_weights",
        "tie_word_embeddings", "use_parallel_residual"}) {
    if (fields.IsNull(key)) fields.Refuse(key, "null is not implemented");
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> CreateArchitecture(
    const checkpoint::Config& config) {
  ASSIGN_OR_RETURN(const Row* row, FindRow(config));
  RETURN_IF_ERROR(RefuseQuantised(config));
  files::Fields fields = config.fields();
  // transformers makes a model of any family look at what comes after, too.
  fields.RequireBool("is_causal", true, true);
  RefuseNullSwitches(fields);
  std::unique_ptr<Architecture> architecture = row->make(fields);
  RefuseLayerTypes(*row, fields);
  RETURN_IF_ERROR(fields.status());
  return architecture;
}

std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Row& row : kTable) names.push_back(row.name);
  return names;
}

}  // namespace sinkwatch::model

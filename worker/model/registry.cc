#include "worker/model/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "proto/base/status_macros.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"
#include "worker/model/architectures.h"

namespace sinkwatch::model {
namespace {

struct Row {
  const char* name;        // in `architectures`
  const char* model_type;  // where there is no `architectures`
  ArchitectureFactory* make;
};

constexpr Row kTable[] = {
    {"BigramBackcopyForCausalLM", "bigram_backcopy", MakeBigramBackcopy},
    {"GPT2LMHeadModel", "gpt2", MakeGpt2},
    {"GPTNeoXForCausalLM", "gpt_neox", MakeGptNeoX},
    {"GptOssForCausalLM", "gpt_oss", MakeGptOss},
    {"LlamaForCausalLM", "llama", MakeLlama},
    {"MistralForCausalLM", "mistral", MakeMistral},
    {"Olmo2ForCausalLM", "olmo2", MakeOlmo2},
    {"Olmo3ForCausalLM", "olmo3", MakeOlmo3},
    {"OlmoForCausalLM", "olmo", MakeOlmo},
    {"OlmoeForCausalLM", "olmoe", MakeOlmoe},
    {"Qwen2ForCausalLM", "qwen2", MakeQwen2},
    {"Qwen3ForCausalLM", "qwen3", MakeQwen3},
};

absl::StatusOr<const Row*> FindByModelType(const checkpoint::Config& config) {
  files::Fields fields = config.fields();
  const std::string model_type = fields.StringOr("model_type", "");
  for (const Row& row : kTable) {
    if (model_type == row.model_type) return &row;
  }
  if (fields.Has("model_type")) {
    fields.Refuse("model_type", absl::StrCat(files::Quoted(model_type),
                                             " is not implemented"));
    return fields.status();
  }
  return absl::UnimplementedError(
      absl::StrCat(config.path(),
                   ": neither key 'architectures' nor 'model_type' is there"));
}

absl::StatusOr<const Row*> FindRow(const checkpoint::Config& config) {
  if (!config.Has("architectures")) return FindByModelType(config);
  const nlohmann::json& names = config.json().at("architectures");
  if (!names.is_array() || names.empty() || !names.front().is_string()) {
    files::Fields fields = config.fields();
    fields.Fail("architectures", "must be a list of names");
    return fields.status();
  }
  const std::string name = names.front().get<std::string>();
  for (const Row& row : kTable) {
    if (name == row.name) return &row;
  }
  return absl::UnimplementedError(
      absl::StrCat(config.path(), ": architecture ", files::Quoted(name),
                   " is not implemented; known: ",
                   absl::StrJoin(ArchitectureNames(), ", ")));
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

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> CreateArchitecture(
    const checkpoint::Config& config) {
  ASSIGN_OR_RETURN(const Row* row, FindRow(config));
  RETURN_IF_ERROR(RefuseQuantised(config));
  files::Fields fields = config.fields();
  std::unique_ptr<Architecture> architecture = row->make(fields);
  RETURN_IF_ERROR(fields.status());
  return architecture;
}

std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Row& row : kTable) names.push_back(row.name);
  return names;
}

}  // namespace sinkwatch::model

#include "worker/model/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "worker/files/strict_json.h"
#include "worker/model/architectures.h"

namespace sinkwatch::model {
namespace {

struct Row {
  const char* name;
  ArchitectureFactory* make;
};

constexpr Row kTable[] = {
    {"BigramBackcopyForCausalLM", MakeBigramBackcopy},
    {"GPT2LMHeadModel", MakeGpt2},
    {"GPTNeoXForCausalLM", MakeGptNeoX},
    {"GptOssForCausalLM", MakeGptOss},
    {"LlamaForCausalLM", MakeLlama},
    {"MistralForCausalLM", MakeMistral},
    {"Olmo2ForCausalLM", MakeOlmo2},
    {"Olmo3ForCausalLM", MakeOlmo3},
    {"OlmoForCausalLM", MakeOlmo},
    {"OlmoeForCausalLM", MakeOlmoe},
    {"Qwen2ForCausalLM", MakeQwen2},
    {"Qwen3ForCausalLM", MakeQwen3},
};

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
  const auto name = config.Architecture();
  if (!name.ok()) return name.status();
  absl::Status quantised = RefuseQuantised(config);
  if (!quantised.ok()) return quantised;
  for (const Row& row : kTable) {
    if (*name == row.name) return row.make(config);
  }
  return absl::UnimplementedError(
      absl::StrCat(config.path(), ": architecture ", files::Quoted(*name),
                   " is not implemented; known: ",
                   absl::StrJoin(ArchitectureNames(), ", ")));
}

std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Row& row : kTable) names.push_back(row.name);
  return names;
}

}  // namespace sinkwatch::model

#include "worker/model/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/checkpoint/strict_json.h"
#include "worker/model/architectures.h"

namespace sinkwatch::model {
namespace {

struct Row {
  const char* name;
  ArchitectureFactory* make;
};

constexpr Row kTable[] = {
    {"BigramBackcopyForCausalLM", MakeBigramBackcopy},
    {"LlamaForCausalLM", MakeLlama},
    {"MistralForCausalLM", MakeMistral},
    {"Olmo2ForCausalLM", MakeOlmo2},
    {"Olmo3ForCausalLM", MakeOlmo3},
    {"OlmoForCausalLM", MakeOlmo},
    {"Qwen2ForCausalLM", MakeQwen2},
    {"Qwen3ForCausalLM", MakeQwen3},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Architecture>> CreateArchitecture(
    const checkpoint::Config& config) {
  const auto name = config.Architecture();
  if (!name.ok()) return name.status();
  for (const Row& row : kTable) {
    if (*name == row.name) return row.make(config);
  }
  return absl::UnimplementedError(
      absl::StrCat(config.path(), ": architecture ", checkpoint::Quoted(*name),
                   " is not implemented; known: ",
                   absl::StrJoin(ArchitectureNames(), ", ")));
}

std::vector<std::string> ArchitectureNames() {
  std::vector<std::string> names;
  for (const Row& row : kTable) names.push_back(row.name);
  return names;
}

}  // namespace sinkwatch::model

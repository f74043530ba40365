#include "worker/checkpoint/config/text_config.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

// Whether the output matrix is the embedding, where the outer config is silent.
enum class Tied { kNo, kYes, kAsTextSays };

struct Wrapper {
  const char* model_type;
  const char* text_type;  // where text_config does not say
  Tied tied;
};

// As the configuration classes of transformers 5.24 have it.
constexpr Wrapper kWrappers[] = {
    {"gemma3", "gemma3_text", Tied::kYes},
    {"idefics3", "llama", Tied::kNo},
    {"internvl", "qwen2", Tied::kYes},
    {"llava", "llama", Tied::kAsTextSays},
    {"llava_next", "llama", Tied::kAsTextSays},
    {"mistral3", "mistral", Tied::kYes},
    {"qwen3_5", "qwen3_5_text", Tied::kNo},
    {"qwen3_5_moe", "qwen3_5_moe_text", Tied::kNo},
    {"smolvlm", "llama", Tied::kNo},
};

struct Defaults {
  const char* model_type;
  const char* keys;
};

constexpr Defaults kDefaults[] = {
    {"gemma3_text", R"({"vocab_size": 262208, "hidden_size": 2304,
      "intermediate_size": 9216, "num_hidden_layers": 26,
      "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
      "max_position_embeddings": 131072})"},
    {"llama", R"({"vocab_size": 32000, "hidden_size": 4096,
      "intermediate_size": 11008, "num_hidden_layers": 32,
      "num_attention_heads": 32, "max_position_embeddings": 2048})"},
    {"mistral", R"({"vocab_size": 32000, "hidden_size": 4096,
      "intermediate_size": 14336, "num_hidden_layers": 32,
      "num_attention_heads": 32, "num_key_value_heads": 8,
      "max_position_embeddings": 131072})"},
    {"qwen2", R"({"vocab_size": 151936, "hidden_size": 4096,
      "intermediate_size": 22016, "num_hidden_layers": 32,
      "num_attention_heads": 32, "num_key_value_heads": 32,
      "max_position_embeddings": 32768})"},
};

const Wrapper* WrapperOf(const std::string& model_type) {
  const auto* const found = std::find_if(
      std::begin(kWrappers), std::end(kWrappers),
      [&](const Wrapper& row) { return model_type == row.model_type; });
  return found == std::end(kWrappers) ? nullptr : found;
}

void RefuseWrapper(files::Fields& fields, const std::string& model_type) {
  std::vector<std::string> known;
  for (const Wrapper& wrapper : kWrappers) {
    known.emplace_back(wrapper.model_type);
  }
  fields.Unsupported(absl::StrCat(
      "key 'model_type' ", files::Quoted(model_type),
      " with a text_config (known: ", absl::StrJoin(known, ", "), ")"));
}

void FillDefaults(const std::string& text_type, Json& keys) {
  for (const Defaults& row : kDefaults) {
    if (text_type != row.model_type) continue;
    const Json defaults = Json::parse(row.keys);
    for (const auto& [key, value] : defaults.items()) {
      if (!keys.contains(key)) keys[key] = value;
    }
  }
}

bool IsTied(files::Fields& fields, files::Fields& text, Tied fallback) {
  const bool own = text.BoolOr("tie_word_embeddings", false);
  const bool outer =
      fields.BoolOr("tie_word_embeddings", fallback == Tied::kYes);
  return outer || (fallback == Tied::kAsTextSays && own);
}

}  // namespace

bool HasTextConfig(const Json& root) {
  const auto text = root.find("text_config");
  return text != root.end() && text->is_object() &&
         !root.contains("num_hidden_layers");
}

absl::StatusOr<Json> TranslateTextConfig(const Json& root) {
  files::Fields fields(root);
  const std::string model_type = fields.StringOr("model_type", "");
  const Wrapper* const wrapper = WrapperOf(model_type);
  if (wrapper == nullptr) RefuseWrapper(fields, model_type);
  fields.RequireAbsent("auto_map", "code of the folder's own");
  files::Fields text = fields.RequiredSection("text_config");
  if (!fields.status().ok()) return fields.status();
  Json keys = text.json();
  const std::string text_type = text.StringOr("model_type", wrapper->text_type);
  keys["model_type"] = text_type;
  keys.erase("architectures");  // of the text model by itself, or a copy
  keys["tie_word_embeddings"] = IsTied(fields, text, wrapper->tied);
  if (fields.Has("quantization_config")) {
    keys["quantization_config"] = root.at("quantization_config");
  }
  FillDefaults(text_type, keys);
  // Gemma3ForConditionalGeneration does not look at it.
  if (model_type == "gemma3") keys.erase("final_logit_softcapping");
  if (!fields.status().ok()) return fields.status();
  return keys;
}

}  // namespace sinkwatch::checkpoint

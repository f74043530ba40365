#include "worker/checkpoint/config/config.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxConfigDepth = 32;

// What config.json files without `architectures` mean.
struct ModelType {
  const char* model_type;
  const char* architecture;
};
constexpr ModelType kModelTypes[] = {
    {"bigram_backcopy", "BigramBackcopyForCausalLM"},
    {"gpt2", "GPT2LMHeadModel"},
    {"gpt_neox", "GPTNeoXForCausalLM"},
    {"gpt_oss", "GptOssForCausalLM"},
    {"llama", "LlamaForCausalLM"},
    {"mistral", "MistralForCausalLM"},
    {"olmo", "OlmoForCausalLM"},
    {"olmo2", "Olmo2ForCausalLM"},
    {"olmo3", "Olmo3ForCausalLM"},
    {"olmoe", "OlmoeForCausalLM"},
    {"qwen2", "Qwen2ForCausalLM"},
    {"qwen3", "Qwen3ForCausalLM"},
};

// nullptr if `key` is not in `object`, or null.
const Json* FindIn(const Json& object, const std::string& key) {
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::Status RuleError(const std::string& path, const std::string& key,
                       absl::string_view rule) {
  return absl::DataLossError(
      absl::StrCat(path, ": key ", files::Quoted(key), ": ", rule));
}

absl::StatusOr<double> PositiveNumber(const std::string& path,
                                      const std::string& key,
                                      const Json& value) {
  if (!value.is_number()) return RuleError(path, key, "must be a number");
  double number = value.get<double>();
  if (std::isfinite(number) && number > 0) return number;
  return RuleError(path, key, "must be a finite number above 0");
}

absl::Status ParseError(const std::string& path, const absl::Status& error) {
  std::string message = absl::StrCat(path, ": ", error.message());
  // A file that ends too early is what a writer leaves behind half-way.
  if (absl::IsOutOfRange(error)) {
    return absl::FailedPreconditionError(message);
  }
  // Nothing is wrong with the file but that it is beyond our limits.
  if (absl::IsResourceExhausted(error))
    return absl::UnimplementedError(message);
  return absl::DataLossError(message);
}

}  // namespace

Config::Config(std::string path, Json json)
    : path_(std::move(path)), json_(std::move(json)) {}

absl::StatusOr<Config> Config::Read(const std::string& path) {
  absl::StatusOr<std::string> text =
      files::ReadWholeFile(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  return Parse(path, *text);
}

absl::StatusOr<Config> Config::Parse(const std::string& path,
                                     const std::string& text) {
  if (static_cast<int64_t>(text.size()) > kMaxConfigBytes) {
    return absl::UnimplementedError(
        absl::StrCat(path, ": above ", kMaxConfigBytes,
                     " bytes, the most that is read of a config"));
  }
  files::JsonLimits limits;
  limits.depth = kMaxConfigDepth;
  absl::StatusOr<Json> json = files::ParseJsonObject(text, limits);
  if (!json.ok()) return ParseError(path, json.status());
  return Config(path, *std::move(json));
}

absl::StatusOr<std::string> Config::Architecture() const {
  if (const Json* names = FindIn(json_, "architectures")) {
    if (!names->is_array() || names->empty() || !names->front().is_string()) {
      return RuleError(path_, "architectures", "must be a list of names");
    }
    return names->front().get<std::string>();
  }
  absl::StatusOr<std::string> model_type = StringOr("model_type", "");
  if (!model_type.ok()) return model_type;
  for (const ModelType& known : kModelTypes) {
    if (*model_type == known.model_type) {
      return std::string(known.architecture);
    }
  }
  if (!model_type->empty()) {
    return absl::UnimplementedError(
        absl::StrCat(path_, ": key 'model_type': ", files::Quoted(*model_type),
                     " is not implemented"));
  }
  return absl::UnimplementedError(absl::StrCat(
      path_, ": neither key 'architectures' nor 'model_type' is there"));
}

bool Config::Has(const std::string& key) const {
  return FindIn(json_, key) != nullptr;
}

absl::StatusOr<int64_t> Config::Int(const std::string& key, int64_t low,
                                    int64_t high) const {
  const Json* value = FindIn(json_, key);
  if (value == nullptr) {
    return RuleError(path_, key, "is missing and has no default");
  }
  if (!value->is_number_integer()) {
    return RuleError(path_, key, "must be an integer");
  }
  const bool fits =
      !value->is_number_unsigned() ||
      value->get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()};
  const int64_t number = value->get<int64_t>();
  if (fits && number >= low && number <= high) return number;
  return RuleError(
      path_, key,
      absl::StrCat(value->dump(), " is not in [", low, ", ", high, "]"));
}

absl::StatusOr<int64_t> Config::IntOr(const std::string& key, int64_t low,
                                      int64_t high, int64_t fallback) const {
  if (!Has(key)) return fallback;
  return Int(key, low, high);
}

absl::StatusOr<double> Config::PositiveOr(const std::string& key,
                                          double fallback) const {
  const Json* value = FindIn(json_, key);
  if (value == nullptr) return fallback;
  return PositiveNumber(path_, key, *value);
}

absl::StatusOr<bool> Config::BoolOr(const std::string& key,
                                    bool fallback) const {
  const Json* value = FindIn(json_, key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  return RuleError(path_, key, "must be true or false");
}

absl::StatusOr<std::string> Config::StringOr(
    const std::string& key, const std::string& fallback) const {
  const Json* value = FindIn(json_, key);
  if (value == nullptr) return fallback;
  if (value->is_string()) return value->get<std::string>();
  return RuleError(path_, key, "must be a string");
}

absl::StatusOr<Config> Config::Section(const std::string& key) const {
  const Json* value = FindIn(json_, key);
  const std::string path = absl::StrCat(path_, ": ", key);
  if (value == nullptr) return Config(path, Json::object());
  if (value->is_object()) return Config(path, *value);
  return RuleError(path_, key, "must be an object or null");
}

absl::Status Config::Unsupported(const std::string& what) const {
  return absl::UnimplementedError(
      absl::StrCat(path_, ": ", what, " is not implemented"));
}

absl::Status Config::Contradiction(const std::string& what) const {
  return absl::DataLossError(absl::StrCat(path_, ": ", what));
}

}  // namespace sinkwatch::checkpoint

#include "worker/checkpoint/config.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/checkpoint/file.h"
#include "worker/checkpoint/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxConfigBytes = 1 << 20;
constexpr size_t kMaxConfigDepth = 32;

// What config.json files without `architectures` mean.
struct ModelType {
  const char* model_type;
  const char* architecture;
};
constexpr ModelType kModelTypes[] = {
    {"bigram_backcopy", "bigram_backcopy"},
    {"llama", "LlamaForCausalLM"},
    {"olmo", "OlmoForCausalLM"},
};

// nullptr if `key` is not in `object`, or null.
const Json* FindIn(const Json& object, const std::string& key) {
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

absl::Status RuleError(const std::string& path, const std::string& key,
                       absl::string_view rule) {
  return absl::DataLossError(
      absl::StrCat(path, ": key ", Quoted(key), ": ", rule));
}

absl::StatusOr<double> PositiveNumber(const std::string& path,
                                      const std::string& key,
                                      const Json& value) {
  if (!value.is_number()) return RuleError(path, key, "must be a number");
  double number = value.get<double>();
  if (std::isfinite(number) && number > 0) return number;
  return RuleError(path, key, "must be a finite number above 0");
}

// Refuses every way of turning positions that is not plain RoPE over the whole
// head. `object` holds the keys of one layer type; `where` names it.
absl::Status CheckPlainRope(const std::string& path, const std::string& where,
                            const Json& object) {
  for (const char* key : {"rope_type", "type"}) {  // today's name, older name
    const Json* type = FindIn(object, key);
    if (type == nullptr) continue;
    if (!type->is_string()) {
      return RuleError(path, absl::StrCat(where, ".", key), "must be a string");
    }
    if (*type == "default") continue;
    return absl::UnimplementedError(absl::StrCat(
        path, ": key ", Quoted(absl::StrCat(where, ".", key)), ": rope type ",
        Quoted(type->get<std::string>()), " is not implemented"));
  }
  const Json* factor = FindIn(object, "partial_rotary_factor");
  if (factor == nullptr || *factor == 1) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat(path, ": key ", Quoted(where),
                   ": partial_rotary_factor other than 1 is not implemented"));
}

// The theta of rope_parameters, which is one object, or one per layer type.
absl::StatusOr<double> ThetaOfParameters(const std::string& path,
                                         const std::string& where,
                                         const Json& parameters,
                                         double fallback) {
  if (!parameters.is_object()) {
    return RuleError(path, where, "must be an object");
  }
  if (absl::Status s = CheckPlainRope(path, where, parameters); !s.ok()) {
    return s;
  }
  if (const Json* theta = FindIn(parameters, "rope_theta")) {
    return PositiveNumber(path, absl::StrCat(where, ".rope_theta"), *theta);
  }
  return fallback;
}

absl::StatusOr<double> ThetaOfLayerTypes(const std::string& path,
                                         const Json& parameters,
                                         double fallback) {
  double common = 0;
  for (const auto& [layer_type, of_type] : parameters.items()) {
    absl::StatusOr<double> theta = ThetaOfParameters(
        path, absl::StrCat("rope_parameters.", layer_type), of_type, fallback);
    if (!theta.ok()) return theta;
    if (common != 0 && *theta != common) {
      return absl::UnimplementedError(
          absl::StrCat(path,
                       ": key 'rope_parameters': layer types with different "
                       "rope_theta are not implemented"));
    }
    common = *theta;
  }
  return common;
}

bool IsByLayerType(const Json& parameters) {
  if (!parameters.is_object() || parameters.empty()) return false;
  for (const Json& value : parameters) {
    if (!value.is_object()) return false;
  }
  return true;
}

absl::Status ParseError(const std::string& path, const absl::Status& error) {
  std::string message = absl::StrCat(path, ": ", error.message());
  // A file that ends too early is what a writer leaves behind half-way.
  if (absl::IsOutOfRange(error)) {
    return absl::FailedPreconditionError(message);
  }
  return absl::DataLossError(message);
}

}  // namespace

Config::Config(std::string path, Json json)
    : path_(std::move(path)), json_(std::move(json)) {}

absl::StatusOr<Config> Config::Read(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxConfigBytes);
  if (!text.ok()) return text.status();
  return Parse(path, *text);
}

absl::StatusOr<Config> Config::Parse(const std::string& path,
                                     const std::string& text) {
  if (static_cast<int64_t>(text.size()) > kMaxConfigBytes) {
    return absl::DataLossError(absl::StrCat(path, ": above ", kMaxConfigBytes,
                                            " bytes, the most a config has"));
  }
  JsonLimits limits;
  limits.depth = kMaxConfigDepth;
  absl::StatusOr<Json> json = ParseJsonObject(text, limits);
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
        absl::StrCat(path_, ": key 'model_type': ", Quoted(*model_type),
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

absl::StatusOr<double> Config::RopeTheta(double fallback) const {
  // Both generations may be there; a scaling in either must not be missed.
  if (const Json* scaling = FindIn(json_, "rope_scaling")) {
    if (!scaling->is_object()) {
      return RuleError(path_, "rope_scaling", "must be an object or null");
    }
    absl::Status s = CheckPlainRope(path_, "rope_scaling", *scaling);
    if (!s.ok()) return s;
  }
  absl::StatusOr<double> theta = PositiveOr("rope_theta", fallback);
  if (!theta.ok()) return theta;
  const Json* parameters = FindIn(json_, "rope_parameters");
  if (parameters == nullptr) return theta;
  if (IsByLayerType(*parameters)) {
    return ThetaOfLayerTypes(path_, *parameters, *theta);
  }
  return ThetaOfParameters(path_, "rope_parameters", *parameters, *theta);
}

}  // namespace sinkwatch::checkpoint

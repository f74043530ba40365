#include "worker/model/rope.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ATen/ops/empty.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/files/strict_json.h"

namespace sinkwatch::model {
namespace {

using checkpoint::Config;
using files::Quoted;
using Json = nlohmann::json;

constexpr double kTwoPi = 6.283185307179586;
constexpr int64_t kMaxPositions = int64_t{1} << 24;

std::vector<double> PlainFrequencies(int64_t width, double theta) {
  std::vector<double> inverse(width / 2);
  for (size_t i = 0; i < inverse.size(); ++i) {
    inverse[i] = std::pow(
        theta, -2.0 * static_cast<double>(i) / static_cast<double>(width));
  }
  return inverse;
}

Rope RopeOf(const std::vector<double>& inverse, double attention_factor) {
  Rope rope;
  rope.attention_factor = attention_factor;
  rope.inverse_F =
      at::empty({static_cast<int64_t>(inverse.size())}, at::kFloat);
  float* const values = rope.inverse_F.data_ptr<float>();
  for (size_t i = 0; i < inverse.size(); ++i) {
    values[i] = static_cast<float>(inverse[i]);
  }
  return rope;
}

absl::StatusOr<std::string> TypeOf(const Config& section) {
  const auto older = section.StringOr("type", "default");
  if (!older.ok()) return older;
  return section.StringOr("rope_type", *older);
}

int CountOf(const Json& object, bool (*is)(const Json&)) {
  return static_cast<int>(std::count_if(object.begin(), object.end(), is));
}

// rope_parameters itself, or its object of the layer type.
absl::StatusOr<Config> OfLayerType(const Config& parameters,
                                   const std::string& layer_type,
                                   const RopeFamily& family) {
  const Json& json = parameters.json();
  const int objects =
      CountOf(json, [](const Json& value) { return value.is_object(); });
  if (objects == 0) {
    const auto type = TypeOf(parameters);
    if (!type.ok()) return type.status();
    if (*type == "default" || !family.scales_full_layers_only) {
      return parameters;
    }
    return parameters.Unsupported(absl::StrCat(
        "rope type ", Quoted(*type), " that is not given by layer type"));
  }
  const int empty =
      CountOf(json, [](const Json& value) { return value.is_null(); });
  if (objects + empty == static_cast<int>(json.size())) {
    return parameters.Section(layer_type);
  }
  return parameters.Unsupported("a mix of layer types and values");
}

// Today's name of a key of an older generation.
std::string TodaysName(const std::string& key) {
  return key == "type" ? "rope_type" : key;
}

// rope_scaling beside rope_parameters must say nothing of its own.
absl::Status CheckAgrees(const Config& scaling, const Config& parameters) {
  const auto type = TypeOf(scaling);
  if (!type.ok()) return type.status();
  if (*type == "default") return absl::OkStatus();
  for (const auto& [key, value] : scaling.json().items()) {
    const auto found = parameters.json().find(TodaysName(key));
    if (found != parameters.json().end() && *found == value) continue;
    return scaling.Unsupported(
        absl::StrCat(Quoted(absl::StrCat(key, " ", value.dump())),
                     " beside a rope_parameters "
                     "that does not say so"));
  }
  return absl::OkStatus();
}

// The object that describes `layer_type`, empty where nothing does.
absl::StatusOr<Config> FindSection(const Config& config,
                                   const std::string& layer_type,
                                   const RopeFamily& family) {
  const auto scaling = config.Section("rope_scaling");
  if (!scaling.ok()) return scaling;
  auto parameters = config.Section("rope_parameters");
  if (!parameters.ok()) return parameters;
  if (parameters->json().empty()) {
    const bool scaled =
        !family.scales_full_layers_only || layer_type == "full_attention";
    return scaled ? scaling : Config::Parse(config.path(), "{}");
  }
  absl::Status agrees = CheckAgrees(*scaling, *parameters);
  if (!agrees.ok()) return agrees;
  return OfLayerType(*parameters, layer_type, family);
}

absl::StatusOr<double> ReadTheta(const Config& config, const Config& section,
                                 double fallback) {
  const auto neox = config.PositiveOr("rotary_emb_base", fallback);
  if (!neox.ok()) return neox;
  const auto outside = config.PositiveOr("rope_theta", *neox);
  if (!outside.ok()) return outside;
  return section.PositiveOr("rope_theta", *outside);
}

// How many elements of a head are turned.
absl::StatusOr<int64_t> ReadWidth(const Config& config, const Config& section,
                                  int64_t head_dim, const RopeFamily& family) {
  const auto neox =
      config.PositiveOr("rotary_pct", family.partial_factor.value_or(1.0));
  if (!neox.ok()) return neox.status();
  const auto outside = config.PositiveOr("partial_rotary_factor", *neox);
  if (!outside.ok()) return outside.status();
  const auto factor = section.PositiveOr("partial_rotary_factor", *outside);
  if (!factor.ok()) return factor.status();
  if (!family.partial_factor.has_value() && *factor != 1.0) {
    return section.Unsupported(
        absl::StrCat("partial_rotary_factor ", *factor,
                     " in a family that turns whole heads"));
  }
  const auto width = static_cast<int64_t>(static_cast<double>(head_dim) *
                                          std::min(*factor, 2.0));
  if (width >= 2 && width <= head_dim && width % 2 == 0) return width;
  return config.Contradiction(
      absl::StrCat("head_dim ", head_dim, ": ", width,
                   " elements of a head cannot have rotary positions, "
                   "it takes an even number"));
}

absl::StatusOr<double> RequiredPositive(const Config& section,
                                        const std::string& key) {
  if (section.Has(key)) return section.PositiveOr(key, 1.0);
  return section.Contradiction(absl::StrCat("key '", key, "' is missing"));
}

// Positions that the model saw before its scaling. A key beside the section
// counts first (Phi's habit), max_position_embeddings last.
absl::StatusOr<double> ReadOriginalPositions(const Config& config,
                                             const Config& section,
                                             const ModelShape& shape) {
  const std::string key = "original_max_position_embeddings";
  const bool outside = config.Has(key), inside = section.Has(key);
  if (!outside && !inside && shape.max_positions == 0) {
    return section.Contradiction(absl::StrCat("key '", key, "' is missing"));
  }
  const auto positions = (outside ? config : section)
                             .IntOr(key, 1, kMaxPositions, shape.max_positions);
  if (!positions.ok()) return positions.status();
  return static_cast<double>(*positions);
}

absl::StatusOr<Rope> ReadLinear(const Config& section,
                                std::vector<double> inverse) {
  const auto factor = RequiredPositive(section, "factor");
  if (!factor.ok()) return factor.status();
  for (double& frequency : inverse) frequency /= *factor;
  return RopeOf(inverse, 1.0);
}

// Llama 3.1: long waves are stretched by `factor`, short ones are not, those in
// between by a mean of both.
absl::StatusOr<Rope> ReadLlama3(const Config& section, double original,
                                std::vector<double> inverse) {
  const auto factor = RequiredPositive(section, "factor");
  if (!factor.ok()) return factor.status();
  const auto low = RequiredPositive(section, "low_freq_factor");
  if (!low.ok()) return low.status();
  const auto high = RequiredPositive(section, "high_freq_factor");
  if (!high.ok()) return high.status();
  if (*high <= *low) {
    return section.Contradiction(
        "high_freq_factor must be above "
        "low_freq_factor");
  }
  for (double& frequency : inverse) {
    const double turns = original * frequency / kTwoPi;
    const double kept = std::clamp((turns - *low) / (*high - *low), 0.0, 1.0);
    frequency = (1 - kept) * frequency / *factor + kept * frequency;
  }
  return RopeOf(inverse, 1.0);
}

struct Yarn {
  double theta = 0, original = 0, factor = 0, attention_factor = 0;
  double beta_fast = 0, beta_slow = 0;
  bool truncate = true;
};

absl::StatusOr<Yarn> ReadYarn(const Config& section, const ModelShape& shape,
                              double theta, double original) {
  for (const char* key : {"mscale", "mscale_all_dim"}) {
    if (section.Has(key)) return section.Unsupported(key);
  }
  Yarn yarn;
  yarn.theta = theta;
  yarn.original = original;
  const bool implied = !section.Has("factor") && shape.max_positions > 0;
  const auto factor =
      implied ? absl::StatusOr<double>(
                    static_cast<double>(shape.max_positions) / original)
              : RequiredPositive(section, "factor");
  if (!factor.ok()) return factor.status();
  yarn.factor = *factor;
  const auto attention = section.PositiveOr(
      "attention_factor", *factor <= 1 ? 1.0 : 0.1 * std::log(*factor) + 1.0);
  if (!attention.ok()) return attention.status();
  yarn.attention_factor = *attention;
  const auto fast = section.PositiveOr("beta_fast", 32);
  if (!fast.ok()) return fast.status();
  yarn.beta_fast = *fast;
  const auto slow = section.PositiveOr("beta_slow", 1);
  if (!slow.ok()) return slow.status();
  yarn.beta_slow = *slow;
  const auto truncate = section.BoolOr("truncate", true);
  if (!truncate.ok()) return truncate.status();
  yarn.truncate = *truncate;
  if (yarn.beta_fast < yarn.beta_slow || theta <= 1) {
    return section.Contradiction(
        "yarn needs beta_fast >= beta_slow and rope_theta > 1");
  }
  return yarn;
}

// arXiv 2309.00071: pairs that turn more than beta_fast times over the original
// positions stay, those below beta_slow are stretched, a ramp lies between.
Rope StretchByYarn(const Yarn& yarn, std::vector<double> inverse) {
  const double width = 2.0 * static_cast<double>(inverse.size());
  const auto pair_that_turns = [&](double times) {
    return width * std::log(yarn.original / (times * kTwoPi)) /
           (2 * std::log(yarn.theta));
  };
  double low = pair_that_turns(yarn.beta_fast);
  double high = pair_that_turns(yarn.beta_slow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, width - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < inverse.size(); ++i) {
    const double ramp =
        std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    inverse[i] = inverse[i] / yarn.factor * ramp + inverse[i] * (1 - ramp);
  }
  return RopeOf(inverse, yarn.attention_factor);
}

}  // namespace

Rope PlainRope(int64_t width, double theta) {
  return RopeOf(PlainFrequencies(width, theta), 1.0);
}

absl::StatusOr<Rope> ReadRope(const Config& config, const ModelShape& shape,
                              const std::string& layer_type,
                              const RopeFamily& family) {
  const auto section = FindSection(config, layer_type, family);
  if (!section.ok()) return section.status();
  const auto type = TypeOf(*section);
  if (!type.ok()) return type.status();
  const auto theta = ReadTheta(config, *section, family.theta);
  if (!theta.ok()) return theta.status();
  const auto width = ReadWidth(config, *section, shape.head_dim, family);
  if (!width.ok()) return width.status();
  if (*type == "default") return PlainRope(*width, *theta);

  const std::vector<double> inverse = PlainFrequencies(*width, *theta);
  if (*type == "linear") return ReadLinear(*section, inverse);
  if (*type != "llama3" && *type != "yarn") {
    return section->Unsupported(absl::StrCat("rope type ", Quoted(*type)));
  }
  const auto original = ReadOriginalPositions(config, *section, shape);
  if (!original.ok()) return original.status();
  if (*type == "llama3") return ReadLlama3(*section, *original, inverse);
  const auto yarn = ReadYarn(*section, shape, *theta, *original);
  if (!yarn.ok()) return yarn.status();
  return StretchByYarn(*yarn, inverse);
}

}  // namespace sinkwatch::model

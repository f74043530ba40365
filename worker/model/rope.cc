#include "worker/model/rope.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ATen/ops/empty.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/files/strict_json.h"

namespace sinkwatch::model {
namespace {

using files::Fields;
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

std::string TypeOf(Fields& section) {
  return section.StringOr("rope_type", section.StringOr("type", "default"));
}

int CountOf(const Json& object, bool (*is)(const Json&)) {
  return static_cast<int>(std::count_if(object.begin(), object.end(), is));
}

// The object that describes a layer type.
struct Section {
  Fields fields;
  bool by_layer_type = false;  // it is one of several
};

Section Nothing(const Fields& config, bool by_layer_type) {
  static const Json* const nothing = new Json(Json::object());
  return {config.Part(*nothing, ""), by_layer_type};
}

// An object of an older generation under today's names.
Json Renamed(const Json& section) {
  Json renamed = Json::object();
  for (const auto& [key, value] : section.items()) {
    renamed[key == "type" ? "rope_type" : key] = value;
  }
  return renamed;
}

double OuterTheta(Fields& config, const RopeFamily& family) {
  return config.PositiveOr(family.theta_key, family.theta);
}

// What rope_parameters without layer types says to a family that has it by
// layer type: nothing.
void CheckSaysNothing(Fields& parameters, double theta) {
  const std::string type = TypeOf(parameters);
  if (type != "default") {
    parameters.Unsupported(absl::StrCat("rope type ", Quoted(type),
                                        " that is not given by layer type"));
  } else if (parameters.PositiveOr("rope_theta", theta) != theta) {
    parameters.Unsupported("a rope_theta that is not given by layer type");
  }
}

// rope_parameters itself, or its object of the layer type.
Section OfLayerType(Fields& config, Fields& parameters,
                    const std::string& layer_type, const RopeFamily& family) {
  const Json& json = parameters.json();
  const int objects =
      CountOf(json, [](const Json& value) { return value.is_object(); });
  const int empty =
      CountOf(json, [](const Json& value) { return value.is_null(); });
  if (objects > 0 && objects + empty == static_cast<int>(json.size())) {
    return {parameters.Section(layer_type.c_str()), true};
  }
  if (objects > 0) {
    parameters.Unsupported("a mix of layer types and values");
  } else if (family.by_layer_type) {
    if (layer_type == "full_attention") {
      CheckSaysNothing(parameters, OuterTheta(config, family));
    }
    return Nothing(config, true);
  }
  return {parameters, false};
}

// rope_scaling beside rope_parameters must say what that says.
void CheckAgrees(Fields& config, Fields& scaling, const Fields& parameters,
                 const RopeFamily& family) {
  Json said = {{"rope_type", "default"},
               {"rope_theta", OuterTheta(config, family)}};
  said.update(Renamed(scaling.json()));
  Json wanted = parameters.json();
  wanted.emplace("rope_type", "default");
  wanted.emplace("rope_theta", said["rope_theta"]);
  for (const auto& [key, value] : said.items()) {
    const auto found = wanted.find(key);
    if (found != wanted.end() && *found == value) continue;
    scaling.Unsupported(
        absl::StrCat(Quoted(absl::StrCat(key, " ", value.dump())),
                     " beside a rope_parameters that does not say so"));
  }
  if (wanted.size() > said.size()) {
    scaling.Unsupported("less than the rope_parameters beside it");
  }
}

// The object that describes `layer_type`, empty where nothing does.
Section FindSection(Fields& config, const std::string& layer_type,
                    const RopeFamily& family) {
  Fields scaling = config.Section("rope_scaling");
  Fields parameters = config.Section("rope_parameters");
  if (!parameters.json().empty()) {
    if (!scaling.json().empty()) {
      CheckAgrees(config, scaling, parameters, family);
    }
    return OfLayerType(config, parameters, layer_type, family);
  }
  if (family.by_layer_type && layer_type != "full_attention") {
    return Nothing(config, true);
  }
  // transformers puts it into an object that has a rope_type already.
  if (family.by_layer_type && scaling.Has("type") &&
      !scaling.Has("rope_type")) {
    scaling.Unsupported("type in place of rope_type");
  }
  return {scaling, family.by_layer_type};
}

double ReadTheta(Fields& config, Fields& section, const std::string& layer_type,
                 const RopeFamily& family) {
  if (family.outer_theta_is_for_full_layers && layer_type != "full_attention" &&
      !section.Has("rope_theta")) {
    config.RequireNumber(family.theta_key, family.theta, family.theta);
  }
  return section.PositiveOr("rope_theta", OuterTheta(config, family));
}

// How many elements of a head are turned.
int64_t ReadWidth(Fields& config, Fields& section, int64_t head_dim,
                  const RopeFamily& family) {
  const double outside = config.PositiveOr(family.partial_key,
                                           family.partial_factor.value_or(1.0));
  const double factor = section.PositiveOr("partial_rotary_factor", outside);
  if (!family.partial_factor.has_value() && factor != 1.0) {
    section.Unsupported(absl::StrCat("partial_rotary_factor ", factor,
                                     " in a family that turns whole heads"));
  }
  const auto width = static_cast<int64_t>(static_cast<double>(head_dim) *
                                          std::min(factor, 2.0));
  if (width >= 2 && width <= head_dim && width % 2 == 0) return width;
  config.Contradiction(
      absl::StrCat("head_dim ", head_dim, ": ", width,
                   " elements of a head cannot have rotary positions, "
                   "it takes an even number"));
  return 2;
}

// Positions that the model saw before its scaling. A key beside the section
// counts first (Phi's habit), unless there are several, max_position_embeddings
// last.
double ReadOriginalPositions(Fields& config, Section& section,
                             const ModelShape& shape) {
  const char* const key = "original_max_position_embeddings";
  Fields& said =
      !section.by_layer_type && config.Has(key) ? config : section.fields;
  return static_cast<double>(
      shape.max_positions > 0
          ? said.IntOr(key, 1, kMaxPositions, shape.max_positions)
          : said.Int(key, 1, kMaxPositions));
}

Rope ReadLinear(Fields& section, std::vector<double> inverse) {
  const double factor = section.Positive("factor");
  for (double& frequency : inverse) frequency /= factor;
  return RopeOf(inverse, 1.0);
}

// Llama 3.1: long waves are stretched by `factor`, short ones are not, those in
// between by a mean of both.
Rope ReadLlama3(Fields& section, double original, std::vector<double> inverse) {
  const double factor = section.Positive("factor");
  const double low = section.Positive("low_freq_factor");
  const double high = section.Positive("high_freq_factor");
  if (high <= low) {
    section.Contradiction("high_freq_factor must be above low_freq_factor");
  }
  for (double& frequency : inverse) {
    const double turns = original * frequency / kTwoPi;
    const double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    frequency = (1 - kept) * frequency / factor + kept * frequency;
  }
  return RopeOf(inverse, 1.0);
}

struct Yarn {
  double theta = 0, original = 0, factor = 0, attention_factor = 0;
  double logit_factor = 1;
  double beta_fast = 0, beta_slow = 0;
  bool truncate = true;
};

// What YaRN makes of a factor: 1 + mscale ln(factor) / 10.
double YarnScale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// DeepSeek's: mscale is of cosine and sine, mscale_all_dim of the logits; 0 is
// as good as absent.
void ReadMscale(Fields& section, Yarn& yarn, double& attention_factor) {
  const double mscale = section.NumberOr("mscale", 0);
  const double all = section.NumberOr("mscale_all_dim", 0);
  if (mscale != 0 && all != 0) {
    attention_factor =
        YarnScale(yarn.factor, mscale) / YarnScale(yarn.factor, all);
  }
  if (all != 0) yarn.logit_factor = std::pow(YarnScale(yarn.factor, all), 2);
}

Yarn ReadYarn(Section& several, const ModelShape& shape, double theta,
              double original, bool has_mscale) {
  Fields& section = several.fields;
  for (const char* key : {"mscale", "mscale_all_dim"}) {
    if (!has_mscale && section.Has(key)) section.Unsupported(key);
  }
  Yarn yarn;
  yarn.theta = theta;
  yarn.original = original;
  const bool implied = section.IsNull("factor") && shape.max_positions > 0;
  yarn.factor = implied ? static_cast<double>(shape.max_positions) / original
                        : section.Positive("factor");
  double attention_factor = YarnScale(yarn.factor, 1);
  if (has_mscale) ReadMscale(section, yarn, attention_factor);
  yarn.attention_factor =
      section.PositiveOr("attention_factor", attention_factor);
  yarn.beta_fast = section.PositiveOr("beta_fast", 32);
  yarn.beta_slow = section.PositiveOr("beta_slow", 1);
  yarn.truncate = section.BoolOr("truncate", true);
  if (several.by_layer_type) section.RequireBool("truncate", true, true);
  if (yarn.beta_fast < yarn.beta_slow || theta <= 1) {
    section.Contradiction(
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
  Rope rope = RopeOf(inverse, yarn.attention_factor);
  rope.logit_factor = yarn.logit_factor;
  return rope;
}

}  // namespace

Rope PlainRope(int64_t width, double theta) {
  return RopeOf(PlainFrequencies(width, theta), 1.0);
}

Rope ReadRope(Fields& config, const ModelShape& shape,
              const std::string& layer_type, const RopeFamily& family) {
  Section found = FindSection(config, layer_type, family);
  Fields& section = found.fields;
  const std::string type = TypeOf(section);
  const double theta = ReadTheta(config, section, layer_type, family);
  const int64_t head =
      family.rotated_head > 0 ? family.rotated_head : shape.head_dim;
  const int64_t width = ReadWidth(config, section, head, family);
  if (type == "default") return PlainRope(width, theta);

  const std::vector<double> inverse = PlainFrequencies(width, theta);
  if (type == "linear") return ReadLinear(section, inverse);
  if (type != "llama3" && type != "yarn") {
    section.Unsupported(absl::StrCat("rope type ", Quoted(type)));
    return PlainRope(width, theta);
  }
  const double original = ReadOriginalPositions(config, found, shape);
  if (type == "llama3") return ReadLlama3(section, original, inverse);
  const Yarn yarn = ReadYarn(found, shape, theta, original, family.has_mscale);
  return StretchByYarn(yarn, inverse);
}

}  // namespace sinkwatch::model

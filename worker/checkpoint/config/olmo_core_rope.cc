#include "worker/checkpoint/config/olmo_core_rope.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr double kPi = 3.14159265358979323846;
constexpr int64_t kMaxPositions = int64_t{1} << 30;

// Dimension at which a wave makes `turns` turns within the old context.
double YarnDimension(double turns, double old_length, double theta,
                     double head_dim) {
  return head_dim * std::log(old_length / (turns * 2 * kPi)) /
         (2 * std::log(theta));
}

void ReadYarn(files::Fields& scaling, int64_t head_dim, Json& rope) {
  const double factor = scaling.PositiveOr("factor", 8.0);
  const double beta_fast = scaling.PositiveOr("beta_fast", 32);
  const double beta_slow = scaling.PositiveOr("beta_slow", 1);
  const int64_t old_length =
      scaling.IntOr("old_context_len", 1, kMaxPositions, 8192);
  const double theta = rope["rope_theta"];
  rope["rope_type"] = "yarn";
  rope["factor"] = factor;
  rope["beta_fast"] = beta_fast;
  rope["beta_slow"] = beta_slow;
  rope["original_max_position_embeddings"] = old_length;
  rope["attention_factor"] = 0.1 * std::log(factor) + 1.0;
  // OLMo-core ends the ramp at head_dim / 2 - 1 at the latest, Hugging Face at
  // head_dim - 1; the same as long as neither has to.
  const double end = std::ceil(YarnDimension(
      beta_slow, static_cast<double>(old_length), theta, head_dim));
  if (!(end <= head_dim / 2 - 1)) {
    scaling.Refuse("beta_slow", "a ramp that is cut off is not implemented");
  }
}

void ReadLinear(files::Fields& scaling, Json& rope) {
  rope["rope_type"] = "linear";
  rope["factor"] = scaling.PositiveOr("factor", 2.0);
  scaling.RequireNumber("attention_rescale_factor", 1, 1);
}

void ReadStepwise(files::Fields& scaling, Json& rope) {
  rope["rope_type"] = "llama3";
  rope["factor"] = scaling.PositiveOr("factor", 32.0);
  const double low = scaling.NumberOr("low_freq_proportion", 0.0);
  const double high = scaling.PositiveOr("high_freq_proportion", 0.25);
  if (!(low >= 0 && low < 1)) {
    scaling.Fail("low_freq_proportion", "must be in [0, 1)");
  }
  rope["low_freq_factor"] = 1.0 / (1.0 - low);
  rope["high_freq_factor"] = 1.0 / high;
  rope["original_max_position_embeddings"] =
      scaling.IntOr("old_context_len", 1, kMaxPositions, 8192);
  scaling.RequireNumber("attention_rescale_factor", 1, 1);
}

// The one scaling of OLMo-core 1.x: Llama 3's, with Llama's own names.
void ReadFirstVersion(files::Fields& scaling, Json& rope) {
  rope["rope_type"] = "llama3";
  rope["factor"] = scaling.PositiveOr("factor", 32.0);
  rope["low_freq_factor"] = scaling.PositiveOr("low_freq_factor", 1.0);
  rope["high_freq_factor"] = scaling.PositiveOr("high_freq_factor", 4.0);
  rope["original_max_position_embeddings"] =
      scaling.IntOr("old_context_len", 1, kMaxPositions, 8192);
}

void ReadNewTheta(files::Fields& scaling, Json& rope) {
  rope["rope_theta"] = scaling.PositiveOr("new_theta", 8e6);
  scaling.RequireNumber("attention_rescale_factor", 1, 1);
}

void ReadScaling(files::Fields& rope_fields, int64_t head_dim, Json& rope) {
  if (!rope_fields.Has("scaling")) return;
  files::Fields scaling = rope_fields.RequiredSection("scaling");
  const std::string path = scaling.StringOr("_CLASS_", "");
  const std::string name = path.substr(path.rfind('.') + 1);
  if (name == "YaRNRoPEScalingConfig") {
    ReadYarn(scaling, head_dim, rope);
  } else if (name == "PIRoPEScalingConfig") {
    ReadLinear(scaling, rope);
  } else if (name == "StepwiseRoPEScalingConfig") {
    ReadStepwise(scaling, rope);
  } else if (name == "ABFRoPEScalingConfig") {
    ReadNewTheta(scaling, rope);
  } else if (name == "RoPEScalingConfig") {
    ReadFirstVersion(scaling, rope);
  } else {
    scaling.Refuse("_CLASS_",
                   absl::StrCat(files::Quoted(path), " is not implemented"));
  }
  scaling.Ignore({"type"});
  scaling.ExpectNoOther();
}

}  // namespace

Json ReadOlmoCoreRope(files::Fields& attention, int64_t head_dim) {
  Json rope = {{"rope_theta", 500000.0}, {"rope_type", "default"}};
  if (!attention.Has("rope")) {
    attention.Refuse("rope",
                     "is absent: attention without rotary positions is not "
                     "implemented");
    return rope;
  }
  files::Fields fields = attention.RequiredSection("rope");
  const std::string name = fields.StringOr("name", "default");
  if (name != "default") {
    // "complex" turns pairs (2i, 2i+1), "fused" comes with fused attention.
    fields.Refuse("name",
                  absl::StrCat(files::Quoted(name), " is not implemented"));
  }
  rope["rope_theta"] = fields.PositiveOr("theta", 500000);
  if (!(rope["rope_theta"] > 1.0)) fields.Fail("theta", "must be above 1");
  fields.RequireBool("no_global_rope", false, false);
  fields.RequireNumber("partial_rotary_factor", 1, 1);
  if (fields.status().ok()) ReadScaling(fields, head_dim, rope);
  // In float32 everything is of full precision.
  fields.Ignore({"full_precision", "_CLASS_", "type"});
  fields.ExpectNoOther();
  return rope;
}

}  // namespace sinkwatch::checkpoint

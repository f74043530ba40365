#include "worker/checkpoint/config/olmo_core_delta.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMax = int64_t{1} << 16;

// The trainer asks for a whole number too.
int64_t ValueWidth(files::Fields& delta, int64_t key_width) {
  const double wide =
      static_cast<double>(key_width) * delta.PositiveOr("expand_v", 2.0);
  if (wide >= 1 && wide <= kMax && std::abs(wide - std::round(wide)) < 1e-6) {
    return std::llround(wide);
  }
  delta.Fail("expand_v", "times head_dim must be a whole number in range");
  return 1;
}

}  // namespace

bool IsOlmoCoreDeltaNet(const Json& block, const char* mixer) {
  const auto found = block.find(mixer);
  return found != block.end() && found->is_object() &&
         found->value("type", Json()) == "gated_delta_net";
}

Json ReadOlmoCoreDeltaNet(files::Fields& block, const char* mixer,
                          int64_t width) {
  files::Fields delta = block.RequiredSection(mixer);
  const int64_t heads = delta.IntOr("n_heads", 1, kMax, 16);
  if (!delta.Has("head_dim") && width % heads != 0) {
    delta.Fail("n_heads", "does not divide d_model");
  }
  const int64_t key_width =
      delta.IntOr("head_dim", 1, kMax, std::max<int64_t>(width / heads, 1));
  Json keys = {
      {"linear_num_key_heads", heads},
      {"linear_num_value_heads", delta.IntOr("n_v_heads", 1, kMax, heads)},
      {"linear_key_head_dim", key_width},
      {"linear_value_head_dim", ValueWidth(delta, key_width)},
      {"linear_conv_kernel_dim", delta.IntOr("conv_size", 1, kMax, 4)},
      {"linear_allow_neg_eigval", delta.BoolOr("allow_neg_eigval", true)},
      {"linear_norm_after",
       block.StringOr("name", "default") == "reordered_norm"}};
  delta.RequireBool("conv_bias", false, false);
  delta.RequireNumber("norm_eps", 1e-5, 1e-5);
  delta.Ignore({"type", "dtype", "_CLASS_"});
  delta.ExpectNoOther();
  return keys;
}

}  // namespace sinkwatch::checkpoint

// DeepSeek-V3, as Hugging Face's DeepseekV3ForCausalLM: DeepSeek-V2 with a
// sigmoid router that chooses with a learned bias among the best groups, and a
// layer behind the last that predicts a token further (it is not read). The
// block is in mla_family.cc.
#include <memory>
#include <utility>

#include "worker/model/architectures.h"
#include "worker/model/mla_family.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeDeepseekV3(files::Fields& config) {
  MlaFamily deepseek = ReadMlaFamily(config, "DeepseekV3ForCausalLM");
  deepseek.dense_layers = static_cast<int>(
      config.IntOr("first_k_dense_replace", 0, deepseek.shape.layers, 3));
  deepseek.router = RouterKind::kSigmoidTopTwoOfGroups;
  // What Hugging Face's class takes for the width of the rotated part.
  config.RequireNumber("head_dim", static_cast<double>(deepseek.rotated),
                       static_cast<double>(deepseek.rotated));
  if (config.IsNull("head_dim")) config.Unsupported("head_dim null");
  deepseek.mixture.of_torchtitan = true;
  ReadGroups(config, deepseek);
  if (deepseek.mixture.counts.experts < 2 * deepseek.groups) {
    config.Contradiction("a group (n_group) must have two experts");
  }
  deepseek.mixture.renormalised = config.BoolOr("norm_topk_prob", true);
  deepseek.routed_scale = config.PositiveOr("routed_scaling_factor", 2.5);
  deepseek.pairs_side_by_side = config.BoolOr("rope_interleave", true);
  deepseek.shape.unread_layers =
      static_cast<int>(config.IntOr("num_nextn_predict_layers", 0, 64, 1));
  return MakeMlaFamily(std::move(deepseek));
}

}  // namespace sinkwatch::model

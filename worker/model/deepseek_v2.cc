// DeepSeek-V2, as Hugging Face's DeepseekV2ForCausalLM: latent attention,
// mixtures beside shared experts, a softmax router. The block is in
// mla_family.cc.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"
#include "worker/model/architectures.h"
#include "worker/model/mla_family.h"

namespace sinkwatch::model {

std::unique_ptr<Architecture> MakeDeepseekV2(files::Fields& config) {
  MlaFamily deepseek = ReadMlaFamily(config, "DeepseekV2ForCausalLM");
  deepseek.dense_layers = static_cast<int>(
      config.IntOr("first_k_dense_replace", 0, deepseek.shape.layers, 0));
  deepseek.routed_scale = config.PositiveOr("routed_scaling_factor", 1);
  // norm_topk_prob is a key that Hugging Face's class does not look at.
  // Of null Hugging Face's class makes no choice at all.
  if (config.IsNull("topk_method")) config.Unsupported("topk_method null");
  const std::string method = config.StringOr("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    deepseek.router = RouterKind::kSoftmaxBestOfGroups;
    ReadGroups(config, deepseek);
  } else if (method != "greedy") {
    config.Unsupported(absl::StrCat("topk_method ", files::Quoted(method)));
  }
  return MakeMlaFamily(std::move(deepseek));
}

}  // namespace sinkwatch::model

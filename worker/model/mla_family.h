#ifndef SINKWATCH_WORKER_MODEL_MLA_FAMILY_H_
#define SINKWATCH_WORKER_MODEL_MLA_FAMILY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/mixture.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

// How DeepSeek's router chooses: among all experts, or among those of the best
// groups only.
enum class RouterKind {
  kSoftmax,                // V2 "greedy"
  kSoftmaxBestOfGroups,    // V2 "group_limited_greedy": a group's largest
  kSigmoidTopTwoOfGroups,  // V3: a group's two largest, with a learned bias
};

// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): queries, and
// keys with values, come out of small vectors, and a part of each head is
// rotated, of keys one for all heads. Mixtures beside shared experts.
// deepseek_v2.cc and deepseek_v3.cc each read their config into one of these.
struct MlaFamily : SwiGluShape {  // head_dim: of queries and keys
  double norm_epsilon = 0;
  Rope rope;                       // of the rotated part
  bool pairs_side_by_side = true;  // elements (2i, 2i + 1) of it are turned
  int64_t query_rank = 0;          // 0: queries have one matrix
  int64_t key_value_rank = 0;
  int64_t rotated = 0, plain = 0, value_dim = 0;  // of a head
  bool attention_bias = false;
  int dense_layers = 0;  // the first; the others are mixtures
  SwiGluMixture mixture;
  int64_t shared_experts = 0;
  RouterKind router = RouterKind::kSoftmax;
  int64_t groups = 1, chosen_groups = 1;
  double routed_scale = 1;
};

// The keys that both have; the router's are left for the caller.
MlaFamily ReadMlaFamily(files::Fields& config, const std::string& architecture);

// n_group and topk_group, of which experts are shared out evenly.
void ReadGroups(files::Fields& config, MlaFamily& family);

std::unique_ptr<Architecture> MakeMlaFamily(MlaFamily family);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_MLA_FAMILY_H_

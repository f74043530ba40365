#ifndef SINKWATCH_WORKER_MODEL_QWEN3_NEXT_FAMILY_H_
#define SINKWATCH_WORKER_MODEL_QWEN3_NEXT_FAMILY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/delta_shape.h"
#include "worker/model/mixture.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

// The blocks of Qwen3-Next and Qwen3.5: gated delta networks and attention with
// a gate on what leaves it (arXiv 2505.06708) in turn, RMSNorms whose weight is
// added to 1, mixtures beside a gated shared expert. qwen3_next.cc, qwen3_5.cc
// and qwen3_5_moe.cc each read their config into one of these.
struct Qwen3NextFamily : SwiGluShape {
  double norm_epsilon = 0;
  bool attention_bias = false;
  Rope rope;
  DeltaShape delta;
  // The delta networks' q|k|v, gates, betas and decays come of matrices of
  // their own, and not by key head of two (Qwen3.5).
  bool split_projections = false;
  // Layers whose MLP is a mixture, one entry a layer.
  std::vector<bool> mixed;
  SwiGluMixture mixture;
  int64_t shared_width = 0;
};

// The keys that all of them have. `feed_forward` and the mixture are left for
// the caller; no layer is mixed.
Qwen3NextFamily ReadQwen3NextFamily(files::Fields& config,
                                    const std::string& architecture,
                                    int64_t default_kv_heads);

// Experts, their width and the shared one's.
void ReadQwen3NextMixture(files::Fields& config, Qwen3NextFamily& qwen);

std::unique_ptr<Architecture> MakeQwen3NextFamily(Qwen3NextFamily family);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_QWEN3_NEXT_FAMILY_H_

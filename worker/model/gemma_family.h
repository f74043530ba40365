#ifndef SINKWATCH_WORKER_MODEL_GEMMA_FAMILY_H_
#define SINKWATCH_WORKER_MODEL_GEMMA_FAMILY_H_

#include <memory>
#include <string>
#include <vector>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/gelu.h"
#include "worker/model/rope.h"

namespace sinkwatch::model {

// The block of Gemma 2 and 3; gemma2.cc and gemma3.cc each read their config
// into one of these.
struct GemmaFamily {
  ModelShape shape;
  int64_t feed_forward = 0;
  bool tied = true;
  double norm_epsilon = 0;
  GeluKind activation = GeluKind::kTanh;
  std::vector<Rope> ropes;  // one per layer
  bool attention_bias = false;
  // Queries and keys go through an RMSNorm over the width of a head (Gemma 3).
  bool head_norms = false;
  double final_soft_cap = 0;  // of the model's logits; 0: none
};

// The keys that both have; ropes, windows and soft caps of attention are left
// for the caller.
GemmaFamily ReadGemmaFamily(files::Fields& config,
                            const std::string& architecture);

// A soft cap: 0 where the key is null, `fallback` where it is absent.
double ReadSoftCap(files::Fields& config, const char* key, double fallback);

std::unique_ptr<Architecture> MakeGemmaFamily(GemmaFamily family);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_GEMMA_FAMILY_H_

#ifndef SINKWATCH_WORKER_MODEL_OLMO2_FAMILY_H_
#define SINKWATCH_WORKER_MODEL_OLMO2_FAMILY_H_

#include <memory>
#include <string>
#include <vector>

#include "worker/files/fields.h"
#include "worker/model/architecture.h"
#include "worker/model/attention_extras.h"
#include "worker/model/rope.h"
#include "worker/model/shape_config.h"

namespace sinkwatch::model {

// The block that OLMo 2 and 3 share; olmo2.cc and olmo3.cc read their configs
// into one of these.
struct Olmo2Family : SwiGluShape {
  double norm_epsilon = 0;
  bool attention_bias = false;
  AttentionExtras extras;
  std::vector<Rope> ropes;  // one per layer
};

// The keys that both have, but for rope and windows, which the caller reads.
Olmo2Family ReadOlmo2Family(files::Fields& config,
                            const std::string& architecture);

// Tensors in the schemes of Hugging Face, OLMo (norm_after) and OLMo-core
// (block `reordered_norm`).
std::unique_ptr<Architecture> MakeOlmo2Family(Olmo2Family family);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_OLMO2_FAMILY_H_

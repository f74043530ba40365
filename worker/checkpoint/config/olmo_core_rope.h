#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_ROPE_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_ROPE_H_

#include <cstdint>

#include "nlohmann/json.hpp"
#include "worker/files/fields.h"

namespace sinkwatch::checkpoint {

// Takes `rope` of an OLMo-core attention and returns what Hugging Face calls
// the rope_parameters of such a layer: rope_theta, rope_type ("default",
// "linear", "llama3" or "yarn") and that type's numbers. Errors go to
// `attention`.
nlohmann::json ReadOlmoCoreRope(files::Fields& attention, int64_t head_dim);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_ROPE_H_

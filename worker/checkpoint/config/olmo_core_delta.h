#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_DELTA_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_DELTA_H_

#include <cstdint>

#include "nlohmann/json.hpp"
#include "worker/files/fields.h"

namespace sinkwatch::checkpoint {

// Whether a block's mixer is a gated delta network and no attention.
bool IsOlmoCoreDeltaNet(const nlohmann::json& block, const char* mixer);

// Takes OLMo-core's GatedDeltaNetConfig at `mixer` of a block, in a model of
// that width; returns the keys of Hugging Face's hybrid that say the same.
// Whether the block's norms come behind its sub-layers is the key
// linear_norm_after, which Hugging Face does not have.
nlohmann::json ReadOlmoCoreDeltaNet(files::Fields& block, const char* mixer,
                                    int64_t width);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_OLMO_CORE_DELTA_H_

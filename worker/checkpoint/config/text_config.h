#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_TEXT_CONFIG_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_TEXT_CONFIG_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Whether the config is of a model of text and images (or sound), whose
// language model has an object of its own, text_config, and no layers are named
// beside it.
bool HasTextConfig(const nlohmann::json& root);

// The keys of the language model inside, as those of a model of text alone.
// Keys that text_config leaves out are what transformers 5.24 takes for them.
//
// UNIMPLEMENTED, naming model_type, for a model that is not known to run text
// as its language model alone does (PaliGemma's prefix is not causal). Codes:
// DATA_LOSS, UNIMPLEMENTED, as Fields has them.
absl::StatusOr<nlohmann::json> TranslateTextConfig(const nlohmann::json& root);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_TEXT_CONFIG_H_

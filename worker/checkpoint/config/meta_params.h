#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_META_PARAMS_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_META_PARAMS_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Translates Meta's params.json (ModelArgs of its Llama code) into the keys of
// LlamaForCausalLM. The width of the feed-forward layer is not in the file: it
// is 8/3 of `dim`, times ffn_dim_multiplier, rounded up to a multiple of
// multiple_of.
//
// UNIMPLEMENTED for vocab_size -1, which Llama 1 and 2 leave to the tokenizer,
// and for use_scaled_rope, whose numbers are in Meta's code only. Codes:
// DATA_LOSS, UNIMPLEMENTED, as Fields has them.
absl::StatusOr<nlohmann::json> TranslateMetaParams(const nlohmann::json& root);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_META_PARAMS_H_

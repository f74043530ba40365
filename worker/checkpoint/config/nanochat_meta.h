#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_NANOCHAT_META_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_NANOCHAT_META_H_

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Whether the file is nanochat's meta_000100.json, which lies beside
// model_000100.pt.
bool IsNanochatMeta(const nlohmann::json& root);

// Its model_config (GPTConfig of karpathy/nanochat, nanochat/gpt.py) as the
// keys of NanoChatForCausalLM. Of the model as it was until January 2026: what
// came later (value embeddings, scales of the stream, ...) shows in tensors
// and not in the config, so the keys ask that every tensor be used.
//
// UNIMPLEMENTED for layers with a window. Codes: DATA_LOSS, UNIMPLEMENTED, as
// Fields has them.
absl::StatusOr<nlohmann::json> TranslateNanochatMeta(
    const nlohmann::json& root);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_NANOCHAT_META_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_LLAMA2C_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_LLAMA2C_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// A checkpoint of llama2.c (karpathy/llama2.c, `export.py` version 0, read by
// `run.c`): one file, which has no config beside it.
struct Llama2c {
  // What a Hugging Face config.json of the same model would say.
  std::string config_json;
  // float32 under Meta's names ("layers.0.attention.wq.weight"), rotary pairs
  // next to each other.
  Contents contents;
};

// The file at `path`:
//
//   int32    dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size,
//   seq_len float32  tok_embeddings [V,D]
//            attention_norm, wq, wk, wv, wo, ffn_norm, w1, w2, w3: each of all
//              layers, one layer after the other
//            norm [D]
//            cos and sin of the rotary positions, [seq_len, E/2] each: not read
//            output [V,D], if vocab_size is negative (else the embedding is it)
//
// little-endian. Nothing in it says that it is such a file: it is told by its
// name and believed if its size is exactly what its header makes it.
//
// FAILED_PRECONDITION where the file is shorter than that, or its header is
// zeros; DATA_LOSS where it is longer, or the header contradicts itself;
// UNIMPLEMENTED above a limit of ours and for the later versions; and the codes
// of File. Messages begin with the path.
absl::StatusOr<Llama2c> OpenLlama2c(const std::string& path);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_LLAMA2C_H_

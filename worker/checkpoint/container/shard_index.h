#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SHARD_INDEX_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SHARD_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {

inline constexpr int64_t kMaxIndexBytes = 16 << 20;
inline constexpr size_t kMaxShards = 512;  // each is a file kept open

// Which tensors each shard holds, by its file name.
using ShardIndex = std::map<std::string, std::vector<std::string>>;

// Parses model.safetensors.index.json or pytorch_model.bin.index.json:
//   {"metadata": {...}, "weight_map": {"tensor": "shard.safetensors", ...}}
// A shard is a bare file name that ends in `suffix`. `metadata` is not
// looked at: its total_size is wrong in old repositories.
//
// FAILED_PRECONDITION where the text ends too early; DATA_LOSS for anything
// else that is wrong with it; UNIMPLEMENTED above a limit. Messages begin with
// `path`.
absl::StatusOr<ShardIndex> ParseShardIndex(const std::string& path,
                                           const std::string& text,
                                           absl::string_view suffix);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SHARD_INDEX_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_WRITER_H_
#define SINKWATCH_WORKER_CHECKPOINT_WRITER_H_

#include <map>
#include <string>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// Writes `tensors` as one safetensors file: header padded to 8 bytes, tensors
// ordered by dtype and name as the reference writer does, float32, bfloat16 or
// float16. The file is synced before this returns.
absl::Status WriteSafetensors(const std::string& path,
                              const std::map<std::string, at::Tensor>& tensors);

// Writes a checkpoint folder of config.json and model.safetensors, beside its
// final name (`folder` + "-tmp") and renamed into place, so that a watcher
// never sees half of it under the final name. ALREADY_EXISTS if `folder` is
// there.
absl::Status WriteCheckpoint(const std::string& folder,
                             const nlohmann::json& config,
                             const std::map<std::string, at::Tensor>& tensors);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_WRITER_H_

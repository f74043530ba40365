#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_CONTAINER_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_CONTAINER_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// The weights of a folder in a file of torch.save: pytorch_model.bin; the
// shards that pytorch_model.bin.index.json names; model.pt. All files lie in
// `confinement` once links are followed.
//
// The codes of ReadTorchArchive and OpenSharded. FAILED_PRECONDITION also for
// an empty file, one of zeros, and a Git LFS pointer in its place;
// UNIMPLEMENTED for what torch.save wrote before 1.6 (a bare pickle, a tar).
absl::StatusOr<Contents> OpenTorchBin(const std::string& folder,
                                      const std::string& confinement);
absl::StatusOr<Contents> OpenShardedTorchBin(const std::string& folder,
                                             const std::string& confinement);
absl::StatusOr<Contents> OpenTorchModel(const std::string& folder,
                                        const std::string& confinement);
// The same of one file, whatever its name.
absl::StatusOr<Contents> OpenTorchFile(const std::string& path,
                                       const std::string& confinement);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_CONTAINER_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_H_

#include <string>

#include "absl/status/statusor.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// Checkpoints of torch.distributed.checkpoint (DCP): a `.metadata`, written
// last, and the files `__<rank>_<i>.distcp` that it names, in each of which
// archives of torch.save follow one another. Whatever else is in the folder is
// not looked at.
//
// Opening reads the metadata and the sizes of the files; the archives are
// located when their tensors are read. All files lie below `confinement` (
// it, in model_and_optim/) once links are followed.
//
// FAILED_PRECONDITION where the metadata ends too early, a file that it names
// is not there, or a file is shorter than the metadata says; DATA_LOSS and
// UNIMPLEMENTED as ParseDcpMetadata; and the codes of File. Messages begin with
// the path.

// The metadata in `folder`: torchtitan's, and what OLMo-core and the legacy
// OLMo trainer write without a folder for the model.
absl::StatusOr<Contents> OpenDcp(const std::string& folder,
                                 const std::string& confinement);
// The metadata in model_and_optim/: OLMo-core's checkpoints.
absl::StatusOr<Contents> OpenModelAndOptim(const std::string& folder,
                                           const std::string& confinement);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_H_

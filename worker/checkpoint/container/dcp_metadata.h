#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_METADATA_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_METADATA_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// The .metadata of torch.distributed.checkpoint (DCP): a pickle that says which
// tensors a checkpoint has, in which chunks, and which bytes of which file each
// chunk is. It is read as data; README.md has the table of what it may hold.

// Each is kept open.
inline constexpr size_t kMaxDcpFiles = 16 * 1024;

// Which of the keys are a model's weights.
enum class DcpKeys {
  // Those below `model`, without that prefix (OLMo-core's model_and_optim/).
  kBelowModel,
  // If the state dict has a dict `model`, those below it. Otherwise all but
  // those of the trainer's other parts (optimizer, dataloader, ...).
  kTopLevel,
};

struct DcpMetadata {
  std::vector<std::string> files;  // bare names; Piece::file counts in these
  // Each piece is an archive. Pieces ascend by start.
  std::vector<StoredTensor> tensors;
};

// Checks everything that can be checked without the data files: shapes, chunks
// that cover their tensor exactly, and for each chunk one place of at least its
// size. Entries that are no tensors, and tensors without elements, are left
// out.
//
// FAILED_PRECONDITION where the pickle ends too early; DATA_LOSS where it is
// malformed or contradicts itself; UNIMPLEMENTED for whatever we do not read,
// named, and above a limit. Messages name the tensor and the rule; the caller
// adds the file.
absl::StatusOr<DcpMetadata> ParseDcpMetadata(std::string bytes, DcpKeys keys);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_METADATA_H_

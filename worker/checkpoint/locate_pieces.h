#ifndef SINKWATCH_WORKER_CHECKPOINT_LOCATE_PIECES_H_
#define SINKWATCH_WORKER_CHECKPOINT_LOCATE_PIECES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/checkpoint/tensor_reader.h"

namespace sinkwatch::checkpoint {

// Those pieces of `tensor` that have rows in `ranges`, each archive among them
// (Piece::archive_bytes) replaced by the place of its elements: what ReadRows
// needs to read these ranges. Costs a few small reads an archive.
//
// DATA_LOSS for an archive that does not hold one tensor of the piece's sizes
// and the tensor's dtype; and the codes of ReadTorchTensor. Messages name the
// file and the place of the archive.
absl::StatusOr<StoredTensor> LocatePieces(const Contents& contents,
                                          const StoredTensor& tensor,
                                          const std::vector<RowRange>& ranges);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_LOCATE_PIECES_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_EXACT_COVER_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_EXACT_COVER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::checkpoint {

// That each element of a tensor of this shape lies in exactly one of the boxes
// (start and sizes of the pieces). DATA_LOSS if one is out of the tensor, two
// overlap, or something is left over; UNIMPLEMENTED for boxes of more than
// 4,000,000 corners together (a million of rank 2).
//
// The shape has at least one element, its rank is at most 8 and its product is
// below 2^48; boxes have its rank and no size of 0. Time and memory grow with
// the boxes times 2^rank, not with their pairs.
absl::Status CheckExactCover(const std::vector<int64_t>& shape,
                             const std::vector<Piece>& boxes);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_EXACT_COVER_H_

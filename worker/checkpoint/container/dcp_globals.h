#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_GLOBALS_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_GLOBALS_H_

#include <cstddef>

#include "worker/checkpoint/pickle/reader.h"

namespace sinkwatch::checkpoint {

// What the globals of a .metadata mean, wherever a version of torch or a
// trainer keeps them.
enum DcpTag {
  kIgnored,           // may be there, of no meaning for the weights
  kMetadata,          // fields state_dict_metadata, planner_data, storage_data
  kTensorStorage,     // fields properties, size, chunks
  kBytesStorage,      // an entry that is no tensor
  kChunk,             // fields offsets, sizes
  kTensorProperties,  // (dtype, layout, ...)
  kMetadataIndex,     // fields fqn, offset, index
  kStorageInfo,  // fields relative_path, offset, length, transform_descriptors
  kSize,         // torch.Size((1, 2, ...))
  kLayout,       // torch.serialization._get_layout('torch.strided')
  kDtype,        // DtypeOfGlobal
};

// 500 ranks that shard 600 parameters, each with two states of an optimizer,
// are 900,000 chunks; each takes some 145 bytes of pickle and 27 values.
inline constexpr size_t kMaxDcpMetadataBytes = 160 << 20;
inline constexpr size_t kMaxDcpValues = 28 * 1000 * 1000;

// The rules of a .metadata.
const pickle::Rules& DcpRules();

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_GLOBALS_H_

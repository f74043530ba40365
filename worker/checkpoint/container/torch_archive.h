#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_ARCHIVE_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_ARCHIVE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/checkpoint/container/zip_directory.h"
#include "worker/checkpoint/dtype.h"

namespace sinkwatch::checkpoint {

// What torch.save has written since torch 1.6: a zip archive of
//   <root>/data.pkl    a pickle, whose tensors name storages by a key
//   <root>/data/<key>  the bytes of a storage
//   <root>/byteorder   "little"
// The pickle is read as data: nothing is imported and nothing called. README.md
// has the table of globals that it may hold.

// A tensor of an archive: a view of a storage. Element (i, j, ...) is at byte
// offset + (i * strides[0] + j * strides[1] + ...) * item size of the file.
struct ArchivedTensor {
  std::string name;  // keys of the dicts that lead to it, joined by '.'
  const Dtype* dtype = nullptr;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;  // in elements, none negative
  int64_t offset = 0;            // of its first element, in the file
};

// The tensors of the archive in `slice`, which holds a dict of them, also in
// dicts inside of it. Of a dict that holds a dict `model`, `state_dict`,
// `model_state_dict` or `model_state` and no tensor but scalars, that one is
// read instead (checkpoints of trainers); what is beside it, and whatever else
// is no tensor, is left out. Names are unique. Every element
// of a tensor is inside its storage, whose size is what its type and number of
// elements ask for, and a tensor has no more elements than its storage. Reads
// no storage.
//
// Codes: those of ReadZipDirectory; DATA_LOSS for an archive that contradicts
// itself; UNIMPLEMENTED for whatever of the format we do not read, named, and
// above a limit. A pickle that ends too early is DATA_LOSS: the archive says
// how long it is. Messages name the file, the tensor and the rule.
absl::StatusOr<std::vector<ArchivedTensor>> ReadTorchArchive(
    const FileSlice& slice);

// The one tensor that the archive in `slice` holds, without a name, as
// torch.distributed.checkpoint writes them. Codes as above.
absl::StatusOr<ArchivedTensor> ReadTorchTensor(const FileSlice& slice);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_ARCHIVE_H_

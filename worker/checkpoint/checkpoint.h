#ifndef SINKWATCH_WORKER_CHECKPOINT_CHECKPOINT_H_
#define SINKWATCH_WORKER_CHECKPOINT_CHECKPOINT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/config.h"

namespace sinkwatch::checkpoint {

// What the file says of a tensor.
struct TensorInfo {
  std::string name;
  at::ScalarType dtype;
  std::vector<int64_t> shape;
};

// An opened checkpoint folder: config.json and weights in safetensors, single
// or sharded with an index. Opening checks every rule of the containers and
// reads no weights; tensors are then read one at a time by pread, so a trainer
// that truncates a file costs an error, not a signal.
//
// Codes of every method: FAILED_PRECONDITION = incomplete (a file is missing or
// short of what names it), DATA_LOSS = corrupt, UNIMPLEMENTED = unsupported,
// NOT_FOUND = vanished, UNAVAILABLE = read error, worth another try. Messages
// name the file, the tensor or offset, and the rule.
//
// Thread-compatible: ReadTensor may run on one thread while another computes
// with tensors read before.
class Checkpoint {
 public:
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(
      const std::string& folder);
  ~Checkpoint();

  const std::string& folder() const;
  const Config& config() const;
  // All tensors, ascending by name.
  const std::vector<TensorInfo>& tensors() const;
  // nullptr if there is no such tensor.
  const TensorInfo* Find(const std::string& name) const;

  // The tensor on the CPU, contiguous, in the file's dtype. DATA_LOSS if it is
  // not there, its shape is not `shape`, or a value is not finite.
  absl::StatusOr<at::Tensor> ReadTensor(const std::string& name,
                                        const std::vector<int64_t>& shape);

  // After the last read: OK if no file that was read has changed since Open
  // (size, modification time, inode); DATA_LOSS if one was rewritten,
  // NOT_FOUND if one is gone.
  absl::Status CheckUnchanged() const;

  // XXH3-128 (hex) over the names and bytes of the tensors read so far,
  // whatever the order they were read in.
  std::string ContentDigest() const;

 private:
  Checkpoint();
  // Members are the implementer's.
};

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CHECKPOINT_H_

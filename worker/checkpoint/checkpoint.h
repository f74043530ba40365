#ifndef SINKWATCH_WORKER_CHECKPOINT_CHECKPOINT_H_
#define SINKWATCH_WORKER_CHECKPOINT_CHECKPOINT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/checkpoint/checked_tensor.h"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/content_digest.h"
#include "worker/checkpoint/stored_tensor.h"
#include "worker/checkpoint/tensor_reader.h"

namespace sinkwatch::checkpoint {

// What the file says of a tensor.
struct TensorInfo {
  std::string name;
  at::ScalarType dtype;  // Undefined where LibTorch has no such type
  std::vector<int64_t> shape;
};

// Rows of a tensor that are read in parts (CheckedRows), each part taken into
// the checkpoint's digests as it is read.
class RowsReader {
 public:
  const std::vector<int64_t>& shape() const { return rows_.shape(); }
  at::ScalarType type() const { return rows_.type(); }
  int64_t rows() const { return rows_.rows(); }
  int64_t row_bytes() const { return rows_.row_bytes(); }

  // CheckedRows::Read. Thread-safe.
  absl::Status Read(RowRange part, void* out) const;
  // The same without the digests, for who takes them elsewhere, by the two
  // methods below. Thread-safe.
  absl::Status ReadUnhashed(RowRange part, void* out) const {
    return rows_.Read(part, out);
  }
  // ContentDigest::Claim and AddSum, of rows of the whole tensor; none where
  // these rows are in no digest.
  std::vector<RowRange> ClaimDigest() const;
  void AddDigest(const RowHashSum& sum) const;
  // The row of the tensor that row 0 is.
  int64_t first_row() const { return first_; }
  // After the last part: CheckedRows::CheckFiles.
  absl::Status Finish() const { return rows_.CheckFiles(); }
  // RESOURCE_EXHAUSTED: there is no memory to read these rows to.
  absl::Status NoMemory() const { return rows_.NoMemory(); }

 private:
  friend class Checkpoint;
  RowsReader(CheckedRows rows, ContentDigest* digest, std::string name,
             int64_t first)
      : rows_(std::move(rows)),
        digest_(digest),
        name_(std::move(name)),
        first_(first) {}

  CheckedRows rows_;
  ContentDigest* digest_;  // null: these rows are in no digest
  std::string name_;
  int64_t first_;
};

// An opened checkpoint: a model config and weights, in whatever container and
// naming scheme. Opening checks every rule of the container and reads no
// weights; tensors, or rows of them, are then read one at a time by pread, so a
// trainer that truncates a file costs an error, not a signal.
//
// Codes of every method: FAILED_PRECONDITION = incomplete (a file is missing or
// short of what names it), DATA_LOSS = corrupt, UNIMPLEMENTED = unsupported,
// NOT_FOUND = vanished, UNAVAILABLE = read error, worth another try. Messages
// name the file, the tensor or offset, and the rule.
//
// Thread-compatible: one thread may read while another computes with tensors
// read before. The parts of RowsReaders may be read by many threads.
class Checkpoint {
 public:
  // `folder` is the folder that a trainer wrote, or a file: of llama2.c, asked
  // for by a name that ends in ".bin", or of torch or safetensors with a config
  // beside it (flat_file.h).
  // Parts of names that wrappers of modules left ("module.", "_orig_mod.", ...)
  // are taken off: wrapped_names.h.
  // `model_config`: a file to take the model's config from, for a folder whose
  // trainer left none; empty: the folder's own.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(
      const std::string& folder, const std::string& model_config = "");
  ~Checkpoint();

  const std::string& folder() const { return folder_; }
  const Config& config() const { return config_; }
  // All tensors, ascending by name.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // nullptr if there is no such tensor.
  const TensorInfo* Find(const std::string& name) const;

  // That ReadTensor would find the tensor: DATA_LOSS if it is not there or has
  // another shape, UNIMPLEMENTED for a dtype that is not read.
  absl::Status CheckTensor(const std::string& name,
                           const std::vector<int64_t>& shape) const;

  // The tensor on the CPU, contiguous, in the file's dtype: float32, bfloat16,
  // float16 or float64; any other is UNIMPLEMENTED. DATA_LOSS if it is not
  // there, its shape is not `shape`, a value is not finite, or the file is not
  // the one that was opened; NOT_FOUND if that one is gone; RESOURCE_EXHAUSTED
  // if there is no memory for it.
  absl::StatusOr<at::Tensor> ReadTensor(const std::string& name,
                                        const std::vector<int64_t>& shape);

  // The same of one run of rows (dimension 0) inside `shape`: a part of a
  // tensor that is read in turn. With a `slab` the tensor is a stack of others
  // (of layers, of experts), and the rows are those of that one in it.
  absl::StatusOr<at::Tensor> ReadSlice(const std::string& name,
                                       const std::vector<int64_t>& shape,
                                       RowRange rows, const Slab& slab = {});

  // Rows that the caller picks, one range after the other: those of the
  // probe's tokens, which say nothing of the checkpoint and are in no digest.
  absl::StatusOr<at::Tensor> ReadRows(const std::string& name,
                                      const std::vector<int64_t>& shape,
                                      const std::vector<RowRange>& ranges,
                                      const Slab& slab = {});

  // What ReadSlice and ReadRows read, for who brings the memory and the
  // threads. The checkpoint must outlive the reader.
  absl::StatusOr<RowsReader> OpenSlice(const std::string& name,
                                       const std::vector<int64_t>& shape,
                                       RowRange rows, const Slab& slab = {});
  absl::StatusOr<RowsReader> OpenRows(const std::string& name,
                                      const std::vector<int64_t>& shape,
                                      std::vector<RowRange> ranges,
                                      const Slab& slab = {});

  // After the last read: OK if no file of the checkpoint has changed since Open
  // (size, modification time, inode); DATA_LOSS if one was rewritten,
  // NOT_FOUND if one is gone.
  absl::Status CheckUnchanged() const;

  // Of what ReadTensor and ReadSlice have read so far (content_digest.h).
  std::vector<TensorDigest> TensorDigests() const { return digest_.Tensors(); }
  std::string ContentDigest() const { return digest_.Hex(); }

 private:
  static absl::StatusOr<std::unique_ptr<Checkpoint>> OpenLlama2cFile(
      const std::string& path);
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Create(std::string folder,
                                                            Config config,
                                                            Contents contents);
  Checkpoint(std::string folder, Config config, Contents contents);

  // The tensor, with the checks of CheckTensor.
  absl::StatusOr<const StoredTensor*> FindReadable(
      const std::string& name, const std::vector<int64_t>& shape) const;

  const std::string folder_;
  const Config config_;
  const Contents contents_;  // tensors ascend by name
  std::vector<TensorInfo> tensors_;
  checkpoint::ContentDigest digest_;  // of what was read so far
};

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CHECKPOINT_H_

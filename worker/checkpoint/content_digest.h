#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTENT_DIGEST_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTENT_DIGEST_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"
#include "worker/checkpoint/row_hash.h"
#include "worker/checkpoint/tensor_reader.h"

namespace sinkwatch::checkpoint {

// What one tensor holds, as TensorDigest::digest: the sum, modulo 2^128, of
// XXH3-128 of each row's bytes, seeded with the row's index (dimension 0; a
// tensor of rank 0 is one row; of a stack that is read one tensor at a time,
// the first two dimensions count the rows). The bytes are the elements in
// row-major order in the stored dtype, so the digest depends neither on the
// container and its shards nor on how the rows were cut into reads and in what
// order. 16 bytes, big-endian.
struct TensorDigest {
  std::string name;
  std::array<unsigned char, 16> digest;
};

// Folds what is read of a checkpoint into digests of its tensors and one of
// all.
//
// Thread-safe. Rows are hashed outside of the lock.
class ContentDigest {
 public:
  // Rows of a tensor, one after the other, `row_bytes` each. A row that was
  // added before is not added again.
  void Add(const std::string& tensor, RowRange rows, const void* data,
           int64_t row_bytes);

  // The same in two steps, for who takes the hashes elsewhere: those of the
  // rows that nobody has added, which count as added from now on, and then
  // their sum (SumRowHashesPortable), once it is known.
  std::vector<RowRange> Claim(const std::string& tensor, RowRange rows);
  void AddSum(const std::string& tensor, const RowHashSum& sum);

  // Of every tensor that has rows, ascending by name.
  std::vector<TensorDigest> Tensors() const;

  // XXH3-128 (hex) over the length of each name (64 bits, little-endian), the
  // name and the digest, ascending by name.
  std::string Hex() const;

 private:
  struct Rows {
    // Runs of added rows, first -> end, neither touching nor overlapping.
    std::map<int64_t, int64_t> added;
    RowHashSum sum;
  };

  static void Merge(int64_t first, int64_t end, Rows& rows);

  mutable base::Mutex mutex_;
  std::map<std::string, Rows> tensors_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTENT_DIGEST_H_

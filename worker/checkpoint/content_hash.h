#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTENT_HASH_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTENT_HASH_H_

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "worker/checkpoint/stored_tensor.h"
#include "worker/checkpoint/tensor_reader.h"

namespace sinkwatch::checkpoint {

// XXH3-128 over the names and bytes of what was read of a checkpoint, whatever
// the order it was read in. What is added twice counts once. Thread-compatible.
class ContentHash {
 public:
  // Rows `ranges` of `tensor`, whose bytes are [data, data + size).
  void Add(const StoredTensor& tensor, const std::vector<RowRange>& ranges,
           const void* data, size_t size);

  // Of all that was added so far, in hex.
  std::string Digest() const;

 private:
  using Hash = std::array<unsigned char, 16>;

  std::map<std::string, Hash> hashes_;
};

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTENT_HASH_H_

#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_TREE_CHECK_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_TREE_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "worker/checkpoint/pickle/reader.h"
#include "worker/checkpoint/pickle/value.h"

namespace sinkwatch::checkpoint::pickle {

// Whether all that a value holds can be walked as a tree: nothing contains
// itself, limits.depth and limits.walk hold, no dict has a key twice. Looks at
// each value once, without recursion.
class TreeCheck {
 public:
  explicit TreeCheck(const Limits& limits) : limits_(limits) {}

  // The codes of Parse.
  absl::Status Check(Value* root);

 private:
  // A value whose parts are being looked at.
  struct Frame {
    Value* value;
    size_t next = 0;    // part to look at
    uint64_t walk = 1;  // so far
    uint8_t depth = 1;  // so far
  };

  static Value* Part(const Value& value, size_t i);
  absl::Status Enter(Value* value);
  // Adds to the innermost frame what is known of a part of it.
  absl::Status Count(const Value& part);

  const Limits limits_;
  std::vector<Frame> frames_;
};

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_TREE_CHECK_H_

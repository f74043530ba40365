#ifndef SINKWATCH_WORKER_CHECKPOINT_DTYPE_H_
#define SINKWATCH_WORKER_CHECKPOINT_DTYPE_H_

#include "absl/strings/string_view.h"

namespace sinkwatch::checkpoint {

// The type of a tensor's elements, by the name that safetensors gives it:
// "F32". Every container's own names are translated into these. Compare by
// address.
struct Dtype {
  const char* name;
  int bits;  // of one element; below 8 elements share bytes
};

// nullptr if there is no dtype of that name (as of safetensors 0.8).
const Dtype* FindDtype(absl::string_view name);

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_DTYPE_H_

#ifndef SINKWATCH_THIRD_PARTY_TORCH_PRELUDE_H_
#define SINKWATCH_THIRD_PARTY_TORCH_PRELUDE_H_

// What nearly every source that computes with tensors parses: half of its
// compile time. Set-up compiles it once, and .bazelrc puts it first in those
// sources, which still include what they use: where the compiled form does not
// fit (another compiler, a sanitizer) this header is read like any other.
#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"

#endif  // SINKWATCH_THIRD_PARTY_TORCH_PRELUDE_H_

#ifndef SINKWATCH_WORKER_KERNELS_GRAM_FACTOR_H_
#define SINKWATCH_WORKER_KERNELS_GRAM_FACTOR_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// The factors R of Gram matrices G, R'R = G: float32 [H,E,E], upper triangles,
// by Cholesky's method. `parts_SHEE` add up over S to the G,
// symmetric and positive but for rounding: a ridge lets no matrix be found not
// to be positive, so nobody has to look. A matrix of zeros has a factor of next
// to zeros, one with a NaN has NaN. Parts are
//   float64: the ridge is 1e-13 of the largest diagonal element, ten times what
//     rounding makes of some hundred terms;
//   float32, of matrices of bfloat16, of at most kRowsOfFloatPart rows each:
//   sums
//     of tensor cores are off by 2^-23 for each 16 of these, 4e-6, and the
//     ridge is 1e-5. It moves ||R x|| by 5e-6 of its size, and where that is
//     next to nothing by 3e-3 of what the largest would be: as much as rounding
//     R to bfloat16 does, for which it is meant.
constexpr int64_t kRowsOfFloatPart = 512;

// One operator, sinkwatch::gram_factor(Tensor parts) -> Tensor.
at::Tensor GramFactor(const at::Tensor& parts_SHEE);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_GRAM_FACTOR_H_

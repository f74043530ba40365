#ifndef SINKWATCH_WORKER_KERNELS_GRAM_FACTOR_H_
#define SINKWATCH_WORKER_KERNELS_GRAM_FACTOR_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// The factors R of Gram matrices G, R'R = G: float32 [H,E,E], upper triangles,
// by Cholesky's method in float64. `parts_SHEE` are float64 and add up over S
// to the G, symmetric and positive but for rounding: a ridge of 1e-13 of the
// largest diagonal element (ten times what rounding makes of some hundred
// terms) lets no matrix be found not to be positive, so nobody has to look. A
// matrix of zeros has a factor of next to zeros, one with a NaN has NaN.
//
// One operator, sinkwatch::gram_factor(Tensor parts) -> Tensor.
at::Tensor GramFactor(const at::Tensor& parts_SHEE);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_GRAM_FACTOR_H_

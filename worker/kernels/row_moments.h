#ifndef SINKWATCH_WORKER_KERNELS_ROW_MOMENTS_H_
#define SINKWATCH_WORKER_KERNELS_ROW_MOMENTS_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// What is known of the rows of a stream x [B,T,D], float32 or bfloat16, after
// one reading: float32 [3,B,T], the length of each row, its sum and its largest
// absolute value. A row with a NaN has NaN for all three.
enum RowSum : int { kRowLength, kRowTotal, kRowLargest, kNumRowSums };
at::Tensor RowSums(const at::Tensor& x_BTD);

// After a second one: float32 [2,B,T], the sum over a row of (x - m)^2 and of
// (x - m)^4, m = mean_B of the sequence, float32 [B]. Powers of the distance
// from the mean, so that a large mean cancels nothing.
at::Tensor RowPowers(const at::Tensor& x_BTD, const at::Tensor& mean_B);

// Operators sinkwatch::row_sums(Tensor x) -> Tensor and
// sinkwatch::row_powers(Tensor x, Tensor mean) -> Tensor.

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_MOMENTS_H_

#ifndef SINKWATCH_WORKER_KERNELS_ROW_MOMENTS_H_
#define SINKWATCH_WORKER_KERNELS_ROW_MOMENTS_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

enum RowSum : int { kRowLength, kRowTotal, kRowLargest, kNumRowSums };
enum RowPower : int { kPower1, kPower2, kPower3, kPower4, kNumRowPowers };

// What is known of the rows of a stream x [B,T,D], float32 or bfloat16, after
// one reading.
struct RowMoments {
  // float32 [3,B,T]: the length of each row, its sum and its largest absolute
  // value. A row with a NaN has NaN for all three.
  at::Tensor sums;
  // float64 [4,B,T]: sums of x, x^2, x^3 and x^4. Empty where the device finds
  // powers by a second reading.
  at::Tensor powers;
};
RowMoments RowSums(const at::Tensor& x_BTD);

// Of each sequence m4 / (m2^2 + 1e-6), m_p the mean over tokens and dims of
// (x - mean)^p: float64 [B,1]. `moments` are those of x.
at::Tensor SequenceKurtosis(const at::Tensor& x_BTD, const RowMoments& moments);

// Operators sinkwatch::row_sums(Tensor x) -> (Tensor, Tensor) and
// sinkwatch::kurtosis_of_powers(Tensor powers, int width) -> Tensor.

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_MOMENTS_H_

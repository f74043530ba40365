#ifndef SINKWATCH_WORKER_KERNELS_HEAD_NORMS_H_
#define SINKWATCH_WORKER_KERNELS_HEAD_NORMS_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// Legend: B sequences, N heads or groups of heads, T tokens, E width of a
// vector, H query heads, R rows of a factor. x is float32 or bfloat16, of any
// strides; sums and results are float32. What is not finite shows in the vector
// that it is in.

// ||x_t|| of every vector of x [B,N,T,E]: [B,N,T].
at::Tensor HeadNorms(const at::Tensor& x_BNTE);

struct WrittenLengths {
  at::Tensor written_BHT;
  // HeadNorms of x, where it was found on the way; else undefined.
  at::Tensor plain_BNT;
};

// ||R_h x_t|| for every query head h, where x has a vector per head or per
// group of H / N heads. factor_HRE float32. On a GPU the factor of a
// bfloat16 x is rounded to bfloat16: that moves a norm of 64 and more products
// by some 1e-4, where x itself is rounded to 4e-3.
WrittenLengths WrittenNorms(const at::Tensor& x_BNTE,
                            const at::Tensor& factor_HRE);

// Operators sinkwatch::head_norms(Tensor x) -> Tensor and
// sinkwatch::written_norms(Tensor x, Tensor factor) -> (Tensor, Tensor), the
// second empty where it was not found.

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_HEAD_NORMS_H_

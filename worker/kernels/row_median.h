#ifndef SINKWATCH_WORKER_KERNELS_ROW_MEDIAN_H_
#define SINKWATCH_WORKER_KERNELS_ROW_MEDIAN_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// Median of each row of a float32 or bfloat16 tensor [B,N], N >= 1, or, with
// `absolute`, of the absolute values: float32 [B], halfway between the two
// middle elements if N is even. (at::median gives the lower one, at::quantile
// refuses more than 16 million elements.) NaN counts as larger or smaller than
// every number.
//
// One operator, sinkwatch::row_median(Tensor x, bool absolute) -> Tensor. Exact
// on every device, and nowhere sorted: by histograms of the leading bits. A
// device without a kernel of its own has it done on the CPU.
at::Tensor RowMedian(const at::Tensor& x_BN, bool absolute = false);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_MEDIAN_H_

#ifndef SINKWATCH_WORKER_METRICS_MEDIAN_H_
#define SINKWATCH_WORKER_METRICS_MEDIAN_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::metrics {

// Median of each row of a float32 tensor [B,N], N >= 1: halfway between the two
// middle elements if N is even. (at::median gives the lower one, at::quantile
// refuses more than 16 million elements.) NaN counts as larger or smaller than
// every number.
at::Tensor MedianOfRows(const at::Tensor& x_BN);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MEDIAN_H_

#ifndef SINKWATCH_WORKER_METRICS_MEDIAN_H_
#define SINKWATCH_WORKER_METRICS_MEDIAN_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::metrics {

// Median over the last dimension, between the two middle elements halfway
// (at::median gives the lower one, at::quantile refuses more than 16 million
// elements).
at::Tensor MedianOfLast(const at::Tensor& x);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_MEDIAN_H_

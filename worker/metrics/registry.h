#ifndef SINKWATCH_WORKER_METRICS_REGISTRY_H_
#define SINKWATCH_WORKER_METRICS_REGISTRY_H_

#include <vector>

#include "worker/metrics/metric.h"

namespace sinkwatch::metrics {

// Every metric of head, key/value head and layer scope, in the order in which
// catalogues show them. Built once.
const std::vector<Metric>& LayerMetrics();

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_REGISTRY_H_

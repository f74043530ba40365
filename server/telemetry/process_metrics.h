#ifndef SINKWATCH_SERVER_TELEMETRY_PROCESS_METRICS_H_
#define SINKWATCH_SERVER_TELEMETRY_PROCESS_METRICS_H_

#include <vector>

#include "prometheus/metric_family.h"

namespace sinkwatch::telemetry {

// The process_* families that every Prometheus client exports: CPU seconds,
// resident and virtual memory, open descriptors and their limit, threads, start
// time. Read from /proc at each call; what cannot be read is left out.
std::vector<prometheus::MetricFamily> ProcessFamilies();

}  // namespace sinkwatch::telemetry

#endif  // SINKWATCH_SERVER_TELEMETRY_PROCESS_METRICS_H_

#ifndef SINKWATCH_SERVER_EXPORTER_PROTOBUF_FORMAT_H_
#define SINKWATCH_SERVER_EXPORTER_PROTOBUF_FORMAT_H_

#include <string>
#include <vector>

#include "prometheus/metric_family.h"
#include "server/exporter/sample_family.h"

namespace sinkwatch::exporter {

// The protobuf exposition format: io.prometheus.client.MetricFamily messages,
// each behind its length. Parts of a page can be joined end to end.

// Appends a family. Quantiles are gauges with a label `quantile`: a Summary
// message would come with a _sum and a _count that nobody has.
void AppendFamily(const SampleFamily& family, std::string* out);

// Appends families as prometheus-cpp collects them, empty ones left out.
void AppendProtobufFamilies(
    const std::vector<prometheus::MetricFamily>& families, std::string* out);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_PROTOBUF_FORMAT_H_

#ifndef SINKWATCH_SERVER_EXPORTER_SHOWN_METRICS_H_
#define SINKWATCH_SERVER_EXPORTER_SHOWN_METRICS_H_

#include <string>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

using Descriptors = google::protobuf::RepeatedPtrField<v1::MetricDescriptor>;

// The metrics of a measurement that the pages show, the most important first.
// `configured` is prometheus.metrics of the configuration: names in order, "*"
// for all that are not named. Where it is empty, those that the worker marks as
// headline; all, if it marks none (as workers did that knew no headlines).
Descriptors ShownMetrics(const Descriptors& all,
                         const std::vector<std::string>& configured);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_SHOWN_METRICS_H_

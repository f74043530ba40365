#ifndef SINKWATCH_PROTO_BASE_MEASUREMENT_TABLE_H_
#define SINKWATCH_PROTO_BASE_MEASUREMENT_TABLE_H_

#include <string>

#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::base {

// A measurement for people, as `measure` and `sinkctl measurement` print it:
// what was measured and how, then for each metric its unit and meaning and a
// line for each domain and layer. A line has the value of every head, or of
// more than 16 heads the least, the median and the largest. Control characters
// of names become '?'.
std::string MeasurementTable(const v1::Measurement& measurement);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_MEASUREMENT_TABLE_H_

#ifndef SINKWATCH_SERVER_EXPORTER_MEASUREMENT_TESTING_H_
#define SINKWATCH_SERVER_EXPORTER_MEASUREMENT_TESTING_H_

#include <cstdint>
#include <string>

#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

// For tests: the shape of a made-up model.
struct Shape {
  int layers = 2;
  int heads = 4;
  int kv_heads = 2;
};

v1::Checkpoint MakeCheckpoint(const std::string& run, int64_t step);
v1::Probe MakeProbe();

// A measurement of a model of that shape, without metrics and values.
v1::Measurement MakeEmptyMeasurement(const v1::Checkpoint& checkpoint,
                                     const Shape& shape);
// A metric more in its header.
v1::MetricDescriptor* Describe(const std::string& name, const std::string& unit,
                               v1::Scope scope, v1::Measurement* m);
// A vector more: `values` zeros, each with a standard error of .01. Layer -2 is
// the model.
v1::MetricVector* AddVector(const std::string& domain,
                            const std::string& metric, int layer, int values,
                            v1::Measurement* m);

// A measurement of every scope with values that tell where they come from:
// sink_attention of layer l, head h at step s is (l + h / 10.) * (s / 1000.),
// growing until step 1000; the others are fixed functions of layer and head.
v1::Measurement MakeMeasurement(const std::string& run, int64_t step,
                                const Shape& shape);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_MEASUREMENT_TESTING_H_

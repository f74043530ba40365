#ifndef SINKWATCH_WORKER_LOOP_MEASUREMENT_PROTO_H_
#define SINKWATCH_WORKER_LOOP_MEASUREMENT_PROTO_H_

#include <string>
#include <vector>

#include "sinkwatch/v1/job.pb.h"
#include "sinkwatch/v1/measurement.pb.h"
#include "sinkwatch/v1/worker_service.pb.h"
#include "worker/measure/measure.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::worker {

// What the worker measured, as it travels.
v1::MeasurementHeader HeaderProto(const v1::Job& job, const MeasureFacts& facts,
                                  const std::string& worker);
v1::MeasurementChunk::Layer LayerProto(
    const std::vector<metrics::MetricVector>& values);
// Without its counts, which the sender adds. Of tensors with too many names for
// one message there is no digest but the one over all.
v1::MeasurementTrailer TrailerProto(const MeasureSummary& summary);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_LOOP_MEASUREMENT_PROTO_H_

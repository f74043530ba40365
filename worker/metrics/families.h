#ifndef SINKWATCH_WORKER_METRICS_FAMILIES_H_
#define SINKWATCH_WORKER_METRICS_FAMILIES_H_

#include <vector>

#include "worker/metrics/metric.h"

namespace sinkwatch::metrics {

// The tables of the metric families, one source file each. Only the registry
// and the families' tests call them.
std::vector<Metric> SinkAttentionMetrics();      // sink_attention.cc
std::vector<Metric> SinkSetMetrics();            // sink_set.cc
std::vector<Metric> SinkLogitMetrics();          // sink_logit.cc
std::vector<Metric> ValueNormMetrics();          // value_norm.cc
std::vector<Metric> HeadOutputMetrics();         // head_output.cc
std::vector<Metric> OutputGateMetrics();         // output_gate.cc
std::vector<Metric> AttentionShapeMetrics();     // attention_shape.cc
std::vector<Metric> ResidualNormMetrics();       // residual_norm.cc
std::vector<Metric> MassiveActivationMetrics();  // massive_activation.cc
std::vector<Metric> StreamChannelMetrics();      // stream_channels.cc
std::vector<Metric> SublayerWriteMetrics();      // sublayer_writes.cc
std::vector<Metric> StreamShapeMetrics();
std::vector<Metric> ExpertRoutingMetrics();  // stream_shape.cc

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_FAMILIES_H_

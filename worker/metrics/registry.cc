#include "worker/metrics/registry.h"

#include <iterator>

#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

using Family = std::vector<Metric> (*)();

constexpr Family kFamilies[] = {
    SinkAttentionMetrics,  SinkSetMetrics,       SinkLogitMetrics,
    ValueNormMetrics,      HeadOutputMetrics,    OutputGateMetrics,
    AttentionShapeMetrics, ResidualNormMetrics,  MassiveActivationMetrics,
    StreamChannelMetrics,  SublayerWriteMetrics, StreamShapeMetrics,
    ExpertRoutingMetrics,
};

std::vector<Metric> Concatenate() {
  std::vector<Metric> all;
  for (Family family : kFamilies) {
    std::vector<Metric> metrics = family();
    all.insert(all.end(), std::make_move_iterator(metrics.begin()),
               std::make_move_iterator(metrics.end()));
  }
  return all;
}

}  // namespace

const std::vector<Metric>& LayerMetrics() {
  static const auto& metrics = *new std::vector<Metric>(Concatenate());
  return metrics;
}

}  // namespace sinkwatch::metrics

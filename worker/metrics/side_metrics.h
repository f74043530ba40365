#ifndef SINKWATCH_WORKER_METRICS_SIDE_METRICS_H_
#define SINKWATCH_WORKER_METRICS_SIDE_METRICS_H_

#include <string>
#include <vector>

#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// Metrics that need streams of their own through the layers (executor's
// SideRun), as data. All are on request.
const std::vector<Descriptor>& SideDescriptors();

// Whether one of the names has that beginning: which of the runs are asked for.
inline constexpr char kSelectivity[] = "selectivity_";
inline constexpr char kLayerSkip[] = "layer_skip_";
inline constexpr char kQuantDelta[] = "quant_delta_";
inline constexpr char kLens[] = "lens_";
inline constexpr char kHeadAttribution[] = "head_attribution";
bool Asks(const std::vector<std::string>& metrics, const std::string& family);

// Whether the very metric is asked for.
bool AsksFor(const std::vector<std::string>& metrics, const std::string& name);

// Where attention goes in the synthetic sequences of selectivity.
inline constexpr const char* kSelectivityTargets[] = {
    "induction", "previous", "duplicate", "first", "self", "local"};
// From there on a head has the class of its largest selectivity; what the share
// of these heads is called behind that one's name.
inline constexpr float kSelectivityOfClass = 30;
inline constexpr char kShareSuffix[] = "_share";

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_SIDE_METRICS_H_

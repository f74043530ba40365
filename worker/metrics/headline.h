#ifndef SINKWATCH_WORKER_METRICS_HEADLINE_H_
#define SINKWATCH_WORKER_METRICS_HEADLINE_H_

#include <string>
#include <vector>

namespace sinkwatch::metrics {

// The few metrics that tell most, by name: what is shown by layer where there
// is no room for all. A row of a table somewhere else makes no headline.
const std::vector<std::string>& HeadlineMetrics();

bool IsHeadline(const std::string& name);

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_HEADLINE_H_

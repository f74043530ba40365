#ifndef SINKWATCH_SERVER_EXPORTER_NOW_PLANE_H_
#define SINKWATCH_SERVER_EXPORTER_NOW_PLANE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

// What is known at one moment. Only `runs` get series, whatever the rest holds:
// the configuration is the allow-list of the label `run`.
struct NowInput {
  std::vector<std::string> runs;
  std::vector<v1::Measurement> latest;  // one per run and stage
  std::vector<store::Store::StateCount> jobs;
  std::map<std::string, telemetry::ServiceMetrics::RunDiscovery> discovery;
};

// What to show of it.
struct NowOptions {
  // Steps, job counts, facts of the run.
  bool facts = true;
  // Quantiles over all layers and heads of a run.
  bool runs = false;
  // One value per layer; quantiles over its heads.
  bool layers = true;
  // One value per head, in families of their own (`..._by_head`).
  bool heads = false;
  // No more series than that. Shared out between runs so that a run loses
  // series only when it wants more than an equal share.
  int64_t max_series = 20000;
  // Families that exist beside the page: no metric may take their name.
  std::set<std::string> taken_names;
};

struct NowPage {
  std::string text;
  int64_t series = 0;
  // Series left out, by reason: "cap", "invalid_name" (of a metric or run),
  // "invalid_label" (domain or stage), "conflict" (a name that is taken, or
  // described differently by two runs), "not_finite".
  std::map<std::string, int64_t> dropped;
};

// The page as Prometheus text. A pure function: same input, same bytes.
//
// A metric `m` of unit `u` becomes the family `sinkwatch_m_u` (the unit once,
// and never "count"): a gauge where it has one value per layer (label `layer`)
// or per model; a summary with the quantiles 0.5, 0.9 and 1 over the heads
// where it has one per head. Names that end as the parts of other types do
// (_count, _sum, _bucket, _total, _info, _created) get
// `_value` behind. No label tells the step: it is the value of
// `sinkwatch_latest_step`.
NowPage RenderNow(const NowInput& input, const NowOptions& options);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_NOW_PLANE_H_

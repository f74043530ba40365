#ifndef SINKWATCH_SERVER_EXPORTER_NOW_PLANE_H_
#define SINKWATCH_SERVER_EXPORTER_NOW_PLANE_H_

#include <cstdint>
#include <map>
#include <memory>
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
  // One per run and stage. Descriptors are those of the metrics that are shown,
  // the most important first.
  std::vector<std::shared_ptr<const v1::Measurement>> latest;
  std::vector<store::Store::StateCount> jobs;
  std::map<std::string, telemetry::ServiceMetrics::RunDiscovery> discovery;
  // Runs whose newest measurement is marked implausible, so that `latest` has
  // an older one of them, or none.
  std::set<std::string> implausible;
  // Stored values of a run's latest measurements that cannot be read.
  std::map<std::string, int64_t> unreadable;
  // Measurements of a run whose weights are those of another step.
  std::map<std::string, int64_t> same_weights;
};

enum class PageFormat { kText, kProtobuf };

// What to show of it.
struct NowOptions {
  PageFormat format = PageFormat::kText;
  // Steps, job counts, facts of the run.
  bool facts = true;
  // Quantiles over all layers and heads of a run.
  bool runs = false;
  // One value per layer; quantiles over its heads.
  bool layers = true;
  // Where there are quantiles over heads, a native histogram of them as well;
  // needs kProtobuf.
  bool histograms = false;
  // One value per head, in families of their own (`..._by_head`).
  bool heads = false;
  // No more series than that. Shared out between runs so that a run loses
  // series only when it wants more than an equal share.
  int64_t max_series = 40000;
  // Families that exist beside the page: no metric may take their name.
  std::set<std::string> taken_names;
};

struct NowPage {
  std::string text;  // or bytes, as the format is
  int64_t series = 0;
  // Series left out, by reason: "cap", "invalid_name" (of a metric or run),
  // "invalid_label" (domain or stage), "conflict" (a name that is taken, or
  // described differently by two runs), "not_finite".
  std::map<std::string, int64_t> dropped;
};

// The page. A pure function: same input, same bytes. What the cap leaves out is
// never rendered.
//
// A metric is a family (family_name.h): a gauge where it has one value per
// layer (label `layer`) or per model; a summary with the quantiles 0, 0.1, 0.5,
// 0.9 and 1 over the heads where it has one per head. No label tells the step:
// it is the value of `sinkwatch_latest_step`.
NowPage RenderNow(const NowInput& input, const NowOptions& options);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_NOW_PLANE_H_

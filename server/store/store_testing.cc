#include "server/store/store_testing.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace sinkwatch::store {

TestStore::TestStore(const std::string& path, int64_t max_pages)
    : now_(std::make_unique<absl::Time>(absl::FromUnixSeconds(1000000))) {
  StoreOptions options;
  options.path = path;
  options.max_pages = max_pages;
  options.clock = [now = now_.get()] { return *now; };
  store_ = Store::Open(std::move(options)).value();
}

Observation Seen(int64_t step, const std::string& fingerprint,
                 v1::JobState state) {
  Observation seen;
  seen.checkpoint.set_run("toy");
  seen.checkpoint.set_step(step);
  seen.checkpoint.set_fingerprint(fingerprint);
  seen.checkpoint.set_path(absl::StrCat("/runs/toy/step", step));
  seen.probe.set_digest("probe");
  seen.state = state;
  return seen;
}

v1::Measurement MeasurementOf(const v1::Job& job, float base,
                              const Shape& shape) {
  v1::Measurement measurement;
  v1::MeasurementHeader& header = *measurement.mutable_header();
  *header.mutable_checkpoint() = job.checkpoint();
  *header.mutable_probe() = job.probe();
  header.set_spec_version(job.spec_version());
  for (int m = 0; m < shape.metrics; ++m) {
    v1::MetricDescriptor& metric = *header.add_metrics();
    metric.set_name(absl::StrCat("metric", m));
    metric.set_scope(v1::SCOPE_HEAD);
    for (int i = 0; i < shape.domains * shape.layers; ++i) {
      v1::MetricVector& vector = *measurement.add_vectors();
      const int layer = i % shape.layers;
      vector.set_domain(absl::StrCat("domain", i / shape.layers));
      vector.set_metric(metric.name());
      vector.set_layer(layer);
      vector.set_count(100);
      for (int head = 0; head < shape.heads; ++head) {
        vector.add_values(base + static_cast<float>(layer * 10 + head));
        vector.add_standard_errors(0.5f);
      }
    }
  }
  return measurement;
}

std::vector<JobRecord> JobsOf(Store& store, const std::string& run,
                              std::vector<v1::JobState> states) {
  CheckpointQuery query;
  query.run = run;
  query.states = std::move(states);
  query.page.size = kMaxPage;
  return store.Checkpoints(query).value().jobs;
}

int64_t JobOfStep(Store& store, int64_t step, v1::JobState state) {
  for (const JobRecord& job : JobsOf(store, "toy", {state})) {
    if (job.job.checkpoint().step() == step) return job.job.id();
  }
  return 0;
}

}  // namespace sinkwatch::store

#include "server/scheduler/job_comparison_testing.h"

#include "absl/strings/str_cat.h"

namespace sinkwatch::scheduler {
namespace {

bool IsAsInModel(const store::JobRecord& record, const ModelJob& job) {
  return record.state == job.state && record.job.attempt() == job.attempt &&
         record.token == job.token &&
         record.job.checkpoint().fingerprint() == job.fingerprint;
}

std::string Words(v1::JobState state, int attempt, int64_t token,
                  const std::string& fingerprint) {
  return absl::StrCat(v1::JobState_Name(state), " attempt ", attempt, " token ",
                      token, " ", fingerprint);
}

}  // namespace

std::string WhyJobsDiffer(store::Store& store, const std::string& run,
                          const JobModel& model) {
  store::CheckpointQuery query;
  query.run = run;
  const auto page = store.Checkpoints(query);
  if (!page.ok()) return page.status().ToString();
  if (page->jobs.size() != model.jobs.size()) {
    return absl::StrCat("there are ", page->jobs.size(), " jobs, not ",
                        model.jobs.size());
  }
  for (const store::JobRecord& record : page->jobs) {
    const auto place = model.jobs.find(record.job.id());
    if (place == model.jobs.end()) {
      return absl::StrCat("job ", record.job.id(), " is not known");
    }
    const ModelJob& job = place->second;
    if (IsAsInModel(record, job)) continue;
    return absl::StrCat(
        "job ", record.job.id(), " is ",
        Words(record.state, record.job.attempt(), record.token,
              record.job.checkpoint().fingerprint()),
        ", not ", Words(job.state, job.attempt, job.token, job.fingerprint));
  }
  return "";
}

std::string WhyValuesDiffer(store::Store& store, const std::string& run,
                            const JobModel& model) {
  for (const auto& [step, value] : model.values) {
    v1::GetMeasurementRequest request;
    request.set_run(run);
    request.set_step(step);
    const auto found = store.GetMeasurement(request);
    if (!found.ok()) return found.status().ToString();
    const v1::MetricVector& vector = found->vectors(0);
    // MeasurementOf: base + head.
    if (vector.values_size() != 2 || vector.values(0) != value ||
        vector.values(1) != value + 1) {
      return absl::StrCat("step ", step, " has value ", vector.values(0),
                          ", not ", value);
    }
  }
  return "";
}

}  // namespace sinkwatch::scheduler

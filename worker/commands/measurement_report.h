#ifndef SINKWATCH_WORKER_COMMANDS_MEASUREMENT_REPORT_H_
#define SINKWATCH_WORKER_COMMANDS_MEASUREMENT_REPORT_H_

#include <string>
#include <vector>

#include "worker/measure/measure.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::worker {

// A finished measurement of one checkpoint, for `measure` to show.
struct Report {
  std::string checkpoint;  // folder as given
  MeasureFacts facts;
  MeasureSummary summary;
  std::vector<metrics::MetricVector> values;
};

// The training step in a folder's name ("step1000", "step1000-tokens4B",
// "stage1-step150-tokens1B", "checkpoint-1000"); -1 if there is none.
int64_t StepOfFolder(const std::string& folder);

// One JSON object, as the README shows it; not-finite values are null.
std::string ReportAsJson(const Report& report);
// domain,metric,layer,index,value,stderr,count: a line per value.
std::string ReportAsCsv(const Report& report);
// For people: what was measured, then a table by metric with its unit and
// meaning.
std::string ReportAsTable(const Report& report);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_MEASUREMENT_REPORT_H_

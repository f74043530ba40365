#ifndef SINKWATCH_SERVER_EXPORTER_RUN_FACTS_H_
#define SINKWATCH_SERVER_EXPORTER_RUN_FACTS_H_

#include "server/exporter/now_plane.h"
#include "server/exporter/page_plan.h"
#include "server/exporter/sample_family.h"
#include "sinkwatch/v1/measurement.pb.h"

// What the page says of a run beside what was measured.
namespace sinkwatch::exporter {

// Of every run of the plan: its jobs, its root, what is wrong with it.
void AddFactsOfRuns(const NowInput& input, PagePlan& plan);

// Of the latest measurement of a run of the plan: its step, times and heads,
// and what it was made of. `labels` are the run and the stage.
void AddFactsOfMeasurement(const v1::Measurement& measurement,
                           const Labels& labels, PagePlan& plan);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_RUN_FACTS_H_

#ifndef SINKWATCH_SERVER_SCHEDULER_JOB_COMPARISON_TESTING_H_
#define SINKWATCH_SERVER_SCHEDULER_JOB_COMPARISON_TESTING_H_

#include <string>

#include "server/scheduler/job_model_testing.h"
#include "server/store/store.h"

// Where a store and a model of a run do not agree, in words; empty if they do.
namespace sinkwatch::scheduler {

// Jobs as the model has them, and no other.
std::string WhyJobsDiffer(store::Store& store, const std::string& run,
                          const JobModel& model);

// Every measurement that was acknowledged, as it was sent (MeasurementOf).
std::string WhyValuesDiffer(store::Store& store, const std::string& run,
                            const JobModel& model);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_JOB_COMPARISON_TESTING_H_

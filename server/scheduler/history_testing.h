#ifndef SINKWATCH_SERVER_SCHEDULER_HISTORY_TESTING_H_
#define SINKWATCH_SERVER_SCHEDULER_HISTORY_TESTING_H_

#include <string>
#include <vector>

#include "server/scheduler/operation_testing.h"

// Random histories of a server and its workers: looks, leases, renewals,
// failures, results, requeues; messages that come late, twice or never; clocks
// that are set; restarts, kills and power cuts; a disk that fails. Each is run
// through the real scheduler and store, over a disk in memory, and after every
// operation what the store has is compared with a model (job_model_testing.h).
namespace sinkwatch::scheduler {

// Where the store first does not agree with the model, in words; empty if it
// does to the end.
std::string WhyItDiffers(const std::vector<Operation>& history);

// The same of histories one after the other in one store, each in a run of its
// own: opening a store costs more than a history. None may have a fault.
std::string WhyOneDiffers(const std::vector<std::vector<Operation>>& histories);

// A shorter history that differs as well, none of whose operations can be left
// out.
std::vector<Operation> Shrink(std::vector<Operation> history);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_HISTORY_TESTING_H_

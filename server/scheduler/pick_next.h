#ifndef SINKWATCH_SERVER_SCHEDULER_PICK_NEXT_H_
#define SINKWATCH_SERVER_SCHEDULER_PICK_NEXT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/store/store.h"

namespace sinkwatch::scheduler {

// What the policy remembers of the past.
struct History {
  // Leases given so far, by run: the run with the fewest comes first.
  std::map<std::string, int64_t> leases;
};

// The job that a free worker should take, as its index in `jobs`; none if there
// is no job. Pure: the same jobs and history give the same answer.
//
//  1. Runs take turns: the one with the fewest leases so far, then by name.
//  2. Within a run, every second lease is its newest step: a live run is then
//     followed before retention deletes it. The others are the step nearest to
//     the middle of what waits, on ln(1 + step): a backlog's curve then takes
//     shape early.
std::optional<size_t> PickNext(const std::vector<store::JobRecord>& jobs,
                               const History& history);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_PICK_NEXT_H_

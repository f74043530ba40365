#ifndef SINKWATCH_SERVER_SCHEDULER_PICK_NEXT_H_
#define SINKWATCH_SERVER_SCHEDULER_PICK_NEXT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/store/store.h"

// Which job a free worker takes, in two steps: which run, then which of its
// checkpoints. Pure: the same arguments give the same answer.
namespace sinkwatch::scheduler {

// What the policy remembers of the past.
struct History {
  struct Run {
    int64_t turn = 0;    // the earliest that it may have next
    int64_t leases = 0;  // given so far
  };
  std::map<std::string, Run> runs;
  int64_t turn = 0;  // the latest that was given
};

// The run that comes next: that of the earliest turn, then by name. Each lease
// puts a run one turn further; one that had nothing to do for a while, or is
// new, does not get the turns that it missed. None if there are no runs.
std::optional<std::string> PickRun(const std::vector<std::string>& runs,
                                   const History& history);

// Notes that a job of `run` was leased.
void NoteLease(const std::string& run, History& history);

// Whether the run's next lease is its newest step, as every second one is: a
// live run is then followed before retention deletes it. The others are the
// step nearest to the middle of what waits, on ln(1 + step): a backlog's curve
// then takes shape early.
bool IsNewestInTurn(const std::string& run, const History& history);

// The step in the middle between the lowest and the highest of `jobs`, which
// are some.
int64_t MiddleStep(const std::vector<store::JobRecord>& jobs);

// The job to lease, as its index in `jobs`, which are some of one run: the one
// of the highest step, or the one nearest to step `near` on ln(1 + step).
size_t PickStep(const std::vector<store::JobRecord>& jobs,
                std::optional<int64_t> near);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_PICK_NEXT_H_

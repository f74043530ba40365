#ifndef SINKWATCH_SERVER_SCHEDULER_OPERATION_TESTING_H_
#define SINKWATCH_SERVER_SCHEDULER_OPERATION_TESTING_H_

#include <cstdint>
#include <string>
#include <vector>

// What happens to a server and its workers, as a list that a seed makes and
// that a person can read.
namespace sinkwatch::scheduler {

enum class What {
  kSee,         // step a is there, whole
  kRewrite,     // step a has other content, whole
  kSeeHalf,     // step a is there and not whole; with b odd, rewritten
  kSkip,        // the policy leaves step a out
  kVanish,      // step a is gone
  kUnfollow,    // the run is removed, and added again
  kAcquire,     // some worker asks for a job
  kRenew,       // of lease a, the last or any before; stands still if b is odd
  kFail,        // lease a, with an outcome by b
  kRelease,     // lease a
  kCommit,      // the result of lease a, for the first time or again
  kCommitTwo,   // the results of leases a and b in one transaction
  kRequeue,     // with a odd the vanished ones, too
  kWait,        // a seconds by both clocks; with b = 0 so many minutes
  kSetClock,    // the wall clock, by up to two days
  kRestart,     // stops and starts in order
  kKill,        // kill -9 and start; with a odd the power goes as well
  kKillInNext,  // the same in the middle of the next operation
  kDiskFails,   // in the next operation
};

struct Operation {
  What what;
  int a = 0;
  int b = 0;
};

std::string ToString(const std::vector<Operation>& history);

// The history of a seed: some ten operations. Disks fail in one of `with_fault`
// kinds only.
std::vector<Operation> RandomHistory(uint64_t seed, bool with_faults);

}  // namespace sinkwatch::scheduler

#endif  // SINKWATCH_SERVER_SCHEDULER_OPERATION_TESTING_H_

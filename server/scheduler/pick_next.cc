#include "server/scheduler/pick_next.h"

#include <algorithm>
#include <cmath>

namespace sinkwatch::scheduler {
namespace {

int64_t LeasesOf(const History& history, const std::string& run) {
  const auto found = history.leases.find(run);
  return found == history.leases.end() ? 0 : found->second;
}

const std::string& RunOf(const store::JobRecord& job) {
  return job.job.checkpoint().run();
}

int64_t StepOf(const store::JobRecord& job) {
  return job.job.checkpoint().step();
}

std::string RunInTurn(const std::vector<store::JobRecord>& jobs,
                      const History& history) {
  const auto best = std::min_element(
      jobs.begin(), jobs.end(),
      [&](const store::JobRecord& a, const store::JobRecord& b) {
        const int64_t leases_a = LeasesOf(history, RunOf(a));
        const int64_t leases_b = LeasesOf(history, RunOf(b));
        return leases_a != leases_b ? leases_a < leases_b : RunOf(a) < RunOf(b);
      });
  return RunOf(*best);
}

double Place(int64_t step) {
  return std::log1p(static_cast<double>(std::max<int64_t>(step, 0)));
}

// Index of the job nearest to the middle between the lowest and highest step.
size_t MiddleJob(const std::vector<store::JobRecord>& jobs,
                 const std::vector<size_t>& sorted) {
  const double middle = (Place(StepOf(jobs[sorted.front()])) +
                         Place(StepOf(jobs[sorted.back()]))) /
                        2;
  return *std::min_element(sorted.begin(), sorted.end(),
                           [&](size_t a, size_t b) {
                             return std::fabs(Place(StepOf(jobs[a])) - middle) <
                                    std::fabs(Place(StepOf(jobs[b])) - middle);
                           });
}

}  // namespace

std::optional<size_t> PickNext(const std::vector<store::JobRecord>& jobs,
                               const History& history) {
  if (jobs.empty()) return std::nullopt;
  const std::string run = RunInTurn(jobs, history);
  std::vector<size_t> sorted;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (RunOf(jobs[i]) == run) sorted.push_back(i);
  }
  std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) {
    return StepOf(jobs[a]) < StepOf(jobs[b]);
  });
  const bool newest_in_turn = LeasesOf(history, run) % 2 == 0;
  return newest_in_turn ? sorted.back() : MiddleJob(jobs, sorted);
}

}  // namespace sinkwatch::scheduler

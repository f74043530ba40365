#include "server/scheduler/pick_next.h"

#include <algorithm>
#include <cmath>

namespace sinkwatch::scheduler {
namespace {

History::Run RunOf(const History& history, const std::string& name) {
  const auto found = history.runs.find(name);
  return found == history.runs.end() ? History::Run() : found->second;
}

int64_t TurnOf(const History& history, const std::string& name) {
  return std::max(RunOf(history, name).turn, history.turn);
}

int64_t StepOf(const store::JobRecord& job) {
  return job.job.checkpoint().step();
}

double Place(int64_t step) {
  return std::log1p(static_cast<double>(std::max<int64_t>(step, 0)));
}

bool IsLower(const store::JobRecord& a, const store::JobRecord& b) {
  return StepOf(a) < StepOf(b);
}

}  // namespace

std::optional<std::string> PickRun(const std::vector<std::string>& runs,
                                   const History& history) {
  const auto first = std::min_element(
      runs.begin(), runs.end(),
      [&](const std::string& a, const std::string& b) {
        const int64_t turn_a = TurnOf(history, a), turn_b = TurnOf(history, b);
        return turn_a != turn_b ? turn_a < turn_b : a < b;
      });
  if (first == runs.end()) return std::nullopt;
  return *first;
}

void NoteLease(const std::string& run, History& history) {
  history.turn = TurnOf(history, run);
  History::Run& noted = history.runs[run];
  noted.turn = history.turn + 1;
  ++noted.leases;
}

bool IsNewestInTurn(const std::string& run, const History& history) {
  return RunOf(history, run).leases % 2 == 0;
}

int64_t MiddleStep(const std::vector<store::JobRecord>& jobs) {
  const auto [low, high] =
      std::minmax_element(jobs.begin(), jobs.end(), IsLower);
  const double middle = (Place(StepOf(*low)) + Place(StepOf(*high))) / 2;
  return std::clamp(std::llround(std::expm1(middle)),
                    static_cast<long long>(StepOf(*low)),
                    static_cast<long long>(StepOf(*high)));
}

size_t PickStep(const std::vector<store::JobRecord>& jobs,
                std::optional<int64_t> near) {
  const auto distance = [&](const store::JobRecord& job) {
    return std::fabs(Place(StepOf(job)) - Place(*near));
  };
  const auto picked = near.has_value()
                          ? std::min_element(jobs.begin(), jobs.end(),
                                             [&](const auto& a, const auto& b) {
                                               return distance(a) < distance(b);
                                             })
                          : std::max_element(jobs.begin(), jobs.end(), IsLower);
  return picked - jobs.begin();
}

}  // namespace sinkwatch::scheduler

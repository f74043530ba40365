#include "server/scheduler/operation_testing.h"

#include <random>

#include "absl/strings/str_cat.h"

namespace sinkwatch::scheduler {
namespace {

const char* const kNames[] = {
    "see",      "rewrite",    "see_half",     "skip",      "vanish",
    "unfollow", "acquire",    "renew",        "fail",      "release",
    "commit",   "commit_two", "requeue",      "wait",      "set_clock",
    "restart",  "kill",       "kill_in_next", "disk_fails"};

}  // namespace

std::string ToString(const std::vector<Operation>& history) {
  std::string text;
  for (const auto& [what, a, b] : history) {
    absl::StrAppend(&text, "  ", kNames[static_cast<int>(what)], " ", a, " ", b,
                    "\n");
  }
  return text;
}

std::vector<Operation> RandomHistory(uint64_t seed, bool with_faults) {
  // How often each comes, in the order of What. A start costs as much as thirty
  // other operations: it is common where disks fail, and rare elsewhere.
  constexpr int kUsual[] = {12, 6, 4, 2,  4, 2, 28, 8, 16, 6,
                            18, 4, 6, 16, 4, 1, 1,  0, 0};
  constexpr int kFaulty[] = {6, 3, 2, 1, 2, 1, 14, 4, 8, 3,
                             9, 2, 3, 6, 1, 2, 4,  9, 9};
  std::mt19937_64 random(seed);
  std::discrete_distribution<int> draw =
      with_faults ? std::discrete_distribution<int>(std::begin(kFaulty),
                                                    std::end(kFaulty))
                  : std::discrete_distribution<int>(std::begin(kUsual),
                                                    std::end(kUsual));
  std::vector<Operation> history = {{What::kSee, 0}};
  const size_t length = 4 + random() % 12;
  while (history.size() < length) {
    history.push_back({static_cast<What>(draw(random)),
                       static_cast<int>(random() % 120),
                       static_cast<int>(random() % 30)});
  }
  return history;
}

}  // namespace sinkwatch::scheduler

#include "server/query/jump_intervals.h"

#include <algorithm>
#include <map>
#include <string>
#include <tuple>

#include "server/analytics/order_statistics.h"

namespace sinkwatch::query {

std::vector<v1::JumpInterval> IntervalsOf(const std::vector<v1::Jump>& jumps,
                                          int of) {
  using Key = std::tuple<std::string, std::string, int64_t, int64_t, bool>;
  std::map<Key, std::vector<const v1::Jump*>> groups;
  for (const v1::Jump& jump : jumps) {
    groups[{jump.key().run(), jump.key().domain(), jump.after_step(),
            jump.by_step(), jump.after() > jump.before()}]
        .push_back(&jump);
  }
  std::vector<v1::JumpInterval> intervals;
  for (const auto& [key, members] : groups) {
    v1::JumpInterval& interval = intervals.emplace_back();
    interval.set_run(std::get<0>(key));
    interval.set_domain(std::get<1>(key));
    interval.set_after_step(std::get<2>(key));
    interval.set_by_step(std::get<3>(key));
    interval.set_series(static_cast<int32_t>(members.size()));
    interval.set_of(of);
    std::vector<double> changes;
    for (const v1::Jump* jump : members) {
      changes.push_back(jump->after() - jump->before());
      interval.set_max_score(std::max(interval.max_score(), jump->score()));
    }
    interval.set_median_change(analytics::MedianOf(std::move(changes)));
  }
  std::stable_sort(intervals.begin(), intervals.end(), ComesFirst);
  return intervals;
}

bool ComesFirst(const v1::JumpInterval& a, const v1::JumpInterval& b) {
  if (a.series() != b.series()) return a.series() > b.series();
  return a.max_score() > b.max_score();
}

}  // namespace sinkwatch::query

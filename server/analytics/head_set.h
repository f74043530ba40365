#ifndef SINKWATCH_SERVER_ANALYTICS_HEAD_SET_H_
#define SINKWATCH_SERVER_ANALYTICS_HEAD_SET_H_

#include <vector>

namespace sinkwatch::analytics {

// How a set of heads goes over into that of the next checkpoint.
struct SetChange {
  // Heads in both over heads in either; 1 of two empty sets.
  double jaccard = 1;
  int dropouts = 0;   // in the first only
  int newcomers = 0;  // in the second only
};

// The sets are told by one flag per head, equally many.
SetChange ChangeOf(const std::vector<bool>& before,
                   const std::vector<bool>& after);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_HEAD_SET_H_

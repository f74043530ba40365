#include "server/analytics/head_set.h"

#include <algorithm>

namespace sinkwatch::analytics {

SetChange ChangeOf(const std::vector<bool>& before,
                   const std::vector<bool>& after) {
  SetChange change;
  int both = 0;
  for (size_t h = 0; h < std::min(before.size(), after.size()); ++h) {
    both += before[h] && after[h];
    change.dropouts += before[h] && !after[h];
    change.newcomers += !before[h] && after[h];
  }
  const int either = both + change.dropouts + change.newcomers;
  if (either > 0) change.jaccard = static_cast<double>(both) / either;
  return change;
}

}  // namespace sinkwatch::analytics

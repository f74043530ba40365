#include "server/analytics/paired_series.h"

#include "server/analytics/rise.h"

namespace sinkwatch::analytics {

PairedSeries PairOf(const std::vector<SeriesPoint>& x,
                    const std::vector<SeriesPoint>& y, int64_t first_step) {
  PairedSeries pairs;
  size_t at = 0;
  for (const SeriesPoint& point : x) {
    while (at < y.size() && y[at].step < point.step) ++at;
    if (at == y.size()) break;
    if (y[at].step != point.step || point.step < first_step) continue;
    pairs.log_step.push_back(LogStep(static_cast<double>(point.step)));
    pairs.x.push_back(point.value);
    pairs.y.push_back(y[at].value);
  }
  return pairs;
}

}  // namespace sinkwatch::analytics

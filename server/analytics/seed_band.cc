#include "server/analytics/seed_band.h"

#include <algorithm>
#include <map>

#include "server/analytics/order_statistics.h"

namespace sinkwatch::analytics {

std::vector<BandPoint> BandOf(
    const std::vector<std::vector<SeriesPoint>>& runs) {
  std::map<int64_t, std::vector<double>> by_step;
  for (const std::vector<SeriesPoint>& run : runs) {
    for (const SeriesPoint& point : run) {
      by_step[point.step].push_back(point.value);
    }
  }
  std::vector<BandPoint> band;
  for (const auto& [step, values] : by_step) {
    if (values.size() != runs.size()) continue;
    const auto [least, largest] =
        std::minmax_element(values.begin(), values.end());
    band.push_back({step, *least, MedianOf(values), *largest});
  }
  return band;
}

std::string SeedGroupOf(const std::string& run) {
  constexpr char kWord[] = "seed";
  constexpr char kDigits[] = "0123456789";
  const size_t word = run.rfind(kWord);
  if (word == std::string::npos) return run;
  size_t number = word + sizeof(kWord) - 1;
  if (number < run.size() &&
      std::string("-_=").find(run[number]) != std::string::npos) {
    ++number;
  }
  const size_t end =
      std::min(run.find_first_not_of(kDigits, number), run.size());
  if (end == number) return run;
  return run.substr(0, number) + "*" + run.substr(end);
}

}  // namespace sinkwatch::analytics

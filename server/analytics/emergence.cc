#include "server/analytics/emergence.h"

#include <algorithm>
#include <cmath>

namespace sinkwatch::analytics {
namespace {

bool IsBeyond(double value, const EmergenceRule& rule) {
  const double threshold = AsStored(rule.threshold);
  return rule.below ? value <= threshold : value >= threshold;
}

// Checkpoints in a row beyond the threshold, from `first` on.
size_t RunLength(const std::vector<SeriesPoint>& series, size_t first,
                 const EmergenceRule& rule) {
  size_t length = 0;
  while (first + length < series.size() &&
         IsBeyond(series[first + length].value, rule)) {
    ++length;
  }
  return length;
}

// Sets holds_from_step if the last checkpoint lies beyond.
void NoteHold(const std::vector<SeriesPoint>& series, const EmergenceRule& rule,
              v1::Emergence& emergence) {
  const auto last_within = std::find_if(
      series.rbegin(), series.rend(),
      [&](const SeriesPoint& point) { return !IsBeyond(point.value, rule); });
  if (last_within == series.rbegin()) return;
  emergence.set_holds_from_step(last_within.base()->step);
}

// Sets reversal_step if, behind `from`, as many checkpoints in a row as make an
// emergence lie on the other side.
void NoteReversal(const std::vector<SeriesPoint>& series, size_t from,
                  const EmergenceRule& rule, v1::Emergence& emergence) {
  const size_t needed = static_cast<size_t>(std::max(1, rule.consecutive));
  size_t within = 0;
  for (size_t i = from; i < series.size(); ++i) {
    within = IsBeyond(series[i].value, rule) ? 0 : within + 1;
    if (within < needed) continue;
    emergence.set_reversal_step(series[i + 1 - needed].step);
    return;
  }
}

double Crossing(const SeriesPoint& before, const SeriesPoint& after,
                double threshold) {
  const double share =
      (threshold - before.value) / (after.value - before.value);
  const double from = std::log1p(static_cast<double>(before.step));
  const double to = std::log1p(static_cast<double>(after.step));
  return std::expm1(from + share * (to - from));
}

v1::Emergence Found(const std::vector<SeriesPoint>& series, size_t first,
                    const EmergenceRule& rule) {
  v1::Emergence emergence;
  emergence.set_checkpoints(static_cast<int32_t>(series.size()));
  emergence.set_by_step(series[first].step);
  if (first == 0) {
    emergence.set_censoring(v1::CENSORING_LEFT);
    emergence.set_estimate(static_cast<double>(series[0].step));
    return emergence;
  }
  emergence.set_censoring(v1::CENSORING_NONE);
  emergence.set_after_step(series[first - 1].step);
  emergence.set_estimate(
      Crossing(series[first - 1], series[first], rule.threshold));
  return emergence;
}

}  // namespace

v1::Emergence FindEmergence(const std::vector<SeriesPoint>& series,
                            const EmergenceRule& rule) {
  const size_t needed = static_cast<size_t>(std::max(1, rule.consecutive));
  size_t first = 0;
  while (first < series.size()) {
    const size_t length = RunLength(series, first, rule);
    const bool reaches_end = length > 0 && first + length == series.size();
    if (length >= needed || reaches_end) {
      v1::Emergence emergence = Found(series, first, rule);
      emergence.set_provisional(length < needed);
      NoteHold(series, rule, emergence);
      NoteReversal(series, first + length, rule, emergence);
      return emergence;
    }
    first += length + 1;
  }
  v1::Emergence never;
  if (series.empty()) {
    never.set_censoring(v1::CENSORING_UNMEASURED);
    return never;
  }
  never.set_censoring(v1::CENSORING_RIGHT);
  never.set_checkpoints(static_cast<int32_t>(series.size()));
  never.set_after_step(series.back().step);
  return never;
}

bool HasEmerged(const v1::Emergence& emergence) {
  return emergence.censoring() == v1::CENSORING_NONE ||
         emergence.censoring() == v1::CENSORING_LEFT;
}

}  // namespace sinkwatch::analytics

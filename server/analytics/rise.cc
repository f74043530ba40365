#include "server/analytics/rise.h"

#include <algorithm>
#include <cmath>

namespace sinkwatch::analytics {
namespace {

constexpr double kErrorsApart = 4;
constexpr int kSharpInside = 3;

double KnownError(double standard_error) {
  return std::isfinite(standard_error) ? standard_error : 0;
}

size_t ExtremeOf(const std::vector<SeriesPoint>& series, bool below) {
  size_t extreme = 0;
  for (size_t i = 1; i < series.size(); ++i) {
    const bool further = below ? series[i].value < series[extreme].value
                               : series[i].value > series[extreme].value;
    if (further) extreme = i;
  }
  return extreme;
}

// A passage of a share of the way, between checkpoint `by` - 1 and `by`.
struct Passage {
  size_t by = 0;
  double log_step = 0;
};

// The way from the first value to the extreme one, as shares of it.
class Way {
 public:
  Way(const std::vector<SeriesPoint>& series, size_t extreme)
      : series_(series),
        start_(series[0].value),
        length_(series[extreme].value - start_) {}

  double ShareAt(size_t i) const {
    return (series_[i].value - start_) / length_;
  }
  double LogStepAt(size_t i) const {
    return LogStep(static_cast<double>(series_[i].step));
  }

  // The first checkpoint from `from` on that has passed the share.
  Passage FirstFrom(size_t from, double share) const {
    size_t i = from;
    while (ShareAt(i) < share) ++i;
    return At(i, share);
  }
  // What follows the last checkpoint before `end` that has not passed it.
  Passage LastBefore(size_t end, double share) const {
    size_t i = end;
    while (i > 0 && ShareAt(i - 1) >= share) --i;
    return At(i, share);
  }

 private:
  Passage At(size_t by, double share) const {
    const double before = ShareAt(by - 1), after = ShareAt(by);
    const double part = (share - before) / (after - before);
    const double from = LogStepAt(by - 1), to = LogStepAt(by);
    return {by, from + part * (to - from)};
  }

  const std::vector<SeriesPoint>& series_;
  const double start_;
  const double length_;
};

v1::RiseShape ShapeOf(const v1::Rise& rise) {
  if (rise.inside() == 0) return v1::RISE_SHAPE_UNRESOLVED;
  return rise.inside() >= kSharpInside && rise.width() <= std::log(2.0)
             ? v1::RISE_SHAPE_SHARP
             : v1::RISE_SHAPE_GRADUAL;
}

void NoteWidth(const Way& way, const Passage& tenth, const Passage& most,
               v1::Rise& rise) {
  rise.set_width(most.log_step - tenth.log_step);
  rise.set_width_low(
      std::max(0.0, way.LogStepAt(most.by - 1) - way.LogStepAt(tenth.by)));
  rise.set_width_high(way.LogStepAt(most.by) - way.LogStepAt(tenth.by - 1));
  rise.set_inside(static_cast<int32_t>(most.by - tenth.by));
}

}  // namespace

double LogStep(double step) { return std::log1p(step); }

std::optional<v1::Rise> FindRise(const std::vector<SeriesPoint>& series,
                                 bool below) {
  if (series.size() < 2) return std::nullopt;
  const size_t extreme = ExtremeOf(series, below);
  const double way_length = series[extreme].value - series[0].value;
  const double error = std::hypot(KnownError(series[0].standard_error),
                                  KnownError(series[extreme].standard_error));
  if (extreme == 0 || !(std::abs(way_length) >= kErrorsApart * error)) {
    return std::nullopt;
  }
  const Way way(series, extreme);
  const Passage half = way.FirstFrom(1, .5);
  const Passage tenth = way.LastBefore(half.by, .1);
  const Passage most = way.FirstFrom(half.by, .9);
  v1::Rise rise;
  rise.set_start(series[0].value);
  rise.set_extreme(series[extreme].value);
  rise.set_extreme_step(series[extreme].step);
  rise.set_after_step(series[half.by - 1].step);
  rise.set_by_step(series[half.by].step);
  rise.set_half_step(std::expm1(half.log_step));
  NoteWidth(way, tenth, most, rise);
  rise.set_shape(ShapeOf(rise));
  return rise;
}

}  // namespace sinkwatch::analytics

#include "server/analytics/curve_fit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

namespace sinkwatch::analytics {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kFewestPoints = 3;
constexpr int kFewestToPrefer = 6;
constexpr double kAicApart = 4;
// Squares below this share of the data's are rounding of stored floats.
constexpr double kResolution = 1e-14;

using Numbers = std::vector<double>;
using Basis = std::function<double(double t)>;

double MeanOf(const Numbers& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

double ProductSum(const Numbers& x, double mean_x, const Numbers& y,
                  double mean_y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += (x[i] - mean_x) * (y[i] - mean_y);
  return sum;
}

Numbers Through(const Basis& basis, const Numbers& t) {
  Numbers x;
  x.reserve(t.size());
  for (double at : t) x.push_back(basis(at));
  return x;
}

double AicOf(double squares, const Numbers& y, int parameters) {
  const double n = static_cast<double>(y.size());
  double size = 0;
  for (double value : y) size += value * value;
  const double least = std::max(kResolution * size, 1e-300);
  return n * std::log(std::max(squares, least) / n) + 2.0 * (parameters + 1);
}

// ln c in [from, to] with the fewest squares: the best of a grid, then golden
// sections around it.
double BestLogRate(const std::function<double(double)>& squares, double from,
                   double to) {
  constexpr int kGrid = 64, kSections = 40;
  constexpr double kGolden = 0.6180339887498949;
  const double cell = (to - from) / kGrid;
  double best = from, fewest = squares(from);
  for (int i = 1; i <= kGrid; ++i) {
    const double here = squares(from + cell * i);
    if (here < fewest) best = from + cell * i;
    fewest = std::min(fewest, here);
  }
  double low = std::max(from, best - cell), high = std::min(to, best + cell);
  double left = high - kGolden * (high - low), at_left = squares(left);
  double right = low + kGolden * (high - low), at_right = squares(right);
  for (int i = 0; i < kSections; ++i) {
    if (at_left < at_right) {
      high = right;
      right = left, at_right = at_left;
      at_left = squares(left = high - kGolden * (high - low));
    } else {
      low = left;
      left = right, at_left = at_right;
      at_right = squares(right = low + kGolden * (high - low));
    }
  }
  return (low + high) / 2;
}

v1::CurveFit FitOf(v1::CurveModel model, const Line& line, double aic) {
  v1::CurveFit fit;
  fit.set_model(model);
  fit.set_a(line.a);
  fit.set_b(line.b);
  fit.set_b_standard_error(line.b_standard_error);
  fit.set_r_squared(line.r_squared);
  fit.set_aic(aic);
  return fit;
}

v1::CurveFit FitBasis(v1::CurveModel model, const Basis& basis,
                      const Numbers& t, const Numbers& y) {
  const Line line = FitLine(Through(basis, t), y);
  return FitOf(model, line, AicOf(line.squares, y, 2));
}

// A family of bases with one rate; `shape(rate)` is its basis.
v1::CurveFit FitFamily(v1::CurveModel model,
                       const std::function<Basis(double)>& shape,
                       std::pair<double, double> log_rates, const Numbers& t,
                       const Numbers& y) {
  const auto line_at = [&](double log_rate) {
    return FitLine(Through(shape(std::exp(log_rate)), t), y);
  };
  const auto squares = [&](double log_rate) {
    const double left = line_at(log_rate).squares;
    return std::isnan(left) ? std::numeric_limits<double>::infinity() : left;
  };
  const double best = BestLogRate(squares, log_rates.first, log_rates.second);
  Line line = line_at(best);
  line.b_standard_error = kNaN;  // it does not know that c was searched for
  v1::CurveFit fit = FitOf(model, line, AicOf(line.squares, y, 3));
  fit.set_c(std::exp(best));
  return fit;
}

v1::CurveFit FitSaturating(const Numbers& t, const Numbers& y) {
  const auto shape = [](double c) -> Basis {
    return [c](double at) { return -std::expm1(-at / c); };
  };
  return FitFamily(v1::CURVE_MODEL_SATURATING, shape,
                   {std::log(t.front() / 4), std::log(t.back() * 16)}, t, y);
}

// Written a exp(-c t) ln t + b: the line's slope is a here.
v1::CurveFit FitLogExponential(const Numbers& t, const Numbers& y) {
  const auto shape = [](double c) -> Basis {
    return [c](double at) { return std::exp(-c * at) * std::log(at); };
  };
  v1::CurveFit fit =
      FitFamily(v1::CURVE_MODEL_LOG_EXPONENTIAL, shape,
                {std::log(1e-3 / t.back()), std::log(30 / t.back())}, t, y);
  const double slope = fit.b();
  fit.set_b(fit.a());
  fit.set_a(slope);
  return fit;
}

bool AllPositive(const Numbers& y) {
  return std::all_of(y.begin(), y.end(), [](double v) { return v > 0; });
}

v1::CurveFit FitPower(const Numbers& t, const Numbers& y) {
  const Basis log = [](double v) { return std::log(v); };
  const Numbers ln_y = Through(log, y);
  const Line line = FitLine(Through(log, t), ln_y);
  return FitOf(v1::CURVE_MODEL_POWER, line, AicOf(line.squares, ln_y, 2));
}

bool IsSpecialCase(v1::CurveModel special, v1::CurveModel general) {
  return special == general ||
         (special == v1::CURVE_MODEL_LOG &&
          general == v1::CURVE_MODEL_LOG_EXPONENTIAL) ||
         (special == v1::CURVE_MODEL_LINEAR &&
          general == v1::CURVE_MODEL_SATURATING);
}

v1::CurveModel PreferredOf(const std::vector<v1::CurveFit>& fits) {
  std::vector<v1::CurveModel> close;
  for (const v1::CurveFit& fit : fits) {
    if (fit.aic() < fits[0].aic() + kAicApart) close.push_back(fit.model());
  }
  for (v1::CurveModel model : close) {
    if (std::all_of(close.begin(), close.end(), [&](v1::CurveModel other) {
          return IsSpecialCase(model, other);
        })) {
      return model;
    }
  }
  return v1::CURVE_MODEL_UNSPECIFIED;
}

std::vector<v1::CurveFit> ComparedFits(const Numbers& t, const Numbers& y) {
  std::vector<v1::CurveFit> fits = {
      FitBasis(
          v1::CURVE_MODEL_LINEAR, [](double v) { return v; }, t, y),
      FitBasis(
          v1::CURVE_MODEL_LOG, [](double v) { return std::log(v); }, t, y),
      FitSaturating(t, y), FitLogExponential(t, y)};
  std::stable_sort(fits.begin(), fits.end(),
                   [](const v1::CurveFit& a, const v1::CurveFit& b) {
                     return a.aic() < b.aic();
                   });
  return fits;
}

}  // namespace

Line FitLine(const Numbers& x, const Numbers& y) {
  Line line{kNaN, kNaN, kNaN, kNaN, kNaN};
  if (x.size() < 2) return line;
  const double mean_x = MeanOf(x), mean_y = MeanOf(y);
  const double xx = ProductSum(x, mean_x, x, mean_x);
  const double yy = ProductSum(y, mean_y, y, mean_y);
  if (!(xx > 0)) return line;
  line.b = ProductSum(x, mean_x, y, mean_y) / xx;
  line.a = mean_y - line.b * mean_x;
  line.squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double left = y[i] - line.a - line.b * x[i];
    line.squares += left * left;
  }
  if (yy > 0) line.r_squared = 1 - line.squares / yy;
  const double freedom = static_cast<double>(x.size()) - 2;
  if (freedom > 0)
    line.b_standard_error = std::sqrt(line.squares / freedom / xx);
  return line;
}

v1::SeriesFit FitCurves(const std::vector<SeriesPoint>& series) {
  v1::SeriesFit answer;
  Numbers t, y;
  for (const SeriesPoint& point : series) {
    if (point.step < 1) continue;
    if (t.empty()) answer.set_first_step(point.step);
    answer.set_last_step(point.step);
    t.push_back(static_cast<double>(point.step));
    y.push_back(point.value);
  }
  answer.set_points(static_cast<int32_t>(t.size()));
  if (t.size() < kFewestPoints) return answer;
  const std::vector<v1::CurveFit> fits = ComparedFits(t, y);
  *answer.mutable_fits() = {fits.begin(), fits.end()};
  if (answer.points() >= kFewestToPrefer) {
    answer.set_preferred(PreferredOf(fits));
  }
  if (AllPositive(y)) *answer.add_fits() = FitPower(t, y);
  return answer;
}

const v1::CurveFit* FitOfModel(const v1::SeriesFit& fit, v1::CurveModel model) {
  for (const v1::CurveFit& one : fit.fits()) {
    if (one.model() == model) return &one;
  }
  return nullptr;
}

}  // namespace sinkwatch::analytics

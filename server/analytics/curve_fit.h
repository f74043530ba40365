#ifndef SINKWATCH_SERVER_ANALYTICS_CURVE_FIT_H_
#define SINKWATCH_SERVER_ANALYTICS_CURVE_FIT_H_

#include <vector>

#include "server/analytics/series_point.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::analytics {

// The least squares of y = a + b x.
struct Line {
  double a = 0;
  double b = 0;
  double b_standard_error = 0;  // NaN with fewer than 3 points
  double squares = 0;           // what is left
  double r_squared = 0;         // NaN where y does not vary
};

// Of at least 2 points with different x; INVALID (all NaN) of others.
Line FitLine(const std::vector<double>& x, const std::vector<double>& y);

// The curves of CurveModel by least squares, the smallest AIC first:
//
//   linear           a + b t
//   log              a + b ln t
//   saturating       a + b (1 - exp(-t / c))
//   log-exponential  a exp(-c t) ln t + b
//   power            exp(a) t^b, if all values are above 0: fitted to ln y, so
//                    that it is not compared and comes last
//
// AIC = n ln(squares / n) + 2 k, k parameters and the variance. Rates c are
// found by a search over their logarithm. Points with t < 1 have no logarithm
// and are left out; with fewer than 3 others there is no fit. `preferred`: of
// the fits within 4 of the best one, that which is a special case of all others
// there (log of log-exponential, linear of saturating); UNSPECIFIED if there is
// none, or of fewer than 6 points. The key is left unset.
v1::SeriesFit FitCurves(const std::vector<SeriesPoint>& series);

// The fit of one model; null if there is none.
const v1::CurveFit* FitOfModel(const v1::SeriesFit& fit, v1::CurveModel model);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_CURVE_FIT_H_

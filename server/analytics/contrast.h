#ifndef SINKWATCH_SERVER_ANALYTICS_CONTRAST_H_
#define SINKWATCH_SERVER_ANALYTICS_CONTRAST_H_

#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::analytics {

// A mean and its standard error over sequences (NaN where it is not known).
struct Estimate {
  double value = 0;
  double standard_error = 0;
};

// high minus low of two domains. The sequences of two domains are different
// ones, so that the variances add; with only means and standard errors stored,
// the interval is the normal one, 1.96 standard errors to either side; what
// single sequences say puts SequenceBootstrap in its place. Domains are left
// unset.
v1::Contrast DifferenceOf(const Estimate& high, const Estimate& low);

// Whether the interval is known and does not hold 0.
bool ExcludesZero(const v1::Contrast& contrast);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_CONTRAST_H_

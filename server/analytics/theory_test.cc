// The paper's simplified model of one head (arXiv 2410.13835, dynamic_test of
// its code), simulated: each token type v has a sink logit y_v, the sink a
// value s, and the prediction is
//
//   q_v = softmax(a s + (1 - a) z / w + ln p_v),  a = e^{y_v} / (e^{y_v} + w),
//
// z / w the mean value of the other keys. With the value held the logits grow
// as the logarithm of time; with both free they meet at one logit and stand
// still. Gradient descent, deterministic; what is checked is that the fits say
// so.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "server/analytics/curve_fit.h"

namespace sinkwatch::analytics {
namespace {

constexpr int kTypes = 10, kSymbols = 10;
constexpr double kOtherMass = 10, kRate = 2;
constexpr int64_t kSteps = 100000;

using Symbols = std::array<double, kSymbols>;

// Draws that no standard library decides.
class Draws {
 public:
  explicit Draws(uint64_t seed) : random_(seed) {}
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    return radius * std::cos(2 * M_PI * Uniform());
  }

 private:
  double Uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }
  std::mt19937_64 random_;
};

class Head {
 public:
  Head(uint64_t seed, bool trains_value) : trains_value_(trains_value) {
    Draws draws(seed);
    for (Symbols& p : p_) {
      double total = 0;
      for (double& x : p) total += x = std::exp(draws.Normal());
      for (double& x : p) x /= total;
    }
    for (double& x : other_) x = draws.Normal();
    for (double& y : logit_) y = 0.5 * draws.Normal();
    for (double& x : value_) x = trains_value ? draws.Normal() : 0;
  }

  const std::array<double, kTypes>& logit() const { return logit_; }

  void Step() {
    Symbols of_value = {};
    for (int v = 0; v < kTypes; ++v) {
      const double e = std::exp(logit_[v]);
      const double a = e / (e + kOtherMass);
      const Symbols error = ErrorOf(v, a);
      double of_logit = 0;
      for (int k = 0; k < kSymbols; ++k) {
        of_logit += error[k] * (value_[k] - other_[k]) * a * (1 - a);
        of_value[k] += error[k] * a;
      }
      logit_[v] -= kRate / kTypes * of_logit;
    }
    if (!trains_value_) return;
    for (int k = 0; k < kSymbols; ++k) {
      value_[k] -= kRate / kTypes * of_value[k];
    }
  }

 private:
  // q_v - p_v, the gradient of the cross-entropy with respect to the exponents.
  Symbols ErrorOf(int v, double a) const {
    Symbols error;
    double total = 0;
    for (int k = 0; k < kSymbols; ++k) {
      error[k] = p_[v][k] * std::exp(a * value_[k] + (1 - a) * other_[k]);
      total += error[k];
    }
    for (int k = 0; k < kSymbols; ++k) error[k] = error[k] / total - p_[v][k];
    return error;
  }

  const bool trains_value_;
  std::array<Symbols, kTypes> p_;
  Symbols other_, value_;
  std::array<double, kTypes> logit_;
};

// The logits of each type at steps a ninth of a decade apart.
std::vector<std::vector<SeriesPoint>> Curves(Head& head) {
  std::vector<std::vector<SeriesPoint>> curves(kTypes);
  double next = 10000;
  for (int64_t step = 1; step <= kSteps; ++step) {
    head.Step();
    if (static_cast<double>(step) < next) continue;
    next *= std::pow(10, 1. / 9);
    for (int v = 0; v < kTypes; ++v) {
      curves[v].push_back({step, head.logit()[v]});
    }
  }
  return curves;
}

double Spread(const Head& head) {
  const auto [least, most] =
      std::minmax_element(head.logit().begin(), head.logit().end());
  return *most - *least;
}

v1::CurveFit Of(const v1::SeriesFit& fit, v1::CurveModel model) {
  const v1::CurveFit* const found = FitOfModel(fit, model);
  EXPECT_NE(found, nullptr) << "no fit " << model;
  return found != nullptr ? *found : v1::CurveFit();
}

TEST(TheoryTest, WithTheValueHeldTheLogitsGrowWithTheLogarithmOfTime) {
  for (uint64_t seed : {1, 2, 3}) {
    Head head(seed, /*trains_value=*/false);
    for (const auto& curve : Curves(head)) {
      const v1::SeriesFit fit = FitCurves(curve);
      const v1::CurveFit log = Of(fit, v1::CURVE_MODEL_LOG);
      // It tends to a half from above. As nothing here is noise, a curve with
      // one parameter more tells the way there apart from it.
      EXPECT_GE(log.b(), .5) << seed;
      EXPECT_LE(log.b(), .65) << seed;
      EXPECT_GE(log.r_squared(), .99) << seed;
      EXPECT_LT(log.aic(), Of(fit, v1::CURVE_MODEL_LINEAR).aic() - 4) << seed;
    }
  }
}

TEST(TheoryTest, WithBothFreeAllTypesMeetAtOneLogitAndStay) {
  for (uint64_t seed : {1, 2, 3}) {
    Head head(seed, /*trains_value=*/true);
    EXPECT_GT(Spread(head), .5) << "they begin apart";
    const auto curves = Curves(head);
    EXPECT_LT(Spread(head), 1e-4) << seed;
    for (const auto& curve : curves) {
      EXPECT_NEAR(curve.front().value, curve.back().value, 1e-3) << seed;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::analytics

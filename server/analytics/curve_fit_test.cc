#include "server/analytics/curve_fit.h"

#include <cmath>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

// One layer, Adam, from step 300 to 20,000: the sink logit and the value norm
// of the sink of arXiv 2410.13835, from the tensors saved with its code.
const std::vector<SeriesPoint> kLogit = {
    {300, 3.46},  {500, 5.45},   {1000, 9.70}, {2000, 11.6},
    {5000, 13.9}, {10000, 16.8}, {20000, 22.8}};
const std::vector<SeriesPoint> kValue = {
    {300, 5.52},  {500, 4.85},   {1000, 3.51}, {2000, 2.65},
    {5000, 1.87}, {10000, 1.42}, {20000, 1.50}};
const std::vector<SeriesPoint> kResidual = {
    {0, 24.3},    {100, 31.1},   {200, 28.3},   {300, 25.4},   {500, 25.4},
    {1000, 27.0}, {2000, 32.2},  {5000, 47.2},  {10000, 72.2}, {20000, 127},
    {50000, 299}, {100000, 621}, {199000, 1376}};

v1::CurveFit Of(const v1::SeriesFit& fit, v1::CurveModel model) {
  const v1::CurveFit* const found = FitOfModel(fit, model);
  EXPECT_NE(found, nullptr) << "no fit " << model;
  return found != nullptr ? *found : v1::CurveFit();
}

// Expected values: least squares by a second program (Python). The dense curves
// have slope 3.88 and exponent -.351, which lie within two standard errors.
TEST(FitCurvesTest, ThePapersLogitGrowsWithTheLogarithm) {
  const v1::CurveFit log = Of(FitCurves(kLogit), v1::CURVE_MODEL_LOG);
  EXPECT_NEAR(log.a(), -20.371524994324364, 1e-9);
  EXPECT_NEAR(log.b(), 4.186436499802435, 1e-10);
  EXPECT_NEAR(log.r_squared(), 0.9691475275310683, 1e-10);
  EXPECT_LT(std::abs(log.b() - 3.88), 2 * log.b_standard_error());
  EXPECT_LT(log.aic(), Of(FitCurves(kLogit), v1::CURVE_MODEL_LINEAR).aic() - 4);
}

TEST(FitCurvesTest, ThePapersValueDecaysAsAPower) {
  const v1::SeriesFit fit = FitCurves(kValue);
  const v1::CurveFit power = Of(fit, v1::CURVE_MODEL_POWER);
  EXPECT_EQ(fit.fits(fit.fits_size() - 1).model(), v1::CURVE_MODEL_POWER);
  EXPECT_NEAR(power.b(), -0.34644247984324517, 1e-10);
  EXPECT_LT(std::abs(power.b() + .351), 2 * power.b_standard_error());
}

TEST(FitCurvesTest, ThePapersResidualGrowsLinearly) {
  std::vector<SeriesPoint> late(kResidual.begin() + 3, kResidual.begin() + 10);
  const v1::CurveFit linear = Of(FitCurves(late), v1::CURVE_MODEL_LINEAR);
  EXPECT_NEAR(1000 * linear.b(), 5.183521074428847, 1e-9);  // 5.1 per 1k steps
  EXPECT_NEAR(linear.r_squared(), 0.9989573723408854, 1e-10);
}

std::vector<SeriesPoint> Planted(const std::function<double(double)>& curve) {
  std::vector<SeriesPoint> series;
  for (int i = 0; i < 40; ++i) {
    const auto step = static_cast<int64_t>(100 * std::pow(1.2, i));
    // A wiggle of a thousandth, so that nothing is exact.
    series.push_back({step, curve(static_cast<double>(step)) +
                                .001 * std::sin(12.9898 * i)});
  }
  return series;
}

TEST(FitCurvesTest, FindsThePlantedCurve) {
  const v1::SeriesFit linear =
      FitCurves(Planted([](double t) { return 1 + 2e-4 * t; }));
  EXPECT_EQ(linear.preferred(), v1::CURVE_MODEL_LINEAR);
  const v1::SeriesFit log =
      FitCurves(Planted([](double t) { return 1 + .5 * std::log(t); }));
  EXPECT_EQ(log.preferred(), v1::CURVE_MODEL_LOG);
  EXPECT_NEAR(Of(log, v1::CURVE_MODEL_LOG).b(), .5, 1e-3);
  const v1::SeriesFit saturating = FitCurves(
      Planted([](double t) { return 1 + 3 * (1 - std::exp(-t / 4000)); }));
  EXPECT_EQ(saturating.preferred(), v1::CURVE_MODEL_SATURATING);
  EXPECT_NEAR(Of(saturating, v1::CURVE_MODEL_SATURATING).c(), 4000, 20);
  EXPECT_NEAR(Of(saturating, v1::CURVE_MODEL_SATURATING).b(), 3, .01);
  const v1::SeriesFit early_peak = FitCurves(Planted(
      [](double t) { return 2 + .7 * std::exp(-t / 20000) * std::log(t); }));
  EXPECT_EQ(early_peak.preferred(), v1::CURVE_MODEL_LOG_EXPONENTIAL);
  EXPECT_NEAR(Of(early_peak, v1::CURVE_MODEL_LOG_EXPONENTIAL).a(), .7, .01);
  EXPECT_NEAR(Of(early_peak, v1::CURVE_MODEL_LOG_EXPONENTIAL).c(), 1. / 20000,
              1e-6);
}

TEST(FitCurvesTest, FewPointsPreferNothing) {
  const v1::SeriesFit five =
      FitCurves({{1, 0}, {10, 2.3}, {100, 4.6}, {1000, 6.9}, {10000, 9.2}});
  EXPECT_EQ(five.points(), 5);
  EXPECT_EQ(five.preferred(), v1::CURVE_MODEL_UNSPECIFIED);
  EXPECT_EQ(FitCurves({{1, 0}, {10, 2}}).fits_size(), 0);
  // Step 0 has no logarithm, a value of 0 neither.
  const v1::SeriesFit four =
      FitCurves({{0, 9}, {1, 0}, {2, 1}, {3, 2}, {4, 3}});
  EXPECT_EQ(four.points(), 4);
  EXPECT_EQ(four.first_step(), 1);
  EXPECT_EQ(four.fits_size(), 4);
}

// The simplified model of the paper's theory: for a token of type v the sink
// has the logit y_v and the value s, all other keys together the weight w; the
// loss is the cross-entropy to p_v of softmax(e^y/(e^y + w) s + w/(e^y + w) z_v
// + ln p_v).
class SinkModel {
 public:
  SinkModel() {
    for (int v = 0; v < kTypes; ++v) {
      double sum = 0;
      for (int i = 0; i < kTypes; ++i) {
        p_[v][i] = 1 + .5 * std::sin(1 + 3 * v + 7 * i);
        sum += p_[v][i];
      }
      for (int i = 0; i < kTypes; ++i) {
        p_[v][i] /= sum;
      }
      y_[v] = 0;
      z_[v] = std::cos(2 + 3 * v);
      s_[v] = 1.5 * std::sin(4 + 2 * v);
    }
  }

  // Gradient descent; the value s moves or is frozen.
  void Train(int64_t steps, bool with_value) {
    constexpr double kRate = 2;
    for (int64_t t = 0; t < steps; ++t) {
      double value_gradient[kTypes] = {};
      for (int v = 0; v < kTypes; ++v) {
        const double sink = std::exp(y_[v]), share = sink / (sink + kOthers);
        double q[kTypes], sum = 0, logit_gradient = 0;
        for (int i = 0; i < kTypes; ++i) {
          q[i] = p_[v][i] * std::exp(share * s_[i] + (1 - share) * z_[i]);
          sum += q[i];
        }
        for (int i = 0; i < kTypes; ++i) {
          const double residual = (q[i] / sum - p_[v][i]) / kTypes;
          value_gradient[i] += residual * share;
          logit_gradient += residual * (s_[i] - z_[i]) * share * (1 - share);
        }
        y_[v] -= kRate * logit_gradient;
      }
      for (int i = 0; with_value && i < kTypes; ++i) {
        s_[i] -= kRate * value_gradient[i];
      }
    }
  }
  void FreezeDrainedValue() {
    for (double& s : s_) s = 0;
  }
  double MeanLogit() const {
    double sum = 0;
    for (double y : y_) sum += y;
    return sum / kTypes;
  }
  double SpreadOfLogits() const {
    double sum = 0;
    for (double y : y_) sum += (y - MeanLogit()) * (y - MeanLogit());
    return std::sqrt(sum / kTypes);
  }

 private:
  static constexpr int kTypes = 10;
  static constexpr double kOthers = 10;  // w
  double p_[kTypes][kTypes], z_[kTypes], y_[kTypes], s_[kTypes];
};

// With the value held at its drained one the sink logit grows as the logarithm
// of the step, with a slope that tends to one half.
TEST(FitCurvesTest, TheTheorysSinkLogitGrowsByHalfTheLogarithm) {
  SinkModel model;
  model.FreezeDrainedValue();
  std::vector<SeriesPoint> late;
  int64_t at = 0;
  for (int64_t step :
       {10000, 14000, 20000, 28000, 40000, 56000, 80000, 100000}) {
    model.Train(step - at, /*with_value=*/false);
    at = step;
    late.push_back({step, model.MeanLogit()});
  }
  const v1::SeriesFit fit = FitCurves(late);
  EXPECT_GT(Of(fit, v1::CURVE_MODEL_LOG).b(), .5);
  EXPECT_LT(Of(fit, v1::CURVE_MODEL_LOG).b(), .65);
  EXPECT_LT(Of(fit, v1::CURVE_MODEL_LOG).aic(),
            Of(fit, v1::CURVE_MODEL_LINEAR).aic() - 4);
}

// With the value free the logits of all token types go to one value and stay
// there, because the value makes up for the others.
TEST(FitCurvesTest, TheTheorysSinkLogitsConcentrate) {
  SinkModel model;
  model.Train(300, /*with_value=*/true);
  EXPECT_GT(model.SpreadOfLogits(), .01);
  model.Train(4700, /*with_value=*/true);
  EXPECT_LT(model.SpreadOfLogits(), 1e-9);
  const double before = model.MeanLogit();
  model.Train(5000, /*with_value=*/true);
  EXPECT_NEAR(model.MeanLogit(), before, 1e-9);
}

}  // namespace
}  // namespace sinkwatch::analytics

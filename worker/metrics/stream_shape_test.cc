#include <cmath>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

const std::vector<std::string> kMetrics = {
    "kurtosis_token",      "neuron_kurtosis",   "matrix_entropy",
    "matrix_entropy_rest", "postnorm_sparsity", "postnorm_cosine",
    "head_participation",  "lse_mean"};

using Rows = std::vector<std::vector<double>>;

Rows RowsOf(const at::Tensor& x_TD, int64_t first) {
  const at::Tensor x = x_TD.to(at::kDouble).contiguous();
  Rows rows;
  for (int64_t t = first; t < x.size(0); ++t) {
    const double* const row = x.const_data_ptr<double>() + t * x.size(1);
    rows.emplace_back(row, row + x.size(1));
  }
  return rows;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// -sum p ln p of the squared singular values, which are the squared lengths of
// the rows once these are turned orthogonal to each other (one-sided Jacobi).
double SpectralEntropyOf(Rows rows) {
  for (int sweep = 0; sweep < 60; ++sweep) {
    for (size_t i = 0; i < rows.size(); ++i) {
      for (size_t j = i + 1; j < rows.size(); ++j) {
        const double a = Dot(rows[i], rows[i]), b = Dot(rows[j], rows[j]);
        const double c = Dot(rows[i], rows[j]);
        if (std::fabs(c) <= 1e-15 * std::sqrt(a * b)) continue;
        const double angle = 0.5 * std::atan2(2 * c, a - b);
        for (size_t k = 0; k < rows[i].size(); ++k) {
          const double x = rows[i][k], y = rows[j][k];
          rows[i][k] = std::cos(angle) * x + std::sin(angle) * y;
          rows[j][k] = std::cos(angle) * y - std::sin(angle) * x;
        }
      }
    }
  }
  double total = 0, entropy = 0;
  for (const auto& row : rows) total += Dot(row, row);
  for (const auto& row : rows) {
    const double p = Dot(row, row) / total;
    if (p > 1e-15) entropy -= p * std::log(p);
  }
  return entropy;
}

double KurtosisOf(const std::vector<double>& x) {
  const double n = static_cast<double>(x.size());
  double mean = 0, second = 0, fourth = 0;
  for (double v : x) mean += v / n;
  for (double v : x) second += std::pow(v - mean, 2) / n;
  for (double v : x) fourth += std::pow(v - mean, 4) / n;
  return fourth / (second * second) - 3;
}

double CosineOf(const Rows& rows) {
  double sum = 0, pairs = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = 0; j < i; ++j, ++pairs) {
      sum += Dot(rows[i], rows[j]) /
             std::sqrt(Dot(rows[i], rows[i]) * Dot(rows[j], rows[j]));
    }
  }
  return sum / pairs;
}

class StreamShapeTest : public ::testing::TestWithParam<Shape> {};

TEST_P(StreamShapeTest, StreamEqualsTheDefinition) {
  LayerBatch batch = RandomLayer(GetParam());
  batch.resid_post_BTD.select(1, 0).mul_(30);
  batch.resid_post_BTD.select(2, 4).mul_(9);
  const BruteForce x(batch);
  double kurtosis = 0, neurons = 0, entropy = 0, entropy_rest = 0, small = 0,
         cosine = 0;
  for (int64_t b = 0; b < x.B; ++b) {
    const Rows rows = RowsOf(batch.resid_post_BTD.select(0, b), 0);
    const Rows rest = RowsOf(batch.resid_post_BTD.select(0, b), 1);
    std::vector<double> power(x.D, 0);
    for (const auto& row : rows) {
      kurtosis += KurtosisOf(row) / (x.B * x.T);
      const double rms = std::sqrt(Dot(row, row) / x.D);
      for (int64_t j = 0; j < x.D; ++j) {
        power[j] += row[j] * row[j] / x.T;
        small += std::fabs(row[j]) < 0.01 * rms;
      }
    }
    double first = 0, second = 0;
    for (double s : power) first += s / x.D;
    for (double s : power) second += s * s / x.D;
    neurons += second / (first * first) / x.B;
    entropy += SpectralEntropyOf(rows) / x.B;
    entropy_rest += SpectralEntropyOf(rest) / x.B;
    cosine += CosineOf(rest) / x.B;
  }
  const Values values = Measure({batch}, {}, kMetrics);
  ExpectClose(values, "d kurtosis_token", {kurtosis});
  ExpectClose(values, "d neuron_kurtosis", {neurons});
  ExpectClose(values, "d matrix_entropy", {entropy});
  ExpectClose(values, "d matrix_entropy_rest", {entropy_rest});
  ExpectClose(values, "d postnorm_sparsity", {small / (x.B * x.T * x.D)});
  ExpectClose(values, "d postnorm_cosine", {cosine});
}

TEST_P(StreamShapeTest, HeadsEqualTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  std::vector<double> participation(x.H, 0), lse(x.H, 0);
  for (int64_t h = 0; h < x.H; ++h) {
    for (int64_t b = 0; b < x.B; ++b) {
      participation[h] += std::exp(SpectralEntropyOf(RowsOf(
                              batch.z_BHTE.select(0, b).select(0, h), 1))) /
                          x.B;
    }
    lse[h] = x.RowMean(
        h, 1, [](int64_t, int64_t) { return true; },
        [&](int64_t b, int64_t head, int64_t t) {
          double sum = std::exp(x.LearnedSink(head));
          for (int64_t k = 0; k <= t; ++k) {
            if (x.Sees(t, k)) sum += std::exp(x.S(b, head, t, k));
          }
          return std::log(sum);
        });
  }
  const Values values = Measure({batch}, {}, kMetrics);
  ExpectClose(values, "d head_participation", participation);
  if (GetParam().relu) {
    EXPECT_EQ(values.count("d lse_mean"), 0u);
  } else {
    ExpectClose(values, "d lse_mean", lse);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, StreamShapeTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(StreamShapeMicroTest, AHeadThatWritesNothingTakesPartInNothing) {
  LayerBatch batch = RandomLayer(Shape());
  batch.z_BHTE.select(1, 2).zero_();
  const Values values = Measure({batch}, {}, {"head_participation"});
  EXPECT_EQ(values.at("d head_participation").values[2], 0);
  EXPECT_GT(values.at("d head_participation").values[1], 1);
}

TEST(StreamShapeMicroTest, OneDirectionHasNoEntropyAndCosineOne) {
  LayerBatch batch = RandomLayer(Shape());
  batch.resid_post_BTD.fill_(3);
  const Values values = Measure({batch}, {},
                                {"matrix_entropy", "postnorm_cosine",
                                 "neuron_kurtosis", "kurtosis_token"});
  ExpectClose(values, "d matrix_entropy", {0});
  ExpectClose(values, "d postnorm_cosine", {1});
  ExpectClose(values, "d neuron_kurtosis", {1});
  ExpectClose(values, "d kurtosis_token", {0});
}

}  // namespace
}  // namespace sinkwatch::metrics::test

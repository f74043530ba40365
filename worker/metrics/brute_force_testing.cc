#include "worker/metrics/brute_force_testing.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "ATen/ops/empty.h"
#include "gtest/gtest.h"

namespace sinkwatch::metrics::test {
namespace {

at::Tensor Random(std::mt19937_64& generator, at::IntArrayRef sizes,
                  double spread) {
  std::normal_distribution<float> normal(0, static_cast<float>(spread));
  at::Tensor tensor = at::empty(sizes, at::kFloat);
  float* data = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) data[i] = normal(generator);
  return tensor;
}

std::vector<double> Doubles(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  at::Tensor flat = tensor.to(at::kDouble).contiguous();
  const double* data = flat.const_data_ptr<double>();
  return std::vector<double>(data, data + flat.numel());
}

double Norm(const std::vector<double>& x, int64_t row, int64_t width) {
  double sum = 0;
  for (int64_t e = 0; e < width; ++e) {
    sum += x[row * width + e] * x[row * width + e];
  }
  return std::sqrt(sum);
}

}  // namespace

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes(8);
  shapes[1].name = "grouped";
  shapes[1].G = 2;
  shapes[2].name = "windowed";
  shapes[2].window = 6;
  shapes[2].G = 1;
  shapes[3].name = "relu";
  shapes[3].relu = true;
  shapes[4].name = "even_length";
  shapes[4].T = 20;
  shapes[4].H = 1;
  shapes[4].G = 1;
  shapes[4].E = 24;
  shapes[5].name = "one_sequence";
  shapes[5].B = 1;
  shapes[5].spread = 4;
  shapes[6].name = "learned_sinks";
  shapes[6].learned_sinks = true;
  shapes[7].name = "learned_sinks_windowed";
  shapes[7].learned_sinks = true;
  shapes[7].window = 6;
  shapes[7].G = 2;
  return shapes;
}

LayerBatch RandomLayer(const Shape& s, uint64_t seed) {
  std::mt19937_64 generator(seed);
  LayerBatch batch;
  batch.resid_pre_BTD = Random(generator, {s.B, s.T, s.D}, s.spread);
  batch.q_BHTE = Random(generator, {s.B, s.H, s.T, s.E}, s.spread);
  batch.k_BGTE = Random(generator, {s.B, s.G, s.T, s.E}, s.spread);
  batch.v_BGTE = Random(generator, {s.B, s.G, s.T, s.E}, s.spread);
  batch.z_BHTE = Random(generator, {s.B, s.H, s.T, s.E}, s.spread);
  batch.resid_post_BTD = Random(generator, {s.B, s.T, s.D}, s.spread);
  batch.output_projection_DHE = Random(generator, {s.D, s.H * s.E}, 0.3);
  batch.attention.scale = 1 / std::sqrt(static_cast<double>(s.E));
  batch.attention.window = s.window;
  batch.attention.normalisation =
      s.relu ? kernels::Normalisation::kRelu : kernels::Normalisation::kSoftmax;
  if (s.learned_sinks) {
    batch.attention.learned_sinks_H = Random(generator, {s.H}, 3);
  }
  batch.attn_out_BTD = Random(generator, {s.B, s.T, s.D}, s.spread);
  batch.mlp_out_BTD = Random(generator, {s.B, s.T, s.D}, s.spread);
  batch.resid_mid_BTD = batch.resid_pre_BTD.add(batch.attn_out_BTD);
  return batch;
}

LayerBatch Slice(const LayerBatch& batch, int64_t begin, int64_t end) {
  LayerBatch slice = batch;
  for (at::Tensor* x :
       {&slice.resid_pre_BTD, &slice.q_BHTE, &slice.k_BGTE, &slice.v_BGTE,
        &slice.z_BHTE, &slice.attn_out_BTD, &slice.resid_mid_BTD,
        &slice.mlp_out_BTD, &slice.resid_post_BTD, &slice.router_BTX,
        &slice.experts_BTK, &slice.row_classes_BT}) {
    if (x->defined()) *x = x->slice(0, begin, end);
  }
  return slice;
}

Values Measure(const std::vector<LayerBatch>& batches,
               const std::vector<std::string>& classes,
               const std::vector<std::string>& metrics) {
  MeasurementOptions options;
  options.domains = {{"d", classes}};
  options.metrics = metrics;
  auto measurement = MeasurementBuilder::Create(options);
  EXPECT_TRUE(measurement.ok()) << measurement.status();
  for (const LayerBatch& batch : batches) (*measurement)->FoldLayer(batch);
  auto vectors = (*measurement)->FinishLayer(batches.front().layer);
  EXPECT_TRUE(vectors.ok()) << vectors.status();
  Values values;
  if (!vectors.ok()) return values;
  for (const MetricVector& vector : *vectors) {
    values[vector.domain + " " + vector.metric] = vector;
  }
  return values;
}

BruteForce::BruteForce(const LayerBatch& batch)
    : B(batch.q_BHTE.size(0)),
      T(batch.q_BHTE.size(2)),
      H(batch.q_BHTE.size(1)),
      G(batch.k_BGTE.size(1)),
      E(batch.q_BHTE.size(3)),
      D(batch.resid_post_BTD.size(2)),
      window_(batch.attention.window),
      relu_(batch.attention.normalisation == kernels::Normalisation::kRelu),
      scale_(batch.attention.scale),
      learned_sinks_(Doubles(batch.attention.learned_sinks_H)),
      resid_pre_(Doubles(batch.resid_pre_BTD)),
      q_(Doubles(batch.q_BHTE)),
      k_(Doubles(batch.k_BGTE)),
      v_(Doubles(batch.v_BGTE)),
      z_(Doubles(batch.z_BHTE)),
      resid_post_(Doubles(batch.resid_post_BTD)),
      projection_(Doubles(batch.output_projection_DHE)),
      attention_(B * H * T * T, 0) {
  for (int64_t row = 0; row < B * H * T; ++row) {
    const int64_t t = row % T, h = row / T % H, b = row / T / H;
    double sum = relu_ ? 0 : std::exp(LearnedSink(h));
    for (int64_t k = 0; k < T; ++k) {
      if (!Sees(t, k)) continue;
      const double s = S(b, h, t, k);
      double& weight = attention_[row * T + k];
      weight =
          relu_ ? std::max(s, 0.0) / static_cast<double>(t + 1) : std::exp(s);
      sum += weight;
    }
    if (relu_) continue;
    for (int64_t k = 0; k < T; ++k) attention_[row * T + k] /= sum;
  }
}

double BruteForce::S(int64_t b, int64_t h, int64_t t, int64_t k) const {
  double dot = 0;
  for (int64_t e = 0; e < E; ++e) {
    dot += q_[((b * H + h) * T + t) * E + e] *
           k_[((b * G + GroupOf(h)) * T + k) * E + e];
  }
  return scale_ * dot;
}

double BruteForce::LearnedSink(int64_t h) const {
  return learned_sinks_.empty() ? -HUGE_VAL : learned_sinks_[h];
}

double BruteForce::NormK(int64_t b, int64_t g, int64_t t) const {
  return Norm(k_, (b * G + g) * T + t, E);
}

double BruteForce::NormV(int64_t b, int64_t g, int64_t t) const {
  return Norm(v_, (b * G + g) * T + t, E);
}

double BruteForce::NormZ(int64_t b, int64_t h, int64_t t) const {
  return Norm(z_, (b * H + h) * T + t, E);
}

double BruteForce::Written(const std::vector<double>& x, int64_t offset,
                           int64_t h) const {
  double sum = 0;
  for (int64_t d = 0; d < D; ++d) {
    double y = 0;
    for (int64_t e = 0; e < E; ++e) {
      y += projection_[d * H * E + h * E + e] * x[offset + e];
    }
    sum += y * y;
  }
  return std::sqrt(sum);
}

double BruteForce::NormWrittenV(int64_t b, int64_t h, int64_t t) const {
  return Written(v_, ((b * G + GroupOf(h)) * T + t) * E, h);
}

double BruteForce::NormWrittenZ(int64_t b, int64_t h, int64_t t) const {
  return Written(z_, ((b * H + h) * T + t) * E, h);
}

double BruteForce::NormResidPre(int64_t b, int64_t t) const {
  return Norm(resid_pre_, b * T + t, D);
}

double BruteForce::NormResidPost(int64_t b, int64_t t) const {
  return Norm(resid_post_, b * T + t, D);
}

double BruteForce::CosineToSink(int64_t b, int64_t h, int64_t t) const {
  return S(b, h, t, 0) / scale_ / Norm(q_, (b * H + h) * T + t, E) /
         NormK(b, GroupOf(h), 0);
}

double BruteForce::RowMean(int64_t h, int64_t first, const RowTest& counts,
                           const RowValue& value) const {
  double sum = 0;
  int64_t rows = 0;
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t t = first; t < T; ++t) {
      if (!counts(b, t)) continue;
      sum += value(b, h, t);
      ++rows;
    }
  }
  return sum / static_cast<double>(rows);
}

double QuantileOf(std::vector<double> x, double q) {
  std::sort(x.begin(), x.end());
  const double place = q * static_cast<double>(x.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, x.size() - 1);
  return x[below] +
         (place - static_cast<double>(below)) * (x[above] - x[below]);
}

void ExpectClose(const Values& values, const std::string& key,
                 const std::vector<double>& expected) {
  const auto found = values.find(key);
  ASSERT_NE(found, values.end()) << key << " is absent";
  const std::vector<float>& actual = found->second.values;
  ASSERT_EQ(actual.size(), expected.size()) << key;
  EXPECT_EQ(found->second.standard_error.size(), expected.size()) << key;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double tolerance = std::max(2e-5 * std::fabs(expected[i]), 2e-6);
    EXPECT_TRUE(std::fabs(actual[i] - expected[i]) <= tolerance)
        << key << "[" << i << "]: " << actual[i] << " instead of "
        << expected[i];
  }
}

}  // namespace sinkwatch::metrics::test

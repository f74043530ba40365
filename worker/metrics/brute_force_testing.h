#ifndef SINKWATCH_WORKER_METRICS_BRUTE_FORCE_TESTING_H_
#define SINKWATCH_WORKER_METRICS_BRUTE_FORCE_TESTING_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/layer_batch.h"
#include "worker/metrics/measurement_builder.h"

// For tests: layers of random numbers, and an attention pattern of them that is
// written out in double, T x T, straight from the definitions. It shares no
// code with what it checks.
namespace sinkwatch::metrics::test {

struct Shape {
  std::string name = "plain";
  int64_t B = 5, T = 17, H = 4, G = 4, E = 6, D = 24;
  int64_t window = 0;
  bool relu = false;
  bool learned_sinks = false;
  double spread = 1.5;  // of q, k, v, z and the stream
};

// Softmax and ReLU, groups, windows, learned sinks, odd and even lengths.
std::vector<Shape> Shapes();

LayerBatch RandomLayer(const Shape& shape, uint64_t seed = 1);

// Sequences [begin, end) of a batch.
LayerBatch Slice(const LayerBatch& batch, int64_t begin, int64_t end);

// What a measurement of these metrics (none: the default ones) gives for
// batches of layer 0 of domain "d" with these classes, by "domain metric".
using Values = std::map<std::string, MetricVector>;
Values Measure(const std::vector<LayerBatch>& batches,
               const std::vector<std::string>& classes = {},
               const std::vector<std::string>& metrics = {});

class BruteForce {
 public:
  explicit BruteForce(const LayerBatch& batch);

  int64_t B, T, H, G, E, D;

  bool Sees(int64_t t, int64_t k) const {
    return k <= t && (window_ <= 0 || k > t - window_);
  }
  double S(int64_t b, int64_t h, int64_t t, int64_t k) const;
  // c_h; -infinity: none.
  double LearnedSink(int64_t h) const;
  double A(int64_t b, int64_t h, int64_t t, int64_t k) const {
    return attention_[((b * H + h) * T + t) * T + k];
  }
  int64_t GroupOf(int64_t h) const { return h * G / H; }
  double NormK(int64_t b, int64_t g, int64_t t) const;
  double NormV(int64_t b, int64_t g, int64_t t) const;
  double NormZ(int64_t b, int64_t h, int64_t t) const;
  double NormWrittenV(int64_t b, int64_t h, int64_t t) const;
  double NormWrittenZ(int64_t b, int64_t h, int64_t t) const;
  double NormResidPre(int64_t b, int64_t t) const;
  double NormResidPost(int64_t b, int64_t t) const;
  double CosineToSink(int64_t b, int64_t h, int64_t t) const;
  const std::vector<double>& resid_post() const { return resid_post_; }

  // Mean over sequences and over the rows from `first` that `counts` accepts.
  using RowValue = std::function<double(int64_t b, int64_t h, int64_t t)>;
  using RowTest = std::function<bool(int64_t b, int64_t t)>;
  double RowMean(int64_t h, int64_t first, const RowTest& counts,
                 const RowValue& value) const;

 private:
  double Written(const std::vector<double>& x, int64_t offset, int64_t h) const;

  int64_t window_;
  bool relu_;
  double scale_;
  std::vector<double> learned_sinks_, resid_pre_, q_, k_, v_, z_, resid_post_,
      projection_;
  std::vector<double> attention_;  // [B,H,T,T]
};

// Between two elements it is interpolated; q in 0..1.
double QuantileOf(std::vector<double> x, double q);

// Relative 2e-5 or absolute 2e-6: what float32 sums over a few dozen terms
// leave of inputs that both sides share exactly.
void ExpectClose(const Values& values, const std::string& key,
                 const std::vector<double>& expected);

}  // namespace sinkwatch::metrics::test

#endif  // SINKWATCH_WORKER_METRICS_BRUTE_FORCE_TESTING_H_

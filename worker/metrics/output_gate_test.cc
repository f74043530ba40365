#include <algorithm>
#include <cmath>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/rand.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class OutputGateTest : public ::testing::TestWithParam<Shape> {
 protected:
  // A layer behind a gate of so many elements a head.
  static LayerBatch Gated(int64_t elements) {
    LayerBatch batch = RandomLayer(GetParam());
    batch.ungated_z_BHTE = batch.z_BHTE * 2;
    const at::Tensor& z = batch.z_BHTE;
    batch.gate_BHTN =
        at::rand({z.size(0), z.size(1), z.size(2), elements}) * 0.3;
    return batch;
  }
};

TEST_P(OutputGateTest, EveryMetricEqualsItsDefinition) {
  for (const bool by_element : {false, true}) {
    SCOPED_TRACE(by_element);
    const int64_t elements =
        by_element ? RandomLayer(GetParam()).z_BHTE.size(3) : 1;
    const LayerBatch batch = Gated(elements);
    const BruteForce x(batch);
    const Values values = Measure({batch});
    const at::Tensor gate = batch.gate_BHTN.to(at::kDouble).contiguous();
    const double* g = gate.data_ptr<double>();
    std::vector<double> mean(x.H), sink(x.H), closed(x.H), deviation(x.H);
    for (int64_t h = 0; h < x.H; ++h) {
      for (int64_t b = 0; b < x.B; ++b) {
        double sum = 0, squares = 0;
        for (int64_t t = 0; t < x.T; ++t) {
          for (int64_t e = 0; e < elements; ++e) {
            const double value = g[((b * x.H + h) * x.T + t) * elements + e];
            if (t == 0) {
              sink[h] += value / elements / x.B;
              continue;
            }
            sum += value;
            squares += value * value;
            closed[h] += (value < .1 ? 1.0 : 0.0) / elements / (x.T - 1) / x.B;
          }
        }
        const double n = static_cast<double>(elements * (x.T - 1));
        mean[h] += sum / n / x.B;
        deviation[h] +=
            std::sqrt(std::max(0.0, squares / n - sum / n * sum / n)) / x.B;
      }
    }
    ExpectClose(values, "d gate_mean", mean);
    ExpectClose(values, "d gate_sink", sink);
    ExpectClose(values, "d gate_closed_frac", closed);
    ExpectClose(values, "d gate_std", deviation);
  }
}

TEST_P(OutputGateTest, LeastMedianAndLargestAreOfASequence) {
  const int64_t elements = RandomLayer(GetParam()).z_BHTE.size(3);
  const LayerBatch batch = Gated(elements);
  const BruteForce x(batch);
  const Values values =
      Measure({batch}, {}, {"gate_min", "gate_median", "gate_max"});
  const at::Tensor gate = batch.gate_BHTN.to(at::kDouble).contiguous();
  const double* g = gate.data_ptr<double>();
  std::vector<double> least(x.H), median(x.H), most(x.H);
  for (int64_t h = 0; h < x.H; ++h) {
    for (int64_t b = 0; b < x.B; ++b) {
      const double* const rows = g + (b * x.H + h) * x.T * elements;
      std::vector<double> rest(rows + elements, rows + x.T * elements);
      std::sort(rest.begin(), rest.end());
      const size_t n = rest.size();
      least[h] += rest.front() / static_cast<double>(x.B);
      most[h] += rest.back() / static_cast<double>(x.B);
      median[h] +=
          (rest[(n - 1) / 2] + rest[n / 2]) / 2 / static_cast<double>(x.B);
    }
  }
  ExpectClose(values, "d gate_min", least);
  ExpectClose(values, "d gate_median", median);
  ExpectClose(values, "d gate_max", most);
}

TEST_P(OutputGateTest, TheNormBeforeTheGateIsThatOfWhatCameToIt) {
  const LayerBatch batch = Gated(1);
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> norm;
  for (int64_t h = 0; h < x.H; ++h) {
    norm.push_back(x.RowMean(
        h, 1, [](int64_t, int64_t) { return true; },
        [&](auto b, auto head, auto t) { return 2 * x.NormZ(b, head, t); }));
  }
  ExpectClose(values, "d head_output_norm_ungated", norm);
}

TEST_P(OutputGateTest, WithoutAGateThereIsNone) {
  const Values values = Measure({RandomLayer(GetParam())});
  for (const char* name : {"d gate_mean", "d gate_sink", "d gate_closed_frac",
                           "d gate_std", "d head_output_norm_ungated"}) {
    EXPECT_EQ(values.count(name), 0u) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, OutputGateTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sinkwatch::metrics::test

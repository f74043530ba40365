#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class HeadOutputTest : public ::testing::TestWithParam<Shape> {};

bool EveryRow(int64_t, int64_t) { return true; }

TEST_P(HeadOutputTest, NormsEqualTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> norm, fraction;
  for (int64_t h = 0; h < x.H; ++h) {
    norm.push_back(x.RowMean(h, 1, EveryRow, [&](auto b, auto head, auto t) {
      return x.NormZ(b, head, t);
    }));
    fraction.push_back(
        x.RowMean(h, 1, EveryRow, [&](auto b, auto head, auto t) {
          return x.NormWrittenZ(b, head, t) / x.NormResidPre(b, t);
        }));
  }
  ExpectClose(values, "d head_output_norm", norm);
  ExpectClose(values, "d head_write_frac", fraction);
}

TEST_P(HeadOutputTest, HonorDividesByTheLayerWithinEachSequence) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> honor(x.H, 0);
  for (int64_t b = 0; b < x.B; ++b) {
    std::vector<double> own(x.H, 0);
    double layer = 0;
    for (int64_t h = 0; h < x.H; ++h) {
      for (int64_t t = 1; t < x.T; ++t) own[h] += x.NormZ(b, h, t) / (x.T - 1);
      layer += own[h] / x.H;
    }
    for (int64_t h = 0; h < x.H; ++h) honor[h] += own[h] / layer / x.B;
  }
  ExpectClose(values, "d head_output_norm_ln", honor);
}

TEST_P(HeadOutputTest, SinkWriteShareIsARatioOfMeans) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  const auto sees = [&](int64_t, int64_t t) { return x.Sees(t, 0); };
  std::vector<double> share;
  for (int64_t h = 0; h < x.H; ++h) {
    const double sink = x.RowMean(h, 1, sees, [&](auto b, auto head, auto t) {
      return x.A(b, head, t, 0) * x.NormWrittenV(b, head, 0);
    });
    const double all = x.RowMean(h, 1, sees, [&](auto b, auto head, auto t) {
      return x.NormWrittenZ(b, head, t);
    });
    share.push_back(sink / all);
  }
  ExpectClose(values, "d sink_write_share", share);
}

INSTANTIATE_TEST_SUITE_P(Shapes, HeadOutputTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(HeadOutputMicroTest, ASilentHeadHasNoWriteShareAndTheOthersStay) {
  LayerBatch batch = RandomLayer(Shape());
  batch.z_BHTE.select(1, 2).fill_(0);
  const Values values = Measure({batch});
  EXPECT_EQ(values.at("d head_output_norm_ln").values[2], 0);
  EXPECT_EQ(values.at("d head_output_norm").values[2], 0);
  EXPECT_EQ(values.count("d sink_write_share"), 0u);
}

TEST(HeadOutputMicroTest, ALayerWithoutAnyOutputGivesZeros) {
  LayerBatch batch = RandomLayer(Shape());
  batch.z_BHTE.fill_(0);
  ExpectClose(Measure({batch}), "d head_output_norm_ln",
              std::vector<double>(4, 0));
}

}  // namespace
}  // namespace sinkwatch::metrics::test

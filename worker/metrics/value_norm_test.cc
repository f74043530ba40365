#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

class ValueNormTest : public ::testing::TestWithParam<Shape> {};

// Mean over sequences of row 0, and over sequences and rows t >= 1 of the rest.
struct SinkAndRest {
  double sink = 0;
  double rest = 0;
};
template <typename Norm>
SinkAndRest Means(const BruteForce& x, Norm norm) {
  SinkAndRest means;
  for (int64_t b = 0; b < x.B; ++b) {
    means.sink += norm(b, 0) / x.B;
    for (int64_t t = 1; t < x.T; ++t) {
      means.rest += norm(b, t) / (x.B * (x.T - 1));
    }
  }
  return means;
}

TEST_P(ValueNormTest, WrittenValuesEqualTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> sink, rest, ratio;
  for (int64_t h = 0; h < x.H; ++h) {
    const SinkAndRest means =
        Means(x, [&](auto b, auto t) { return x.NormWrittenV(b, h, t); });
    sink.push_back(means.sink);
    rest.push_back(means.rest);
    ratio.push_back(means.sink / means.rest);
  }
  ExpectClose(values, "d value_norm_sink", sink);
  ExpectClose(values, "d value_norm_rest", rest);
  ExpectClose(values, "d value_norm_ratio", ratio);
}

TEST_P(ValueNormTest, RawRatiosEqualTheDefinitionPerKeyValueHead) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> value, key;
  for (int64_t g = 0; g < x.G; ++g) {
    const SinkAndRest v =
        Means(x, [&](auto b, auto t) { return x.NormV(b, g, t); });
    const SinkAndRest k =
        Means(x, [&](auto b, auto t) { return x.NormK(b, g, t); });
    value.push_back(v.sink / v.rest);
    key.push_back(k.sink / k.rest);
  }
  ExpectClose(values, "d value_norm_ratio_raw", value);
  ExpectClose(values, "d key_norm_ratio", key);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ValueNormTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

TEST(ValueNormMicroTest, AZeroValueOfTheSinkGivesARatioOfZero) {
  LayerBatch batch = RandomLayer(Shape());
  batch.v_BGTE.select(2, 0).fill_(0);
  const Values values = Measure({batch});
  const std::vector<double> zeros(4, 0);
  ExpectClose(values, "d value_norm_ratio", zeros);
  ExpectClose(values, "d value_norm_ratio_raw", zeros);
  ExpectClose(values, "d sink_write_share", zeros);
}

// A value that the projection all but annihilates: its written length is small
// beside ||W|| ||v||, where a float32 Gram matrix would have no digits left.
TEST(ValueNormMicroTest, ASmallWrittenNormKeepsItsDigits) {
  Shape shape;
  shape.H = shape.G = 1;
  shape.E = 2;
  LayerBatch batch = RandomLayer(shape);
  // Columns of W nearly equal, v_0 along (1, -1): W v_0 is their difference.
  at::Tensor first = batch.output_projection_DHE.select(1, 0);
  batch.output_projection_DHE.select(1, 1).copy_(
      first.add(batch.output_projection_DHE.select(1, 1).mul(1e-4)));
  batch.v_BGTE.select(2, 0).select(-1, 0).fill_(1);
  batch.v_BGTE.select(2, 0).select(-1, 1).fill_(-1);
  const BruteForce x(batch);
  const double exact = x.NormWrittenV(0, 0, 0);
  const Values values = Measure({batch});
  const double found = values.at("d value_norm_sink").values[0];
  EXPECT_LT(exact, 1e-3);
  // float32 rounding of W's entries (6e-8) over the 1e-4 that is left of them.
  EXPECT_TRUE(std::abs(found / exact - 1) <= 5e-3)
      << found << " instead of " << exact;
}

TEST(ValueNormMicroTest, AProjectionOfZerosHasNoRatio) {
  LayerBatch batch = RandomLayer(Shape());
  batch.output_projection_DHE.fill_(0);
  const Values values = Measure({batch});
  ExpectClose(values, "d value_norm_rest", std::vector<double>(4, 0));
  EXPECT_EQ(values.count("d value_norm_ratio"), 0u);
  EXPECT_EQ(values.count("d value_norm_ratio_raw"), 1u);
}

}  // namespace
}  // namespace sinkwatch::metrics::test

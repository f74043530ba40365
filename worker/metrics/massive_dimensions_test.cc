#include "worker/metrics/massive_dimensions.h"

#include "ATen/ops/full.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"
#include "worker/metrics/measurement_builder.h"

namespace sinkwatch::metrics::test {
namespace {

// 3 sequences of 9 tokens of width 12 of ones, with what stands out.
at::Tensor Stream() {
  at::Tensor x_BTD = at::full({3, 9, 12}, 0.1, at::kFloat);
  x_BTD[0][0][5] = -700.f;
  x_BTD[1][0][5] = 900.f;
  x_BTD[1][4][5] = 300.f;
  x_BTD[1][4][7] = 101.f;
  x_BTD[2][3][2] = 99.f;  // not above 100
  return x_BTD;
}

std::vector<MassiveDimension> Measured(const std::vector<LayerBatch>& batches) {
  MeasurementOptions options;
  options.domains = {{"d", {}}};
  options.metrics = {"massive_count"};
  auto measurement = *MeasurementBuilder::Create(options);
  for (const LayerBatch& batch : batches) measurement->FoldLayer(batch);
  const auto values = measurement->FinishLayer(2);
  EXPECT_TRUE(values.ok());
  return measurement->Massive();
}

LayerBatch BatchOf(const at::Tensor& x_BTD) {
  LayerBatch batch;
  batch.layer = 2;
  batch.resid_post_BTD = x_BTD;
  return batch;
}

TEST(MassiveDimensionsTest, NamesWhatWasPlanted) {
  const auto massive = Measured({BatchOf(Stream())});
  ASSERT_EQ(massive.size(), 2u);
  EXPECT_EQ(massive[0].domain, "d");
  EXPECT_EQ(massive[0].layer, 2);
  EXPECT_EQ(massive[0].dimension, 5);
  EXPECT_EQ(massive[0].position, 0);
  EXPECT_EQ(massive[0].value, 900);
  EXPECT_DOUBLE_EQ(massive[0].sequence_share, 2. / 3);
  EXPECT_EQ(massive[1].dimension, 7);
  EXPECT_EQ(massive[1].position, 4);
  EXPECT_DOUBLE_EQ(massive[1].sequence_share, 1. / 3);
}

TEST(MassiveDimensionsTest, DoesNotDependOnBatches) {
  const at::Tensor x_BTD = Stream();
  const auto whole = Measured({BatchOf(x_BTD)});
  const auto cut =
      Measured({BatchOf(x_BTD.slice(0, 0, 1)), BatchOf(x_BTD.slice(0, 1, 3))});
  ASSERT_EQ(cut.size(), whole.size());
  for (size_t i = 0; i < cut.size(); ++i) {
    EXPECT_EQ(cut[i].dimension, whole[i].dimension);
    EXPECT_EQ(cut[i].value, whole[i].value);
    EXPECT_EQ(cut[i].sequence_share, whole[i].sequence_share);
  }
}

TEST(MassiveDimensionsTest, NegativeValuesKeepTheirSign) {
  MassiveDimensions dimensions;
  dimensions.Fold(
      MassiveEntriesOf(Stream().slice(0, 0, 1), at::full({1}, 100.f)));
  ASSERT_EQ(dimensions.Finish().size(), 1u);
  EXPECT_EQ(dimensions.Finish()[0].value, -700);
}

TEST(MassiveDimensionsTest, KeepsTheLargest) {
  at::Tensor x_BTD = at::zeros({1, 2, 40});
  for (int d = 0; d < 20; ++d) x_BTD[0][1][d] = 1000.f + d;
  MassiveDimensions dimensions;
  dimensions.Fold(MassiveEntriesOf(x_BTD, at::full({1}, 100.f)));
  const auto found = dimensions.Finish();
  ASSERT_EQ(found.size(), MassiveDimensions::kMax);
  EXPECT_EQ(found.front().dimension, 19);
  EXPECT_EQ(found.back().dimension, 12);
}

}  // namespace
}  // namespace sinkwatch::metrics::test

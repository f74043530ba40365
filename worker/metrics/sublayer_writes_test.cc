#include <cmath>

#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

const std::vector<std::string> kMetrics = {
    "write_rms_ratio_attn", "write_rms_ratio_ffn", "residual_step_attn",
    "residual_step_ffn"};

double NormAt(const at::Tensor& x_BTD, int64_t b, int64_t t) {
  const at::Tensor row = x_BTD.select(0, b).select(0, t).to(at::kDouble);
  double square = 0;
  for (int64_t j = 0; j < row.numel(); ++j) {
    square += std::pow(row.const_data_ptr<double>()[j], 2);
  }
  return std::sqrt(square);
}

struct Expected {
  double attention = 0, mlp = 0, attention_step = 0, mlp_step = 0;
};

Expected ExpectedOf(const LayerBatch& batch, const at::Tensor& before_mlp) {
  Expected expected;
  const int64_t B = batch.attn_out_BTD.size(0), T = batch.attn_out_BTD.size(1);
  for (int64_t b = 0; b < B; ++b) {
    expected.attention_step += NormAt(batch.attn_out_BTD, b, 0) / B;
    expected.mlp_step += NormAt(batch.mlp_out_BTD, b, 0) / B;
    for (int64_t t = 1; t < T; ++t) {
      const double rows = static_cast<double>(B * (T - 1));
      expected.attention += NormAt(batch.attn_out_BTD, b, t) /
                            NormAt(batch.resid_pre_BTD, b, t) / rows;
      expected.mlp +=
          NormAt(batch.mlp_out_BTD, b, t) / NormAt(before_mlp, b, t) / rows;
    }
  }
  return expected;
}

void ExpectValues(const LayerBatch& batch, const Expected& expected) {
  const Values values = Measure({batch}, {}, kMetrics);
  ExpectClose(values, "d write_rms_ratio_attn", {expected.attention});
  ExpectClose(values, "d write_rms_ratio_ffn", {expected.mlp});
  ExpectClose(values, "d residual_step_attn", {expected.attention_step});
  ExpectClose(values, "d residual_step_ffn", {expected.mlp_step});
}

TEST(SublayerWritesTest, EqualTheDefinition) {
  const LayerBatch batch = RandomLayer(Shape());
  ExpectValues(batch, ExpectedOf(batch, batch.resid_mid_BTD));
}

TEST(SublayerWritesTest, BesideAttentionTheMlpWritesOnTheBlocksInput) {
  LayerBatch batch = RandomLayer(Shape());
  batch.resid_mid_BTD = at::Tensor();
  ExpectValues(batch, ExpectedOf(batch, batch.resid_pre_BTD));
}

TEST(SublayerWritesTest, ASubLayerThatIsNotThereHasNoWrite) {
  LayerBatch batch = RandomLayer(Shape());
  batch.attn_out_BTD = at::Tensor();
  const Values values = Measure({batch}, {}, kMetrics);
  EXPECT_EQ(values.count("d write_rms_ratio_attn"), 0u);
  EXPECT_EQ(values.count("d residual_step_attn"), 0u);
  EXPECT_EQ(values.count("d write_rms_ratio_ffn"), 1u);
}

TEST(SublayerWritesTest, AStreamOfZerosIsChangedByNothing) {
  LayerBatch batch = RandomLayer(Shape());
  batch.resid_pre_BTD.zero_();
  const Values values = Measure({batch}, {}, kMetrics);
  ExpectClose(values, "d write_rms_ratio_attn", {0});
}

}  // namespace
}  // namespace sinkwatch::metrics::test

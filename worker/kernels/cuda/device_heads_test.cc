// Kernels over the vectors of heads, against float64.
#include <cmath>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/bmm.h"
#include "ATen/ops/full.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/repeat_interleave.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats.h"
#include "worker/kernels/attention_stats_testing.h"
#include "worker/kernels/cuda/device_testing.h"
#include "worker/kernels/gram_factor.h"
#include "worker/kernels/head_norms.h"

namespace sinkwatch::kernels {
namespace {

class CudaHeadsTest : public InBothDtypes {
 protected:
  bool rounds() const { return GetParam() == at::kBFloat16; }
};
INSTANTIATE_TEST_SUITE_P(Dtypes, CudaHeadsTest,
                         testing::Values(at::kFloat, at::kBFloat16), DtypeName);

// [B,N,T,E] that lies as [B,T,N,E].
at::Tensor Interleaved(const at::Tensor& x_BNTE) {
  return x_BNTE.transpose(1, 2).contiguous().transpose(1, 2);
}

at::Tensor ExactNorms(const at::Tensor& x) {
  return x.to(at::kDouble).square().sum(-1).sqrt();
}

TEST_P(CudaHeadsTest, LengthsOverWidthsLengthsAndPlaces) {
  uint64_t seed = 1;
  for (const int64_t width : {1, 3, 8, 64, 80, 100, 128, 256, 4096}) {
    for (const int64_t tokens : {1, 2, 65}) {
      SCOPED_TRACE(testing::Message() << width << "/" << tokens);
      const at::Tensor x = Rounded(Random({2, 3, tokens, width}, seed++));
      const at::Tensor expected = ExactNorms(x);
      ExpectClose("dense", ToCpu(HeadNorms(ToGpu(x))), expected, 0, 2e-6);
      ExpectClose("between each other", ToCpu(HeadNorms(Interleaved(ToGpu(x)))),
                  expected, 0, 2e-6);
      // A slice of a wider tensor: rows begin anywhere.
      if (width < 3) continue;
      ExpectClose("narrow", ToCpu(HeadNorms(ToGpu(x).slice(3, 1))),
                  ExactNorms(x.slice(3, 1)), 0, 2e-6);
    }
  }
}

// ||R_h x|| is a square root of sums of squares of sums: in float32 both are
// right to 2^-24 sqrt(E) of the products' sizes.
TEST_P(CudaHeadsTest, WrittenLengthsOverWidthsGroupsAndLengths) {
  uint64_t seed = 100;
  for (const int64_t width : {1, 5, 48, 64, 80, 96, 100, 128, 200, 256}) {
    for (const int64_t groups : {1, 2, 4}) {
      for (const int64_t tokens : {1, 64, 129}) {
        SCOPED_TRACE(testing::Message()
                     << width << "/" << groups << "/" << tokens);
        const at::Tensor x =
            Rounded(Random({3, groups, tokens, width}, seed++));
        const at::Tensor factor = Random({4, width, width}, seed++);
        // The kernel rounds the factor as it rounds x.
        const at::Tensor used = Rounded(factor).to(at::kDouble);
        const at::Tensor expected = ExactNorms(
            at::matmul(x.to(at::kDouble).repeat_interleave(4 / groups, 1),
                       used.transpose(1, 2)));
        for (const at::Tensor& placed : {ToGpu(x), Interleaved(ToGpu(x))}) {
          const WrittenLengths lengths = WrittenNorms(placed, ToGpu(factor));
          ExpectClose("written", ToCpu(lengths.written_BHT), expected, 1e-5,
                      5e-6);
          ExpectClose("plain", ToCpu(lengths.plain_BNT), ExactNorms(x), 0,
                      2e-6);
        }
      }
    }
  }
}

TEST_P(CudaHeadsTest, ANaNShowsInItsVectorOnly) {
  at::Tensor x = Random({2, 2, 70, 64}, 7);
  x[1][0][33][5] = std::nan("");
  const at::Tensor on_gpu = ToGpu(Rounded(x));
  EXPECT_EQ(HeadNorms(on_gpu).isnan().sum().item<int64_t>(), 1);
  const at::Tensor written =
      WrittenNorms(on_gpu, ToGpu(Random({4, 64, 64}, 8))).written_BHT;
  EXPECT_EQ(written.isnan().sum().item<int64_t>(), 2);  // of its group's heads
  EXPECT_TRUE(
      written[1].slice(0, 0, 2).select(1, 33).isnan().all().item<bool>());
}

// Columns of every kind: the first, one in the middle, the last, none.
TEST_P(CudaHeadsTest, AttentionAtColumnsAsOnTheCpu) {
  for (const int64_t width : {8, 64, 80, 576}) {
    for (const int64_t window : {0, 1, 50}) {
      for (const double soft_cap : {0.0, 2.5}) {
        SCOPED_TRACE(testing::Message()
                     << width << "/" << window << "/" << soft_cap);
        const int64_t tokens = 131;
        Input input = RandomInput({2, 4, 2, tokens, width}, 300 + width);
        input.q_BHTE = Rounded(input.q_BHTE);
        input.k_BGTE = Rounded(input.k_BGTE);
        AttentionOptions options = Options(width, window);
        options.soft_cap = soft_cap;
        at::Tensor columns = at::full({2, 4, 4}, -1, at::kLong);
        columns.select(2, 0).fill_(0);
        columns[0].select(1, 1).fill_(70);
        columns[1][2][3] = tokens - 1;
        columns[1][3].fill_(-1);
        // The reference in float32, of the same rounded numbers.
        const at::Tensor q = input.q_BHTE.to(at::kFloat),
                         k = input.k_BGTE.to(at::kFloat);
        AttentionStats stats = ComputeAttentionStats(q, k, {}, options);
        const at::Tensor expected =
            AttentionAtColumns(q, k, stats, columns, options);
        stats.log_sum_exp = ToGpu(stats.log_sum_exp);
        ExpectClose(
            "attention",
            ToCpu(AttentionAtColumns(ToGpu(input.q_BHTE), ToGpu(input.k_BGTE),
                                     stats, ToGpu(columns), options)),
            expected.to(at::kDouble), 1e-6, 1e-5);
      }
    }
  }
}

// Of random matrices, of one with dependent columns, and of zeros.
TEST(CudaGramFactorTest, AsOnTheCpu) {
  uint64_t seed = 400;
  for (const int64_t width : {1, 5, 64, 80, 128, 200}) {
    for (const int64_t parts : {1, 8}) {
      SCOPED_TRACE(testing::Message() << width << "/" << parts);
      at::Tensor w = Random({parts, 4, 96, width}, seed++).to(at::kDouble);
      w.select(1, 2).select(2, width - 1).copy_(w.select(1, 2).select(2, 0));
      w.select(1, 3).zero_();
      const at::Tensor gram = at::matmul(w.transpose(2, 3), w);
      const at::Tensor factor = ToCpu(GramFactor(ToGpu(gram)));
      EXPECT_TRUE(factor.triu().equal(factor));
      const at::Tensor wide = factor.to(at::kDouble);
      // R'R is off by a float's rounding of R.
      const double size = gram.sum(0).abs().max().item<double>();
      ExpectClose("gram", at::matmul(wide.transpose(1, 2), wide).to(at::kFloat),
                  gram.sum(0), 1e-6 * size, 0);
      ExpectClose("factor", factor[0], GramFactor(gram)[0].to(at::kDouble),
                  1e-5, 1e-5);
    }
  }
}

// From tensor cores' sums of bfloat16, of a matrix with dependent columns and
// of positive ones too, whose sums are truncated to one side: the ridge holds.
TEST(CudaGramFactorTest, FactorsOfFloatPartsTellLengths) {
  for (const int64_t width : {64, 128}) {
    SCOPED_TRACE(width);
    at::Tensor w = Random({8, 4, kRowsOfFloatPart, width}, 410 + width);
    w.select(1, 2).select(2, width - 1).copy_(w.select(1, 2).select(2, 0));
    w.select(1, 3).abs_();
    w = w.to(at::kBFloat16);
    const at::Tensor on_gpu = ToGpu(w).flatten(0, 1);
    const at::Tensor parts = at::bmm(on_gpu.transpose(1, 2), on_gpu, at::kFloat)
                                 .unflatten(0, {8, 4});
    const at::Tensor wide = w.to(at::kDouble);
    const at::Tensor gram = at::matmul(wide.transpose(2, 3), wide).sum(0);
    const at::Tensor factor = ToCpu(GramFactor(parts)).to(at::kDouble);
    EXPECT_TRUE(factor.triu().equal(factor));
    // The ridge, on the diagonal, and what the sums are off.
    const double largest = gram.diagonal(0, 1, 2).max().item<double>();
    ExpectClose("gram",
                at::matmul(factor.transpose(1, 2), factor).to(at::kFloat), gram,
                1.5e-5 * largest, 0);
  }
}

TEST(CudaGramFactorTest, ANaNShowsInItsHeadOnly) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    at::Tensor gram = at::full({1, 2, 16, 16}, 0.0, type);
    gram.select(2, 3).select(2, 3).fill_(2);
    gram[0][1][15][15] = std::nan("");
    const at::Tensor factor = ToCpu(GramFactor(ToGpu(gram)));
    EXPECT_TRUE(factor[0].isfinite().all().item<bool>());
    EXPECT_FALSE(factor[1].isfinite().all().item<bool>());
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

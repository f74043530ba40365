// What is folded from a batch's statistics, against the portable form on the
// CPU.
#include <cmath>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats_testing.h"
#include "worker/kernels/cuda/device_testing.h"
#include "worker/kernels/row_fold.h"
#include "worker/kernels/sink_columns.h"

namespace sinkwatch::kernels {
namespace {

RowTerm OnGpu(RowTerm term) {
  for (at::Tensor* plane :
       {&term.a, &term.minus, &term.times, &term.over, &term.over_too}) {
    if (plane->defined()) *plane = ToGpu(*plane);
  }
  return term;
}

// x differs by a rounding of float32 at most, its sums by those of double.
void ExpectSameFolds(const std::vector<RowTerm>& terms,
                     const at::Tensor& classes_BT = {}, int64_t classes = 0) {
  std::vector<RowTerm> on_gpu;
  for (const RowTerm& term : terms) on_gpu.push_back(OnGpu(term));
  const at::Tensor classes_on_gpu =
      classes_BT.defined() ? ToGpu(classes_BT) : at::Tensor();
  const at::Tensor actual = ToCpu(FoldRows(on_gpu, classes_on_gpu, classes));
  const at::Tensor expected = FoldRows(terms, classes_BT, classes);
  ASSERT_EQ(actual.scalar_type(), at::kDouble);
  ExpectClose("folds", actual.to(at::kFloat), expected, 1e-5, 1e-6);
}

// Terms of all forms over planes of all kinds of strides.
std::vector<RowTerm> TermsOf(int64_t batch, int64_t heads, int64_t tokens,
                             uint64_t seed) {
  const auto plane = [&](int64_t b, int64_t n, int64_t t) {
    return Random({b, n, t}, seed++);
  };
  RowTerm plain;
  plain.a = plane(batch, heads, tokens);
  plain.end = tokens;
  RowTerm difference = plain;
  difference.minus = plane(batch, heads, tokens);
  difference.first = tokens / 2;
  RowTerm all = difference;
  all.a = plane(batch, tokens, heads).transpose(1, 2);
  all.times = plane(batch, heads, 1);
  all.over = plane(batch, 1, tokens).abs() + 0.5;
  all.over[0][0][tokens - 1] = 0;
  all.over_too = plane(1, heads, 1).abs() + 0.5;
  all.scale = 0.125;
  RowTerm above = plain;
  above.above = 0.25;
  RowTerm largest = all;
  largest.largest = true;
  RowTerm doubles;
  doubles.a = plane(batch, 1, 1).to(at::kDouble);
  doubles.end = 1;
  RowTerm integers;
  integers.a = (plane(batch, heads, 1) * 1000).to(at::kLong);
  integers.end = 1;
  return {plain, difference, all, above, largest, doubles, integers};
}

TEST(CudaFoldsTest, EveryFormOverLengthsAndHeads) {
  for (const int64_t tokens : {1, 2, 63, 128, 1000}) {
    for (const int64_t heads : {1, 5, 16}) {
      SCOPED_TRACE(testing::Message() << tokens << "/" << heads);
      ExpectSameFolds(TermsOf(3, heads, tokens, 1000 * tokens + heads));
    }
  }
}

TEST(CudaFoldsTest, MoreTermsThanALaunchHasPlacesFor) {
  std::vector<RowTerm> terms;
  for (int i = 0; i < 17; ++i) {
    for (RowTerm& term : TermsOf(2, 3, 70, 50 + i)) {
      terms.push_back(std::move(term));
    }
  }
  ExpectSameFolds(terms);
}

TEST(CudaFoldsTest, SumsByClassOfRow) {
  const int64_t tokens = 200;
  at::Tensor classes_BT = at::zeros({3, tokens}, at::kByte);
  for (int64_t t = 0; t < tokens; ++t) classes_BT.select(1, t).fill_(t % 7);
  // Rows of classes 5 and 6 are in group 0 alone.
  ExpectSameFolds(TermsOf(3, 4, tokens, 7), classes_BT, 5);
}

TEST(CudaFoldsTest, WhatIsNoNumberStays) {
  RowTerm term;
  term.a = Random({1, 2, 300}, 9);
  term.a[0][1][299] = std::nan("");
  term.end = 300;
  RowTerm above = term, largest = term;
  above.above = 0.5;
  largest.largest = true;
  const at::Tensor folded =
      ToCpu(FoldRows({OnGpu(term), OnGpu(above), OnGpu(largest)}, {}, 0));
  for (const int64_t value : {1, 3, 5}) {
    EXPECT_TRUE(std::isnan(folded[0][value][0].item<double>())) << value;
    EXPECT_FALSE(std::isnan(folded[0][value - 1][0].item<double>())) << value;
  }
}

// Masses of columns as attention gives them: up to as much as rows see one.
TEST(CudaFoldsTest, SinkColumnsOverLengthsAndWindows) {
  for (const int64_t tokens : {1, 3, 9, 17, 64, 130, 1025}) {
    for (const int64_t window : {0, 1, 16, 100}) {
      SCOPED_TRACE(testing::Message() << tokens << "/" << window);
      at::Tensor mass = Random({2, 3, tokens}, 11 * tokens + window).abs();
      const double most =
          static_cast<double>(window > 0 ? std::min(tokens, window) : tokens);
      for (const int64_t column : {0, 1, 5, 7, 20, 60}) {
        if (column >= tokens) continue;
        mass[0].select(1, column).fill_(most * (0.3 + 0.01 * column));
        mass[1][1][column] = most * 0.9;  // more than four of one mass
      }
      const SinkColumns expected = FindSinkColumns(mass, window);
      const SinkColumns actual = FindSinkColumns(ToGpu(mass), window);
      ExpectClose("mass", ToCpu(actual.mass_BHC),
                  expected.mass_BHC.to(at::kDouble), 0, 1e-6);
      const at::Tensor columns = ToCpu(actual.column_BHC);
      EXPECT_TRUE(columns[0].equal(expected.column_BHC[0]));
      EXPECT_TRUE(columns.ge(0).equal(expected.column_BHC.ge(0)));
    }
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

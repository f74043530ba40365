#include "worker/kernels/row_fold.h"

#include <cmath>

#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"

namespace sinkwatch::kernels {
namespace {

// [1,2,4]: rows 1 2 3 4 of one head, 5 6 7 8 of another.
at::Tensor Counting() { return at::arange(1, 9, at::kFloat).view({1, 2, 4}); }

RowTerm Over(at::Tensor a, int64_t first, int64_t end) {
  RowTerm term;
  term.a = std::move(a);
  term.first = first;
  term.end = end;
  return term;
}

double At(const at::Tensor& folded_BNC, int64_t value, int64_t group = 0) {
  return folded_BNC[0][value][group].item<double>();
}

TEST(RowFoldTest, SumsOfTheRowsThatCountTermByTerm) {
  const at::Tensor folded =
      FoldRows({Over(Counting(), 1, 4), Over(Counting(), 0, 4),
                Over(Counting().narrow(1, 1, 1), 0, 1)},
               {}, 0);
  EXPECT_EQ(folded.sizes(), at::IntArrayRef({1, 5, 1}));
  EXPECT_EQ(At(folded, 0), 2 + 3 + 4);
  EXPECT_EQ(At(folded, 1), 6 + 7 + 8);
  EXPECT_EQ(At(folded, 2), 1 + 2 + 3 + 4);
  EXPECT_EQ(At(folded, 4), 5);
}

TEST(RowFoldTest, WhatATermIsMadeOf) {
  RowTerm term = Over(Counting(), 0, 4);
  term.minus = at::full({1, 1, 4}, 1.0, at::kFloat);
  term.times = at::full({1, 2, 1}, 3.0, at::kFloat);
  term.scale = 2;
  term.over = at::full({1, 1, 4}, 4.0, at::kFloat);
  term.over_too = at::full({1, 2, 1}, 0.5, at::kFloat);
  // 2 (a - 1) 3 / (4 x 0.5)
  EXPECT_EQ(At(FoldRows({term}, {}, 0), 0), 3 * (0 + 1 + 2 + 3));
  term.over[0][0][2] = 0;  // that row counts 0
  EXPECT_EQ(At(FoldRows({term}, {}, 0), 0), 3 * (0 + 1 + 3));
}

TEST(RowFoldTest, RowsAboveABoundAndNoNumbers) {
  RowTerm term = Over(Counting(), 0, 4);
  term.above = 2;
  EXPECT_EQ(At(FoldRows({term}, {}, 0), 0), 2);  // 3 and 4
  term.a[0][0][1] = std::nan("");
  const at::Tensor folded = FoldRows({term}, {}, 0);
  EXPECT_TRUE(std::isnan(At(folded, 0)));
  EXPECT_EQ(At(folded, 1), 4);
}

TEST(RowFoldTest, TheLargestOfTheRowsThatCount) {
  RowTerm term = Over(Counting().neg(), 1, 3);
  term.largest = true;
  at::Tensor folded = FoldRows({term, Over(Counting(), 0, 1)}, {}, 0);
  EXPECT_EQ(At(folded, 0), -2);
  EXPECT_EQ(At(folded, 1), -6);
  EXPECT_EQ(At(folded, 2), 1);
  term.a[0][1][2] = std::nan("");
  EXPECT_TRUE(std::isnan(At(FoldRows({term}, {}, 0), 1)));
}

TEST(RowFoldTest, SumsByClassOfRow) {
  at::Tensor classes_BT = at::zeros({1, 4}, at::kByte);
  classes_BT[0][1] = 1;
  classes_BT[0][3] = 1;
  const at::Tensor folded = FoldRows({Over(Counting(), 1, 4)}, classes_BT, 2);
  EXPECT_EQ(folded.sizes(), at::IntArrayRef({1, 2, 3}));
  EXPECT_EQ(At(folded, 0, 0), 9);
  EXPECT_EQ(At(folded, 0, 1), 3);
  EXPECT_EQ(At(folded, 0, 2), 2 + 4);
}

}  // namespace
}  // namespace sinkwatch::kernels

#include "worker/metrics/row_means.h"

#include <cmath>

#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

namespace sinkwatch::metrics {
namespace {

TEST(RowMeansTest, EveryRowCountsTheSameOverAllAndByClass) {
  RowMeans means(2);
  // Three numbers for four tokens: the last token's class counts for nothing.
  means.Fold(at::tensor({1.f, 2.f, 6.f}).view({1, 3}),
             at::tensor({0, 1, 0, 1}, at::kByte).view({1, 4}));
  means.Fold(at::tensor({3.f, 3.f, 3.f}).view({1, 3}),
             at::tensor({0, 0, 0, 0}, at::kByte).view({1, 4}));
  ASSERT_EQ(means.groups(), 3);
  EXPECT_DOUBLE_EQ(means.Finish(0)->value, 3);
  EXPECT_DOUBLE_EQ(means.Finish(1)->value, 16.0 / 5);
  EXPECT_DOUBLE_EQ(means.Finish(2)->value, 2);
  EXPECT_EQ(means.count(0), 6);
  EXPECT_EQ(means.count(2), 1);
}

TEST(RowMeansTest, TheErrorIsOverSequences) {
  RowMeans means;
  means.Fold(at::tensor({0.f, 2.f, 4.f, 6.f}).view({2, 2}), {});
  // Sequence means 1 and 5: deviation sqrt(8), over the root of 2.
  EXPECT_DOUBLE_EQ(means.Finish(0)->standard_error, 2);
}

TEST(RowMeansTest, AClassWithoutRowsHasNoMean) {
  RowMeans means(2);
  means.Fold(at::tensor({1.f}).view({1, 1}),
             at::tensor({0, 1}, at::kByte).view({1, 2}));
  EXPECT_TRUE(means.Finish(1).has_value());
  EXPECT_FALSE(means.Finish(2).has_value());
}

TEST(RowMeansTest, WhatIsNotANumberStaysSo) {
  RowMeans means;
  means.Fold(at::tensor({NAN, 1.f}).view({1, 2}), {});
  EXPECT_TRUE(std::isnan(means.Finish(0)->value));
}

}  // namespace
}  // namespace sinkwatch::metrics

#include "worker/kernels/row_median.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "ATen/ops/empty.h"
#include "gtest/gtest.h"

namespace sinkwatch::kernels {
namespace {

float Sorted(std::vector<float> x) {
  std::sort(x.begin(), x.end());
  const size_t n = x.size();
  return n % 2 == 1 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

at::Tensor Row(const std::vector<float>& x) {
  at::Tensor row = at::empty({1, static_cast<int64_t>(x.size())}, at::kFloat);
  std::copy(x.begin(), x.end(), row.mutable_data_ptr<float>());
  return row;
}

// Short rows, long rows (by histogram), odd and even, of either sign, with many
// equal elements, over many powers of two.
TEST(RowMedianTest, EqualsTheMiddleOfTheSortedRow) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal;
  for (int n : {1, 2, 3, 4, 47, 1023, 1024, 1025, 4096, 5001}) {
    for (int kind = 0; kind < 4; ++kind) {
      std::vector<float> x;
      for (int i = 0; i < n; ++i) {
        const float v = normal(generator);
        x.push_back(kind == 0   ? v
                    : kind == 1 ? std::round(v)
                    : kind == 2 ? std::exp(20 * v)
                                : -std::abs(v));
      }
      EXPECT_EQ(RowMedian(Row(x)).item<float>(), Sorted(x))
          << n << " elements of kind " << kind;
    }
  }
}

// The two middle elements are far apart: in histogram bins with empty ones
// between them.
TEST(RowMedianTest, LiesHalfwayBetweenDistantMiddles) {
  std::vector<float> x(2000, -8);
  std::fill(x.begin() + 1000, x.end(), 1024.0f);
  EXPECT_EQ(RowMedian(Row(x)).item<float>(), 508);
}

TEST(RowMedianTest, ReadsRowsOfAViewThatIsNotContiguous) {
  at::Tensor x = at::empty({2, 4}, at::kFloat);
  float* data = x.mutable_data_ptr<float>();
  for (int i = 0; i < 8; ++i) data[i] = static_cast<float>(i * i);
  const at::Tensor median = RowMedian(x.narrow(1, 1, 3));
  EXPECT_EQ(median.select(0, 0).item<float>(), 4);
  EXPECT_EQ(median.select(0, 1).item<float>(), 36);
}

TEST(RowMedianTest, TakesAbsoluteValuesOfEitherDtype) {
  std::vector<float> x;
  for (int i = 0; i < 2001; ++i) x.push_back((i % 2 == 0 ? -1.0f : 1.0f) * i);
  EXPECT_EQ(RowMedian(Row(x)).item<float>(), 0);
  EXPECT_EQ(RowMedian(Row(x), true).item<float>(), 1000);
  EXPECT_EQ(
      RowMedian(Row({1, -2.5, 3, -8}).to(at::kBFloat16), true).item<float>(),
      2.75);
}

TEST(RowMedianTest, SurvivesWhatIsNotANumber) {
  for (int n : {9, 3000}) {
    const std::vector<float> x(n, std::numeric_limits<float>::quiet_NaN());
    EXPECT_TRUE(RowMedian(Row(x)).isnan().item<bool>());
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

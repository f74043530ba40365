#include "worker/kernels/row_moments.h"

#include <cmath>

#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"

namespace sinkwatch::kernels {
namespace {

// Two sequences of one row each: 3, -4, 0 and 1, 1, 4.
at::Tensor Stream() {
  at::Tensor x_BTD = at::zeros({2, 1, 3});
  const float values[] = {3, -4, 0, 1, 1, 4};
  for (int i = 0; i < 6; ++i) x_BTD.data_ptr<float>()[i] = values[i];
  return x_BTD;
}

TEST(RowMomentsTest, SumsOfARow) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor sums = RowSums(Stream().to(type));
    EXPECT_EQ(sums[kRowLength][0][0].item<float>(), 5);
    EXPECT_EQ(sums[kRowTotal][0][0].item<float>(), -1);
    EXPECT_EQ(sums[kRowLargest][0][0].item<float>(), 4);
    EXPECT_EQ(sums[kRowTotal][1][0].item<float>(), 6);
  }
}

TEST(RowMomentsTest, PowersOfTheDistanceFromTheMeanOfTheSequence) {
  at::Tensor mean_B = at::zeros({2});
  mean_B[1] = 2;
  const at::Tensor powers = RowPowers(Stream(), mean_B);
  EXPECT_EQ(powers[0][0][0].item<float>(), 9 + 16);
  EXPECT_EQ(powers[1][0][0].item<float>(), 81 + 256);
  EXPECT_EQ(powers[0][1][0].item<float>(), 1 + 1 + 4);
  EXPECT_EQ(powers[1][1][0].item<float>(), 1 + 1 + 16);
}

TEST(RowMomentsTest, ANaNShowsInAllOfItsRow) {
  at::Tensor x_BTD = Stream();
  x_BTD[1][0][1] = std::nan("");
  const at::Tensor sums = RowSums(x_BTD);
  EXPECT_TRUE(sums.select(1, 1).isnan().all().item<bool>());
  EXPECT_TRUE(sums.select(1, 0).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace sinkwatch::kernels

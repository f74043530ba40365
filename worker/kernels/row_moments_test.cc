#include "worker/kernels/row_moments.h"

#include <cmath>

#include "ATen/ops/pow.h"
#include "ATen/ops/stack.h"
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
    const at::Tensor sums = RowSums(Stream().to(type)).sums;
    EXPECT_EQ(sums[kRowLength][0][0].item<float>(), 5);
    EXPECT_EQ(sums[kRowTotal][0][0].item<float>(), -1);
    EXPECT_EQ(sums[kRowLargest][0][0].item<float>(), 4);
    EXPECT_EQ(sums[kRowTotal][1][0].item<float>(), 6);
  }
}

// Of 1, 1, 4: mean 2, m2 = 2, m4 = 6. Of 3, -4, 0: mean -1/3, m2 = 74/9, m4 =
// (10^4 + 11^4 + 1) / 243.
TEST(RowMomentsTest, KurtosisAroundTheMeanOfTheSequence) {
  const double second = 74.0 / 9, fourth = (1e4 + 14641 + 1) / 243;
  const at::Tensor kurtosis = SequenceKurtosis(Stream(), RowSums(Stream()));
  EXPECT_EQ(kurtosis.sizes(), at::IntArrayRef({2, 1}));
  EXPECT_NEAR(kurtosis[0][0].item<double>(), fourth / (second * second), 1e-6);
  EXPECT_NEAR(kurtosis[1][0].item<double>(), 1.5, 1e-6);
}

TEST(RowMomentsTest, KurtosisFromSumsOfPowersIsTheSame) {
  const at::Tensor x_BTD = Stream();
  RowMoments moments = RowSums(x_BTD);
  const at::Tensor around = SequenceKurtosis(x_BTD, moments);
  const at::Tensor wide = x_BTD.to(at::kDouble);
  moments.powers = at::stack({wide.sum(-1), wide.square().sum(-1),
                              wide.pow(3).sum(-1), wide.pow(4).sum(-1)});
  const at::Tensor from_powers = SequenceKurtosis(x_BTD, moments);
  for (int b = 0; b < 2; ++b) {
    EXPECT_NEAR(from_powers[b][0].item<double>(), around[b][0].item<double>(),
                1e-6);
  }
}

TEST(RowMomentsTest, ANaNShowsInAllOfItsRow) {
  at::Tensor x_BTD = Stream();
  x_BTD[1][0][1] = std::nan("");
  const at::Tensor sums = RowSums(x_BTD).sums;
  EXPECT_TRUE(sums.select(1, 1).isnan().all().item<bool>());
  EXPECT_TRUE(sums.select(1, 0).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace sinkwatch::kernels

#include "worker/kernels/head_norms.h"

#include <cmath>

#include "ATen/ops/arange.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"

namespace sinkwatch::kernels {
namespace {

// Vectors of two numbers, 0 1, 2 3, ...: two sequences, two groups, three
// tokens.
at::Tensor Vectors() { return at::arange(24, at::kFloat).view({2, 2, 3, 2}); }

TEST(HeadNormsTest, LengthOfEachVector) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor norms_BNT = HeadNorms(Vectors().to(type));
    ASSERT_EQ(norms_BNT.sizes(), at::IntArrayRef({2, 2, 3}));
    EXPECT_EQ(norms_BNT.scalar_type(), at::kFloat);
    for (int i = 0; i < 12; ++i) {
      EXPECT_FLOAT_EQ(norms_BNT.flatten()[i].item<float>(),
                      std::hypot(2.0f * i, 2.0f * i + 1));
    }
  }
}

TEST(HeadNormsTest, ANaNShowsInItsVectorOnly) {
  at::Tensor x_BNTE = Vectors();
  x_BNTE[1][0][2][0] = std::nan("");
  const at::Tensor norms_BNT = HeadNorms(x_BNTE);
  EXPECT_TRUE(std::isnan(norms_BNT[1][0][2].item<float>()));
  EXPECT_EQ(norms_BNT.isnan().sum().item<int64_t>(), 1);
}

// Four heads of two groups; head h's factor has h + 1 in one place.
TEST(WrittenNormsTest, EachHeadUsesItsGroupsVectorsAndItsOwnFactor) {
  at::Tensor factor_HRE = at::zeros({4, 2, 2});
  for (int h = 0; h < 4; ++h) factor_HRE[h][h % 2][1] = h + 1;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor norms_BHT =
        WrittenNorms(Vectors().to(type), factor_HRE).written_BHT;
    ASSERT_EQ(norms_BHT.sizes(), at::IntArrayRef({2, 4, 3}));
    for (int b = 0; b < 2; ++b) {
      for (int h = 0; h < 4; ++h) {
        for (int t = 0; t < 3; ++t) {
          const float second = Vectors()[b][h / 2][t][1].item<float>();
          EXPECT_FLOAT_EQ(norms_BHT[b][h][t].item<float>(), (h + 1) * second)
              << b << " " << h << " " << t;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

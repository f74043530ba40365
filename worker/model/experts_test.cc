#include "worker/model/experts.h"

#include <cstdint>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/topk.h"
#include "gtest/gtest.h"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::model {
namespace {

constexpr int64_t kTokens = 23;
constexpr int64_t kExperts = 5;
constexpr int64_t kChosen = 3;
constexpr int64_t kWidth = 4;

Routing RandomRouting() {
  auto [weight_NK, expert_NK] =
      at::topk(RandomTensor({kTokens, kExperts}, 1), kChosen, -1);
  return {expert_NK, weight_NK};
}

std::vector<at::Tensor> RandomMatrices() {
  std::vector<at::Tensor> matrices;
  for (unsigned seed = 10; seed < 10 + kExperts; ++seed) {
    matrices.push_back(RandomTensor({kWidth, kWidth}, seed));
  }
  return matrices;
}

TEST(MixExpertsTest, IsTheWeightedSumOverATokensExperts) {
  const at::Tensor x_ND = RandomTensor({kTokens, kWidth}, 2);
  const Routing routing = RandomRouting();
  const std::vector<at::Tensor> matrices = RandomMatrices();
  const Matrix mixed = PlainOf(MixExperts(
      x_ND, routing, kExperts, [&](int64_t index, const at::Tensor& x_RD) {
        return at::matmul(x_RD, matrices[index]);
      }));
  Matrix expected(kTokens, kWidth);
  const Matrix x = PlainOf(x_ND), weights = PlainOf(routing.weight_NK);
  for (int64_t n = 0; n < kTokens; ++n) {
    for (int64_t slot = 0; slot < kChosen; ++slot) {
      const Matrix w =
          PlainOf(matrices[routing.expert_NK[n][slot].item<int64_t>()]);
      for (int64_t i = 0; i < kWidth * kWidth; ++i) {
        expected(n, i % kWidth) +=
            weights(n, slot) * x(n, i / kWidth) * w(i / kWidth, i % kWidth);
      }
    }
  }
  EXPECT_LT(MaxDifference(mixed, expected), 1e-5);
}

TEST(MixExpertsTest, AnExpertSeesItsOwnTokensInOrderAndIsNotCalledForNone) {
  const at::Tensor x_ND = RandomTensor({4, kWidth}, 2);
  Routing routing = {at::full({4, 2}, 2, at::kLong), at::full({4, 2}, 0.5)};
  routing.expert_NK.select(1, 1).fill_(4);
  routing.expert_NK[1][0] = 0;
  std::vector<int64_t> called;
  MixExperts(
      x_ND, routing, kExperts, [&](int64_t index, const at::Tensor& x_RD) {
        called.push_back(index);
        if (index == 2) {
          EXPECT_TRUE(x_RD.equal(at::stack({x_ND[0], x_ND[2], x_ND[3]})));
        }
        return x_RD;
      });
  EXPECT_EQ(called, (std::vector<int64_t>{0, 2, 4}));
}

TEST(MixExpertsTest, ATokensSumDoesNotDependOnTheOthers) {
  const at::Tensor x_ND = RandomTensor({kTokens, kWidth}, 2);
  const Routing all = RandomRouting();
  // By element, so that the rows of a call cannot matter.
  const std::vector<at::Tensor> matrices = RandomMatrices();
  const Expert expert = [&](int64_t index, const at::Tensor& x_RD) {
    return x_RD * matrices[index][0];
  };
  const at::Tensor whole_ND = MixExperts(x_ND, all, kExperts, expert);
  const auto part = [](const at::Tensor& x) { return x.narrow(0, 7, 5); };
  const Routing some = {part(all.expert_NK), part(all.weight_NK)};
  EXPECT_TRUE(
      MixExperts(part(x_ND), some, kExperts, expert).equal(part(whole_ND)));
}

}  // namespace
}  // namespace sinkwatch::model

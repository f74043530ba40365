#include "worker/executor/batches.h"

#include <vector>

#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

Batch BatchOf(int64_t sequences, int64_t first) {
  Batch batch;
  batch.tokens_BT =
      at::arange(first, first + 3 * sequences, at::kLong).view({sequences, 3});
  batch.x_BTD = batch.tokens_BT.unsqueeze(-1).to(at::kFloat);
  return batch;
}

at::Tensor TokensOf(const std::vector<Batch>& batches) {
  std::vector<at::Tensor> tokens;
  for (const Batch& batch : batches) tokens.push_back(batch.tokens_BT);
  return at::cat(tokens);
}

TEST(BatchesTest, HalvesKeepTheOrderOfSequences) {
  std::vector<Batch> batches = {BatchOf(5, 0), BatchOf(5, 15), BatchOf(2, 30)};
  const at::Tensor before = TokensOf(batches);
  ASSERT_TRUE(HalveFrom(0, batches));
  ASSERT_EQ(batches.size(), 5u);
  EXPECT_EQ(batches[0].sequences(), 3);
  EXPECT_EQ(batches[1].sequences(), 2);
  EXPECT_EQ(batches[4].sequences(), 2);
  EXPECT_TRUE(TokensOf(batches).equal(before));
  for (const Batch& batch : batches) {
    EXPECT_TRUE(batch.x_BTD.squeeze(-1).equal(batch.tokens_BT.to(at::kFloat)));
    EXPECT_FALSE(batch.row_classes_BT.defined());
  }
}

TEST(BatchesTest, WhatWasDoneStaysAsItIs) {
  std::vector<Batch> batches = {BatchOf(4, 0), BatchOf(4, 12), BatchOf(4, 24)};
  ASSERT_TRUE(HalveFrom(1, batches));
  ASSERT_EQ(batches.size(), 5u);
  EXPECT_EQ(batches[0].sequences(), 4);
  EXPECT_EQ(batches[1].sequences(), 2);
}

TEST(BatchesTest, OneSequenceIsNotCut) {
  std::vector<Batch> batches = {BatchOf(1, 0), BatchOf(4, 3)};
  EXPECT_FALSE(HalveFrom(0, batches));
  EXPECT_EQ(batches.size(), 2u);
}

}  // namespace
}  // namespace sinkwatch::executor

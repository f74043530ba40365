#include "worker/metrics/sink_identity.h"

#include "ATen/ops/tensor.h"
#include "gtest/gtest.h"

namespace sinkwatch::metrics {
namespace {

TEST(SinkIdentityTest, TokensAreToldByIdAndByWhetherTheyAreFirst) {
  SinkIdentity identity;
  // Two sequences, two heads, at most two sinks each. Token 7 is the first of
  // sequence 0 and is there again at column 2.
  identity.Fold(
      at::tensor({0, 2, -1, -1, 1, -1, 2, 1}, at::kLong).view({2, 2, 2}),
      at::tensor({.5f, .3f, 0.f, 0.f, .4f, 0.f, .6f, .25f}).view({2, 2, 2}),
      at::tensor({7, 8, 7, 9, 9, 8}, at::kLong).view({2, 3}));
  // And a sequence more, in another batch.
  identity.Fold(at::tensor({-1, -1, 1, -1}, at::kLong).view({1, 2, 2}),
                at::tensor({0.f, 0.f, .9f, 0.f}).view({1, 2, 2}),
                at::tensor({9, 9, 9}, at::kLong).view({1, 3}));
  const std::vector<SinkToken> sinks = identity.Finish();
  ASSERT_EQ(sinks.size(), 4u);
  // Token 9 at columns 1 and 1: .4 + .25 + .9 over 6 heads and sequences.
  EXPECT_EQ(sinks[0].token, 9);
  EXPECT_FALSE(sinks[0].at_zero);
  EXPECT_NEAR(sinks[0].mass, 1.55 / 6, 1e-7);
  EXPECT_EQ(sinks[0].head_share, 1);
  EXPECT_NEAR(sinks[0].sequence_share, 2.0 / 3, 1e-12);
  EXPECT_EQ(sinks[1].token, 8);
  EXPECT_NEAR(sinks[1].mass, .6 / 6, 1e-7);
  EXPECT_EQ(sinks[1].head_share, .5);
  EXPECT_EQ(sinks[2].token, 7);
  EXPECT_TRUE(sinks[2].at_zero);
  EXPECT_EQ(sinks[3].token, 7);
  EXPECT_FALSE(sinks[3].at_zero);
  EXPECT_NEAR(sinks[3].sequence_share, 1.0 / 3, 1e-12);
}

TEST(SinkIdentityTest, TheHeaviestAreKept) {
  SinkIdentity identity;
  for (int64_t token = 0; token < 40; ++token) {
    identity.Fold(at::tensor({1}, at::kLong).view({1, 1, 1}),
                  at::tensor({static_cast<float>(token)}).view({1, 1, 1}),
                  at::tensor({99L, token}, at::kLong).view({1, 2}));
  }
  const std::vector<SinkToken> sinks = identity.Finish();
  ASSERT_EQ(sinks.size(), SinkIdentity::kMax);
  EXPECT_EQ(sinks.front().token, 39);
  EXPECT_EQ(sinks.back().token, 24);
}

TEST(SinkIdentityTest, NoSinksAreNone) {
  SinkIdentity identity;
  EXPECT_TRUE(identity.Finish().empty());
  identity.Fold(at::tensor({-1}, at::kLong).view({1, 1, 1}),
                at::tensor({0.f}).view({1, 1, 1}),
                at::tensor({3}, at::kLong).view({1, 1}));
  EXPECT_TRUE(identity.Finish().empty());
}

}  // namespace
}  // namespace sinkwatch::metrics

#include "worker/examples/bigram_backcopy/task.h"

#include <cmath>

#include "ATen/ops/equal.h"
#include "gtest/gtest.h"

namespace sinkwatch::bigram_backcopy {
namespace {

at::Tensor DrawFrom(double trigger_share, uint64_t seed = 5) {
  std::mt19937_64 random(seed);
  return Task(trigger_share).Draw(200, 48, random);
}

TEST(TaskTest, SequencesBeginWithBosAndGoOnWithATokenThatIsNoTrigger) {
  const at::Tensor tokens = DrawFrom(0.6);
  const int64_t* ids = tokens.data_ptr<int64_t>();
  for (int64_t n = 0; n < 200; ++n, ids += 48) {
    EXPECT_EQ(ids[0], kBos);
    EXPECT_FALSE(IsTrigger(ids[1]));
    for (int64_t t = 1; t < 48; ++t) EXPECT_LT(ids[t], kTokens);
  }
}

TEST(TaskTest, AfterATriggerComesTheTokenBeforeIt) {
  const at::Tensor tokens = DrawFrom(0.6);
  const int64_t* ids = tokens.data_ptr<int64_t>();
  int copies = 0;
  for (int64_t n = 0; n < 200; ++n, ids += 48) {
    for (int64_t t = 2; t < 48; ++t) {
      if (!IsTrigger(ids[t - 1])) continue;
      ASSERT_EQ(ids[t], ids[t - 2]) << n << " " << t;
      ++copies;
    }
  }
  EXPECT_GT(copies, 1000);
}

TEST(TaskTest, TheShareOfTriggersIsThatOfTheMix) {
  const at::Tensor none = DrawFrom(0);
  EXPECT_EQ(RowClasses(none).sum().item<int64_t>(), 0);
  // A token that is no trigger is followed by one with probability .25; the
  // copy after a trigger is a plain token again: .25 / 1.25 of all.
  const double share =
      RowClasses(DrawFrom(0.25)).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.2, 0.02);  // 9600 draws: sd .004
}

TEST(TaskTest, TheSameSeedDrawsTheSameSequences) {
  EXPECT_TRUE(at::equal(DrawFrom(0.25), DrawFrom(0.25)));
  EXPECT_FALSE(at::equal(DrawFrom(0.25), DrawFrom(0.25, 6)));
}

TEST(TaskTest, TheOracleIsCertainAfterATriggerAndItsRestIsTheChainsEntropy) {
  const at::Tensor tokens = DrawFrom(0.25);
  const at::Tensor oracle = Task(0.25).OracleLogProbability(tokens);
  const int64_t* ids = tokens.data_ptr<int64_t>();
  const double* log_p = oracle.data_ptr<double>();
  double sum = 0;
  int64_t count = 0;
  for (int64_t n = 0; n < 200; ++n) {
    for (int64_t t = 1; t + 1 < 48; ++t) {
      const double p = log_p[n * 47 + t];
      if (IsTrigger(ids[n * 48 + t])) {
        EXPECT_EQ(p, 0);
      } else {
        sum -= p;
        ++count;
      }
    }
  }
  // Far from certain (0) and from even (ln 24 = 3.18).
  EXPECT_GT(sum / count, 1.5);
  EXPECT_LT(sum / count, 2.6);
}

}  // namespace
}  // namespace sinkwatch::bigram_backcopy

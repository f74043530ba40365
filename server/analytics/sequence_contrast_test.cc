#include "server/analytics/sequence_contrast.h"

#include <cmath>

#include "gtest/gtest.h"
#include "server/analytics/fixed_random.h"

namespace sinkwatch::analytics {
namespace {

using Values = std::vector<float>;

// Sixteen and twelve sequences; what they come to was computed by numpy 2.4:
// percentile(mean(a[draws]) - mean(b[draws]), [2.5, 97.5]) with the same draws,
// mean of (a > b) + (a == b) / 2 over all pairs, var(ddof=1).
const Values kHigh = {.5F,    .6406F, .7812F, .9219F, .6125F, .7531F,
                      .8938F, .5844F, .725F,  .8656F, .5563F, .6969F,
                      .8375F, .5281F, .6687F, .8094F};
const Values kLow = {.1F, .35F, .6F, .25F, .5F, .15F,
                     .4F, .65F, .3F, .55F, .2F, .45F};
// The numbers above have eight digits.
constexpr double kDigits = 1e-8;

TEST(SequenceContrastTest, AgreesWithAnIndependentComputation) {
  SequenceBootstrap bootstrap;
  const auto interval = bootstrap.Of(kHigh, kLow);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, .21381251, kDigits);
  EXPECT_NEAR(interval->high, .4510454, kDigits);
  EXPECT_NEAR(*Auroc(kHigh, kLow), .9348958333333334, kDigits);
  EXPECT_NEAR(*CohensD(kHigh, kLow), 2.164211387841094, kDigits);
  // 20,000 draws of numpy's own say (.2203, .4522): 200 come as near as the
  // scatter of their 2.5th percentile, a seventh of the width.
  EXPECT_NEAR(interval->low, .2203, .034);
  EXPECT_NEAR(interval->high, .4522, .034);
}

TEST(SequenceContrastTest, TheOtherWayRoundIsTheOtherSign) {
  EXPECT_NEAR(*Auroc(kLow, kHigh), 1 - *Auroc(kHigh, kLow), 1e-12);
  EXPECT_NEAR(*CohensD(kLow, kHigh), -*CohensD(kHigh, kLow), 1e-12);
  EXPECT_EQ(*Auroc({1, 1, 1}, {1, 1}), .5);
  EXPECT_EQ(*Auroc({2, 3}, {1, 0}), 1);
}

TEST(SequenceContrastTest, SequencesWithoutRowsArePassedOver) {
  Values holes = kHigh;
  holes.insert(holes.begin() + 3, NAN);
  holes.push_back(NAN);
  SequenceBootstrap bootstrap;
  EXPECT_EQ(bootstrap.Of(holes, kLow)->low, bootstrap.Of(kHigh, kLow)->low);
  EXPECT_EQ(*Auroc(holes, kLow), *Auroc(kHigh, kLow));
  v1::Contrast contrast;
  bootstrap.Tell(holes, kLow, &contrast);
  EXPECT_EQ(contrast.method(), v1::INTERVAL_METHOD_BOOTSTRAP);
  EXPECT_EQ(contrast.high_sequences(), 16);
  EXPECT_EQ(contrast.low_sequences(), 12);
  EXPECT_NEAR(contrast.auroc(), .9348958333333334, kDigits);
}

TEST(SequenceContrastTest, TooFewSequencesTellNothing) {
  SequenceBootstrap bootstrap;
  v1::Contrast contrast;
  contrast.set_low(-1);
  for (const Values& few : {Values{}, Values{.5F}, Values{.5F, NAN}}) {
    EXPECT_FALSE(bootstrap.Of(few, kLow).has_value());
    EXPECT_FALSE(bootstrap.Of(kHigh, few).has_value());
    EXPECT_FALSE(CohensD(few, kLow).has_value());
    bootstrap.Tell(few, kLow, &contrast);
  }
  EXPECT_EQ(contrast.low(), -1);
  EXPECT_EQ(contrast.method(), v1::INTERVAL_METHOD_UNSPECIFIED);
  EXPECT_FALSE(Auroc({}, kLow).has_value());
}

TEST(SequenceContrastTest, DomainsThatDoNotVaryHaveAnIntervalOfNoWidth) {
  SequenceBootstrap bootstrap;
  const auto interval = bootstrap.Of({.9F, .9F, .9F}, {.1F, .1F});
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, .8, 1e-6);
  EXPECT_NEAR(interval->high, .8, 1e-6);
  EXPECT_FALSE(CohensD({.9F, .9F, .9F}, {.1F, .1F}).has_value());
}

// An interval of 95 % holds what is true 95 times of 100, and one of
// percentiles of 40 sequences somewhat less: of 400 pairs of equal domains 93.5
// %, give or take three standard deviations.
TEST(SequenceContrastTest, TheIntervalHoldsWhatIsTrue) {
  FixedRandom random(7);
  SequenceBootstrap bootstrap;
  const auto drawn = [&] {
    Values values(40);
    for (float& value : values) value = static_cast<float>(random.Uniform());
    return values;
  };
  int held = 0;
  for (int i = 0; i < 400; ++i) {
    const Values high = drawn(), low = drawn();
    const auto interval = bootstrap.Of(high, low);
    held += interval->low <= 0 && interval->high >= 0;
  }
  EXPECT_GE(held, 359);
  EXPECT_LE(held, 392);
}

}  // namespace
}  // namespace sinkwatch::analytics

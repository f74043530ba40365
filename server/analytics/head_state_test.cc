#include "server/analytics/head_state.h"

#include <cmath>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

HeadSignals Dormancy(double dormancy, double error = .01) {
  HeadSignals signals;
  signals.dormancy = dormancy;
  signals.dormancy_error = error;
  return signals;
}

HeadSignals Signals(double dormancy, double drain, double write) {
  HeadSignals signals = Dormancy(dormancy);
  signals.drain = drain;
  signals.write = write;
  return signals;
}

TEST(StateOfTest, FollowsItsTable) {
  const struct {
    double dormancy, drain, write;
    v1::HeadState state;
  } kTable[] = {
      {.9, .5, 1, v1::HEAD_STATE_DORMANT},
      {.95, .51, 1, v1::HEAD_STATE_BROADCAST},
      {.95, NAN, 1, v1::HEAD_STATE_DORMANT},  // not known: decides nothing
      {.89, .1, 1, v1::HEAD_STATE_MIXED},
      {.11, .1, 1, v1::HEAD_STATE_MIXED},
      {.1, 1, 1, v1::HEAD_STATE_ACTIVE},
      {.1, 1, .31, v1::HEAD_STATE_ACTIVE},
      {.1, 1, .3, v1::HEAD_STATE_QUIET},
      {.1, 1, NAN, v1::HEAD_STATE_ACTIVE},
      {NAN, .1, .1, v1::HEAD_STATE_UNSPECIFIED},
  };
  for (const auto& row : kTable) {
    EXPECT_EQ(StateOf(Signals(row.dormancy, row.drain, row.write), 1, {}),
              row.state)
        << row.dormancy << " " << row.drain << " " << row.write;
  }
}

// Each bound met exactly, as float32: the nearest to .9 lies below it, that to
// .1 above.
TEST(StateOfTest, BoundsAreMetByStoredValues) {
  EXPECT_EQ(StateOf(Signals(.9f, .5f, 1), 1, {}), v1::HEAD_STATE_DORMANT);
  EXPECT_EQ(StateOf(Signals(.1f, 1, .5f), 1, {}), v1::HEAD_STATE_ACTIVE);
  EXPECT_EQ(StateOf(Signals(0, 1, .06f), .2f, {}), v1::HEAD_STATE_QUIET);
  EXPECT_EQ(StateOf(Signals(.8999f, .5f, 1), 1, {}), v1::HEAD_STATE_MIXED);
  EXPECT_EQ(StateOf(Signals(.1001f, 1, 1), 1, {}), v1::HEAD_STATE_MIXED);
  EXPECT_TRUE(MaySwitch({Dormancy(.9f), Dormancy(.6f)}, {}));
  EXPECT_FALSE(MaySwitch({Dormancy(.9f), Dormancy(.6001f)}, {}));
}

// The paper's toy without a learned position: the sink is weak, the head stays
// out of the way by writing little.
TEST(StateOfTest, AHeadThatWritesLittleElsewhereIsQuiet) {
  const std::vector<HeadSignals> domains = {Signals(.05, 1, .1),
                                            Signals(.02, 1, .9)};
  const double largest = LargestWrite(domains);
  EXPECT_EQ(largest, .9);
  EXPECT_EQ(StateOf(domains[0], largest, {}), v1::HEAD_STATE_QUIET);
  EXPECT_EQ(StateOf(domains[1], largest, {}), v1::HEAD_STATE_ACTIVE);
  EXPECT_TRUE(std::isnan(LargestWrite({Dormancy(1)})));
}

// Heads of the trained models of tests/data/toy on domains A and B, as measured
// (dormant_query_frac, value_norm_ratio, head_write_frac): the one without a
// sink that writes nothing in A, one that is at a bound, one that switches.
TEST(StateOfTest, OfTrainedHeads) {
  const struct {
    const char* model;
    HeadSignals a, b;
    v1::HeadState in_a, in_b;
  } kTable[] = {
      {"relu/step800", Signals(0, .279, .0023), Signals(0, .353, .518),
       v1::HEAD_STATE_QUIET, v1::HEAD_STATE_ACTIVE},
      {"olmo/step600 L0", Signals(.112, .523, .21), Signals(.098, .554, .358),
       v1::HEAD_STATE_MIXED, v1::HEAD_STATE_ACTIVE},
      {"adam/step800", Signals(.934, .131, .158), Signals(.592, .163, .47),
       v1::HEAD_STATE_DORMANT, v1::HEAD_STATE_MIXED},
  };
  for (const auto& head : kTable) {
    const double largest = LargestWrite({head.a, head.b});
    EXPECT_EQ(StateOf(head.a, largest, {}), head.in_a) << head.model;
    EXPECT_EQ(StateOf(head.b, largest, {}), head.in_b) << head.model;
  }
}

TEST(TypeOfTest, SwitchingNeedsAContrastThatIsLargeAndSure) {
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(.05)}, {}),
            v1::HEAD_TYPE_SWITCHING);
  EXPECT_EQ(TypeOf({Dormancy(.05), Dormancy(.95)}, {}),
            v1::HEAD_TYPE_SWITCHING);
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(.651)}, {}), v1::HEAD_TYPE_OTHER);
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(.649)}, {}),
            v1::HEAD_TYPE_SWITCHING);
  // Nowhere dormant for half of the queries.
  EXPECT_EQ(TypeOf({Dormancy(.49), Dormancy(.05)}, {}), v1::HEAD_TYPE_OTHER);
  // The interval holds 0.
  EXPECT_EQ(TypeOf({Dormancy(.8, .2), Dormancy(.4, .2)}, {}),
            v1::HEAD_TYPE_OTHER);
  EXPECT_EQ(TypeOf({Dormancy(.8, NAN), Dormancy(.4, NAN)}, {}),
            v1::HEAD_TYPE_SWITCHING);
}

TEST(TypeOfTest, WhatTheSequencesSayGoesBeforeStandardErrors) {
  const std::vector<HeadSignals> sure = {Dormancy(.8, .02), Dormancy(.4, .02)};
  const std::vector<HeadSignals> unsure = {Dormancy(.8, .2), Dormancy(.4, .2)};
  EXPECT_EQ(TypeOf(sure, {}, false), v1::HEAD_TYPE_OTHER);
  EXPECT_EQ(TypeOf(unsure, {}, true), v1::HEAD_TYPE_SWITCHING);
  // Whatever they say, a small difference is none.
  EXPECT_EQ(TypeOf({Dormancy(.8, .02), Dormancy(.6, .02)}, {}, true),
            v1::HEAD_TYPE_OTHER);
}

// What is quiet somewhere is not always active, what broadcasts somewhere not
// always dormant.
TEST(TypeOfTest, TheSameEverywhereIsTheSameState) {
  EXPECT_EQ(TypeOf({Signals(0, .28, .002), Signals(0, .35, .52)}, {}),
            v1::HEAD_TYPE_OTHER);
  EXPECT_EQ(TypeOf({Signals(0, .28, .4), Signals(0, .35, .52)}, {}),
            v1::HEAD_TYPE_ALWAYS_ACTIVE);
  EXPECT_EQ(TypeOf({Signals(.96, .57, .1), Signals(.95, .3, .1)}, {}),
            v1::HEAD_TYPE_OTHER);
  EXPECT_EQ(TypeOf({Signals(.96, .4, .1), Signals(.95, .3, .1)}, {}),
            v1::HEAD_TYPE_ALWAYS_DORMANT);
}

TEST(TypeOfTest, OthersAreTheSameEverywhere) {
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(.91)}, {}),
            v1::HEAD_TYPE_ALWAYS_DORMANT);
  EXPECT_EQ(TypeOf({Dormancy(.05), Dormancy(.1)}, {}),
            v1::HEAD_TYPE_ALWAYS_ACTIVE);
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(.7)}, {}), v1::HEAD_TYPE_OTHER);
  EXPECT_EQ(TypeOf({Dormancy(.95)}, {}), v1::HEAD_TYPE_ALWAYS_DORMANT);
  EXPECT_EQ(TypeOf({Dormancy(.5)}, {}), v1::HEAD_TYPE_UNSPECIFIED);
  EXPECT_EQ(TypeOf({}, {}), v1::HEAD_TYPE_UNSPECIFIED);
}

// A domain without a value tells no "none of these", but nothing makes a head
// that switches between two others cease to.
TEST(TypeOfTest, IsNotKnownWhereADomainIsNot) {
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(NAN)}, {}),
            v1::HEAD_TYPE_UNSPECIFIED);
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(.7), Dormancy(NAN)}, {}),
            v1::HEAD_TYPE_UNSPECIFIED);
  EXPECT_EQ(TypeOf({Dormancy(.95), Dormancy(NAN), Dormancy(.05)}, {}),
            v1::HEAD_TYPE_SWITCHING);
}

TEST(FurthestApartTest, OfEqualOnesAreTwo) {
  EXPECT_EQ(FurthestApart({Dormancy(NAN), Dormancy(1), Dormancy(1)}),
            std::make_pair(size_t{1}, size_t{2}));
  EXPECT_EQ(FurthestApart({Dormancy(NAN), Dormancy(1)}),
            std::make_pair(size_t{1}, size_t{1}));
}

TEST(FurthestApartTest, PassesOverWhatIsNotKnown) {
  const std::vector<HeadSignals> domains = {Dormancy(NAN), Dormancy(.4),
                                            Dormancy(.9), Dormancy(.1)};
  EXPECT_EQ(FurthestApart(domains), std::make_pair(size_t{2}, size_t{3}));
}

TEST(SettledTest, ChangesOnlyAfterTwoInARow) {
  Settled settled(2);
  EXPECT_FALSE(settled.Observe(1, 0));
  EXPECT_EQ(settled.state(), 1);
  EXPECT_FALSE(settled.Observe(2, 10));  // alone
  EXPECT_FALSE(settled.Observe(1, 20));
  EXPECT_FALSE(settled.Observe(2, 30));
  EXPECT_FALSE(settled.Observe(3, 40));  // another one
  EXPECT_FALSE(settled.Observe(2, 50));
  EXPECT_FALSE(settled.Observe(0, 55));  // not known: passed over
  EXPECT_TRUE(settled.Observe(2, 60));
  EXPECT_EQ(settled.state(), 2);
  EXPECT_EQ(settled.since(), 50);
  EXPECT_EQ(settled.before(), 1);
  EXPECT_FALSE(settled.Observe(2, 70));
}

}  // namespace
}  // namespace sinkwatch::analytics

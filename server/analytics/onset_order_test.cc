#include "server/analytics/onset_order.h"

#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

v1::Emergence In(int64_t after, int64_t by, double estimate) {
  v1::Emergence e;
  e.set_after_step(after);
  e.set_by_step(by);
  e.set_estimate(estimate);
  return e;
}

v1::Emergence FromTheStart(int64_t by) {
  v1::Emergence e = In(0, by, 0);
  e.set_censoring(v1::CENSORING_LEFT);
  return e;
}

v1::Emergence NeverUpTo(int64_t last) {
  v1::Emergence e = In(last, 0, 0);
  e.set_censoring(v1::CENSORING_RIGHT);
  return e;
}

TEST(OrderOfTest, DisjointIntervalsHaveAnOrder) {
  const v1::Emergence first = In(512, 1000, 800), second = In(1000, 1500, 1200);
  EXPECT_EQ(OrderOf(first, second).order, Order::kEarlier);
  EXPECT_EQ(OrderOf(second, first).order, Order::kLater);
  EXPECT_NEAR(OrderOf(first, second).gap, std::log(1201. / 801.), 1e-12);
}

TEST(OrderOfTest, OverlappingIntervalsHaveNone) {
  EXPECT_EQ(OrderOf(In(512, 1000, 600), In(512, 1000, 900)).order,
            Order::kUnresolved);
  EXPECT_EQ(OrderOf(In(500, 1500, 600), In(1000, 2000, 1900)).order,
            Order::kUnresolved);
}

TEST(OrderOfTest, CensoredOnesAreOrderedWhereThatIsSure) {
  EXPECT_EQ(OrderOf(FromTheStart(0), In(10, 20, 15)).order, Order::kEarlier);
  EXPECT_EQ(OrderOf(FromTheStart(0), FromTheStart(0)).order,
            Order::kUnresolved);
  EXPECT_EQ(OrderOf(In(10, 20, 15), NeverUpTo(100)).order, Order::kEarlier);
  EXPECT_EQ(OrderOf(NeverUpTo(100), In(10, 20, 15)).order, Order::kLater);
  // The other run went on for longer.
  EXPECT_EQ(OrderOf(In(100, 200, 150), NeverUpTo(120)).order,
            Order::kUnresolved);
  EXPECT_EQ(OrderOf(NeverUpTo(100), NeverUpTo(200)).order, Order::kUnresolved);
  EXPECT_TRUE(std::isnan(OrderOf(In(10, 20, 15), NeverUpTo(100)).gap));
}

// One checkpoint beyond the threshold may be noise.
TEST(OrderOfTest, WhatIsProvisionalComesBeforeNothing) {
  v1::Emergence last = In(90, 100, 95);
  last.set_provisional(true);
  EXPECT_EQ(OrderOf(last, NeverUpTo(100)).order, Order::kUnresolved);
  EXPECT_EQ(OrderOf(NeverUpTo(100), last).order, Order::kUnresolved);
  EXPECT_EQ(OrderOf(In(10, 20, 15), last).order, Order::kEarlier);
  EXPECT_EQ(OrderOf(last, In(10, 20, 15)).order, Order::kLater);
}

TEST(OrderOfTest, WhatWasNotMeasuredHasNoOrder) {
  v1::Emergence unmeasured;
  unmeasured.set_censoring(v1::CENSORING_UNMEASURED);
  for (const v1::Emergence& other :
       {In(10, 20, 15), FromTheStart(0), NeverUpTo(100), unmeasured}) {
    EXPECT_EQ(OrderOf(unmeasured, other).order, Order::kUnresolved);
    EXPECT_EQ(OrderOf(other, unmeasured).order, Order::kUnresolved);
    EXPECT_TRUE(std::isnan(OrderOf(other, unmeasured).gap));
  }
}

}  // namespace
}  // namespace sinkwatch::analytics

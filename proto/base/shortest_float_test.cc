#include "proto/base/shortest_float.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

template <typename Number>
std::string Text(Number value) {
  std::string text;
  EXPECT_TRUE(AppendShortest(value, &text));
  return text;
}

TEST(ShortestFloat, ReadsBackAsTheSameNumber) {
  for (float value : {0.1f, 3.0321274f, 1e-45f, -1e30f, 16777217.f, 0.f,
                      std::numeric_limits<float>::max()}) {
    EXPECT_EQ(std::strtof(Text(value).c_str(), nullptr), value) << Text(value);
  }
  for (double value : {0.1, 1e-320, std::numeric_limits<double>::max()}) {
    EXPECT_EQ(std::strtod(Text(value).c_str(), nullptr), value) << Text(value);
  }
}

TEST(ShortestFloat, IsShortest) {
  EXPECT_EQ(Text(0.1f), "0.1");
  EXPECT_EQ(Text(3.0321274f), "3.0321274");
  EXPECT_EQ(Text(0.1), "0.1");
  EXPECT_EQ(Text(1e30f), "1e+30");
}

TEST(ShortestFloat, WhatIsNotFiniteIsNotWritten) {
  std::string text = "x";
  EXPECT_FALSE(AppendShortest(std::nanf(""), &text));
  EXPECT_FALSE(AppendShortest(HUGE_VAL, &text));
  EXPECT_EQ(text, "x");
}

}  // namespace
}  // namespace sinkwatch::base

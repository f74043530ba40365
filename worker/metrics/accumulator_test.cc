#include "worker/metrics/accumulator.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace sinkwatch::metrics {
namespace {

// Sequences with unequal numbers of rows.
const std::vector<SequenceSums> kSequences = {
    {3.0, 4, 8.0, 5}, {1.5, 2, 9.0, 6}, {9.0, 7, 3.0, 2}, {0.5, 1, 4.0, 4}};

Accumulator Folded(Reduction reduction,
                   const std::vector<SequenceSums>& sequences) {
  Accumulator accumulator(reduction, 1);
  for (const SequenceSums& x : sequences) accumulator.Add(0, x);
  return accumulator;
}

// The delete-one jackknife, an independent estimate of a standard error.
double Jackknife(Reduction reduction,
                 const std::vector<SequenceSums>& sequences) {
  const double m = static_cast<double>(sequences.size());
  std::vector<double> left_out;
  double mean = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    std::vector<SequenceSums> rest = sequences;
    rest.erase(rest.begin() + i);
    left_out.push_back(Folded(reduction, rest).Finish(0)->value);
    mean += left_out.back() / m;
  }
  double sum = 0;
  for (double value : left_out) sum += (value - mean) * (value - mean);
  return std::sqrt((m - 1) / m * sum);
}

TEST(AccumulatorTest, AMeanGivesEveryRowTheSameWeight) {
  const auto estimate = Folded(Reduction::kMean, kSequences).Finish(0);
  EXPECT_DOUBLE_EQ(estimate->value, 14.0 / 14);
}

TEST(AccumulatorTest, TheErrorOfEqualCountsIsThatOfAMeanOfSequences) {
  const auto estimate =
      Folded(Reduction::kMean, {{10, 5}, {20, 5}, {60, 5}}).Finish(0);
  // Sequence means 2, 4, 12: sd / sqrt(3).
  EXPECT_DOUBLE_EQ(estimate->value, 6);
  EXPECT_NEAR(estimate->standard_error, std::sqrt(28.0 / 3), 1e-12);
}

TEST(AccumulatorTest, TheErrorOfUnequalCountsIsTheRatioEstimator) {
  const auto estimate = Folded(Reduction::kMean, kSequences).Finish(0);
  double sum = 0;
  for (const SequenceSums& x : kSequences) {
    sum += std::pow(x.sum - estimate->value * x.rows, 2);
  }
  EXPECT_NEAR(estimate->standard_error, std::sqrt(4.0 / 3 * sum) / 14, 1e-12);
}

TEST(AccumulatorTest, ARatioIsARatioOfMeans) {
  const auto estimate = Folded(Reduction::kRatio, kSequences).Finish(0);
  EXPECT_DOUBLE_EQ(estimate->value, (14.0 / 14) / (24.0 / 17));
}

TEST(AccumulatorTest, TheErrorOfARatioAgreesWithTheJackknife) {
  std::vector<SequenceSums> sequences;
  for (int i = 0; i < 400; ++i) {
    const double wave = std::sin(i * 1.7), other = std::cos(i * 2.9);
    sequences.push_back({5 + wave, 4, 60 + 9 * other, 20. + i % 3});
  }
  const auto estimate = Folded(Reduction::kRatio, sequences).Finish(0);
  // Both are estimates; they agree to 1/m for a function this smooth.
  EXPECT_NEAR(
      estimate->standard_error / Jackknife(Reduction::kRatio, sequences), 1,
      0.01);
}

bool HasError(Reduction reduction, const std::vector<SequenceSums>& sequences) {
  return !std::isnan(Folded(reduction, sequences).Finish(0)->standard_error);
}

TEST(AccumulatorTest, TheErrorOfOneSequenceCannotBeTold) {
  EXPECT_FALSE(HasError(Reduction::kMean, {{3, 4}}));
  EXPECT_FALSE(HasError(Reduction::kRatio, {{3, 4, 2, 4}}));
  // The other sequences have no row of the class.
  EXPECT_FALSE(HasError(Reduction::kMean, {{0, 0}, {3, 4}, {0, 0}}));
  EXPECT_TRUE(HasError(Reduction::kMean, {{3, 4}, {3, 4}}));
}

TEST(AccumulatorTest, TheErrorOfAMaximumCannotBeTold) {
  EXPECT_FALSE(HasError(Reduction::kMax, {{3, 1}, {4, 1}, {5, 1}}));
}

TEST(AccumulatorTest, EqualSequencesHaveNoErrorBeyondRounding) {
  const SequenceSums x{0.1, 3};
  EXPECT_NEAR(Folded(Reduction::kMean, {x, x, x, x}).Finish(0)->standard_error,
              0, 1e-8);
}

TEST(AccumulatorTest, WhatHasNoRowsHasNoValue) {
  EXPECT_FALSE(Folded(Reduction::kMean, {}).Finish(0).has_value());
  EXPECT_FALSE(
      Folded(Reduction::kMean, {{0, 0}, {0, 0}}).Finish(0).has_value());
}

TEST(AccumulatorTest, SequencesWithoutRowsDoNotCountInTheError) {
  const auto with =
      Folded(Reduction::kMean, {{1, 2}, {0, 0}, {3, 2}, {0, 0}}).Finish(0);
  const auto without = Folded(Reduction::kMean, {{1, 2}, {3, 2}}).Finish(0);
  EXPECT_DOUBLE_EQ(with->standard_error, without->standard_error);
}

TEST(AccumulatorTest, ADenominatorOfZeroHasNoValue) {
  EXPECT_FALSE(
      Folded(Reduction::kRatio, {{1, 2, 0, 2}, {2, 2, 0, 2}}).Finish(0));
}

TEST(AccumulatorTest, AMaximumIsTheLargestAndKeepsWhatIsNotANumber) {
  EXPECT_EQ(
      Folded(Reduction::kMax, {{-3, 1}, {-1, 1}, {-2, 1}}).Finish(0)->value,
      -1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(
      Folded(Reduction::kMax, {{1, 1}, {nan, 1}, {2, 1}}).Finish(0)->value));
}

TEST(AccumulatorTest, NotANumberStaysInAMeanAndInARatio) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(
      Folded(Reduction::kMean, {{1, 1}, {nan, 1}}).Finish(0)->value));
  EXPECT_TRUE(
      std::isnan(Folded(Reduction::kRatio, {{1, 1, nan, 1}, {1, 1, 1, 1}})
                     .Finish(0)
                     ->value));
}

}  // namespace
}  // namespace sinkwatch::metrics

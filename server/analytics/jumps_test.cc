#include "server/analytics/jumps.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::analytics {
namespace {

// Normal numbers that are the same everywhere.
class Noise {
 public:
  explicit Noise(uint64_t seed) : state_(seed) {}
  double Next() {
    double sum = -6;  // of twelve uniform numbers
    for (int i = 0; i < 12; ++i) {
      state_ = state_ * 6364136223846793005 + 1442695040888963407;
      sum += static_cast<double>(state_ >> 11) * 0x1p-53;
    }
    return sum;
  }

 private:
  uint64_t state_;
};

// A line of 300 checkpoints with noise; `more` is added from a step on.
std::vector<SeriesPoint> Line(double slope, double noise, double error,
                              uint64_t seed) {
  Noise random(seed);
  std::vector<SeriesPoint> series;
  for (int64_t i = 0; i < 300; ++i) {
    series.push_back({i * 500, 10 + slope * i + noise * random.Next(), error});
  }
  return series;
}

void Raise(std::vector<SeriesPoint>& series, size_t from, double by) {
  for (size_t i = from; i < series.size(); ++i) series[i].value += by;
}

TEST(FindJumpsTest, FindsAStepWhereItIs) {
  for (const double by : {5., -5.}) {
    std::vector<SeriesPoint> series = Line(.1, .1, .1, 1);
    Raise(series, 8, by);
    const auto jumps = FindJumps(series, {});
    ASSERT_EQ(jumps.size(), 1u);
    EXPECT_EQ(jumps[0].after_step(), 3500);
    EXPECT_EQ(jumps[0].by_step(), 4000);
    EXPECT_NEAR(jumps[0].after() - jumps[0].before(), by + .1, .6);
    EXPECT_GT(jumps[0].score(), 6);
    EXPECT_FALSE(jumps[0].provisional());
  }
}

TEST(FindJumpsTest, TellsOneRiseOverSeveralCheckpointsByItsSteepest) {
  std::vector<SeriesPoint> series = Line(0, .02, .02, 2);
  Raise(series, 7, 2);
  Raise(series, 8, 6);
  Raise(series, 9, 3);
  const auto jumps = FindJumps(series, {});
  ASSERT_EQ(jumps.size(), 1u);
  EXPECT_EQ(jumps[0].after_step(), 3500);
  EXPECT_EQ(jumps[0].by_step(), 4000);
  EXPECT_EQ(jumps[0].from_step(), 3000);
  EXPECT_EQ(jumps[0].to_step(), 4500);
  EXPECT_NEAR(jumps[0].after() - jumps[0].before(), 11, .2);
}

TEST(FindJumpsTest, NoiseWithoutJumpsHasNone) {
  int found = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    // Once with the right errors, once with none: the scatter tells then.
    found += static_cast<int>(FindJumps(Line(.05, .3, .3, seed), {}).size());
    found += static_cast<int>(FindJumps(Line(.05, .3, NAN, seed), {}).size());
  }
  EXPECT_EQ(found, 0) << "of 120,000 changes";
}

TEST(FindJumpsTest, OneOddCheckpointIsNoJump) {
  std::vector<SeriesPoint> series = Line(0, .1, .1, 3);
  series[100].value += 20;
  EXPECT_TRUE(FindJumps(series, {}).empty());
}

TEST(FindJumpsTest, ASmoothRiseIsNoJump) {
  std::vector<SeriesPoint> series = Line(0, .002, .002, 4);
  for (size_t i = 0; i < series.size(); ++i) {
    series[i].value += 1 / (1 + std::exp((100. - i) / 15));
  }
  EXPECT_TRUE(FindJumps(series, {}).empty());
}

TEST(FindJumpsTest, AtTheLastCheckpointItIsProvisional) {
  std::vector<SeriesPoint> series = Line(0, .1, .1, 5);
  series.back().value += 10;
  const auto jumps = FindJumps(series, {});
  ASSERT_EQ(jumps.size(), 1u);
  EXPECT_TRUE(jumps[0].provisional());
}

TEST(FindJumpsTest, LargeErrorsHideASmallStep) {
  std::vector<SeriesPoint> series = Line(0, .01, 2, 6);
  Raise(series, 100, 5);
  EXPECT_TRUE(FindJumps(series, {}).empty());
  for (SeriesPoint& point : series) point.standard_error = .01;
  EXPECT_EQ(FindJumps(series, {}).size(), 1u);
}

TEST(FindJumpsTest, GapsMoveNothing) {
  std::vector<SeriesPoint> series = Line(.1, .1, .1, 7);
  Raise(series, 8, 5);
  series.erase(series.begin() + 40, series.begin() + 60);
  series.erase(series.begin() + 8);
  const auto jumps = FindJumps(series, {});
  ASSERT_EQ(jumps.size(), 1u);
  EXPECT_EQ(jumps[0].after_step(), 3500);
  EXPECT_EQ(jumps[0].by_step(), 4500);
}

TEST(FindJumpsTest, AJumpWithinAGapIsFoundAsOne) {
  std::vector<SeriesPoint> series = Line(.1, .1, .1, 8);
  Raise(series, 50, 20);
  series.erase(series.begin() + 40, series.begin() + 60);
  const auto jumps = FindJumps(series, {});
  ASSERT_EQ(jumps.size(), 1u);
  EXPECT_EQ(jumps[0].after_step(), 19500);
  EXPECT_EQ(jumps[0].by_step(), 30000);
}

// Powers of two, then multiples of 500: what trainers publish.
std::vector<SeriesPoint> OnPublishedGrid(double (*value)(double step),
                                         double noise, uint64_t seed) {
  Noise random(seed);
  std::vector<SeriesPoint> series;
  const auto add = [&](int64_t step) {
    series.push_back({step,
                      value(static_cast<double>(step)) + noise * random.Next(),
                      noise});
  };
  add(0);
  for (int64_t step = 1; step < 500; step *= 2) add(step);
  for (int64_t step = 500; step <= 20000; step += 500) add(step);
  return series;
}

TEST(FindJumpsTest, ASmoothCurveDoesNotJumpWhereItsGridChanges) {
  const std::pair<const char*, double (*)(double)> curves[] = {
      {"line", [](double t) { return 10 + .005 * t; }},
      {"power", [](double t) { return 2 + 8 / std::sqrt(1 + t / 100); }},
      {"logarithm", [](double t) { return 4 * std::log1p(t); }},
      {"saturating", [](double t) { return 1 - std::exp(-t / 3000); }}};
  for (const auto& [name, curve] : curves) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const auto jumps = FindJumps(OnPublishedGrid(curve, .004, seed), {});
      EXPECT_TRUE(jumps.empty())
          << name << " at " << jumps[0].by_step() << " " << jumps[0].score();
    }
  }
}

TEST(FindJumpsTest, AJumpOnSuchAGridIsFound) {
  std::vector<SeriesPoint> series =
      OnPublishedGrid([](double t) { return 10 + .005 * t; }, .004, 1);
  for (const size_t at : {5, 10, 12, 30}) {
    std::vector<SeriesPoint> raised = series;
    Raise(raised, at, 5);
    const auto jumps = FindJumps(raised, {});
    ASSERT_EQ(jumps.size(), 1u) << at;
    EXPECT_EQ(jumps[0].by_step(), series[at].step);
  }
}

// A line that pauses: its change there is smaller than usual.
TEST(FindJumpsTest, APauseIsNoJump) {
  std::vector<SeriesPoint> series = Line(1, .001, .001, 9);
  Raise(series, 50, -.9);
  EXPECT_TRUE(FindJumps(series, {}).empty());
}

// Of five checkpoints nobody knows which change is usual.
TEST(FindJumpsTest, FewCheckpointsTellNone) {
  std::vector<SeriesPoint> series = {{0, 10, .1}, {1000, 20, .1}};
  for (int64_t step : {2000, 3000, 4000}) series.push_back({step, 30, .1});
  EXPECT_TRUE(FindJumps(series, {}).empty());
  for (int64_t step : {5000, 6000, 7000}) series.push_back({step, 30, .1});
  EXPECT_EQ(FindJumps(series, {}).size(), 1u);
}

TEST(FindJumpsTest, AConstantSeriesAndAShortOneHaveNone) {
  EXPECT_TRUE(FindJumps({{0, 1}, {1, 1}, {2, 1}, {3, 1}}, {}).empty());
  EXPECT_TRUE(FindJumps({{0, 1}}, {}).empty());
  EXPECT_TRUE(FindJumps({}, {}).empty());
}

}  // namespace
}  // namespace sinkwatch::analytics

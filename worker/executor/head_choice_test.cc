#include "worker/executor/head_choice.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

using metrics::HeadState;
using metrics::MetricVector;

constexpr int kLayers = 6, kHeads = 8;

model::ModelShape Shape(int layers = kLayers, int heads = kHeads) {
  model::ModelShape shape;
  shape.layers = layers;
  shape.heads = shape.kv_heads = heads;
  shape.attention.resize(layers);
  return shape;
}

base::AblationPolicy Policy(const std::string& heads) {
  return *base::ReadAblationPolicy(heads, {}, 0);
}

MetricVector Vector(const std::string& domain, const std::string& metric,
                    std::vector<float> values) {
  MetricVector vector;
  vector.domain = domain;
  vector.metric = metric;
  vector.values = std::move(values);
  return vector;
}

// dormant_query_frac in two domains; every other value of a head that writes
// and whose value is drained.
std::vector<MetricVector> Layer(const std::vector<float>& a,
                                const std::vector<float>& b) {
  std::vector<MetricVector> values;
  for (const auto& [domain, q] : {std::pair("a", a), std::pair("b", b)}) {
    values.push_back(Vector(domain, "dormant_query_frac", q));
    values.push_back(
        Vector(domain, "value_norm_ratio", std::vector<float>(q.size(), 0.2f)));
    values.push_back(
        Vector(domain, "head_write_frac", std::vector<float>(q.size(), 1.0f)));
  }
  return values;
}

HeadChoice Choice(const std::string& heads,
                  const model::ModelShape& shape = Shape(),
                  const HeadStates* previous = nullptr,
                  const std::string& digest = "probe") {
  return HeadChoice(Policy(heads), shape, {"a", "b"}, digest, previous);
}

// Heads one at a time, in their order; -1 is a group.
std::vector<int> HeadsOf(const std::vector<HeadSet>& sets) {
  std::vector<int> heads;
  for (const HeadSet& set : sets) heads.push_back(set.head.value_or(-1));
  return heads;
}

std::vector<float> All(float q) { return std::vector<float>(kHeads, q); }

TEST(HeadChoiceTest, AListIsTakenLayerByLayerEachHeadOnce) {
  HeadChoice choice = Choice("1.5,3.*,1.2,1.5");
  ASSERT_TRUE(choice.Check().ok());
  EXPECT_EQ(choice.MostSets(), 3 + kHeads);
  EXPECT_TRUE(choice.Choose(0, Layer(All(0), All(0))).empty());
  const std::vector<HeadSet> sets = choice.Choose(1, Layer(All(0), All(0)));
  EXPECT_EQ(HeadsOf(sets), (std::vector<int>{2, 5}));
  EXPECT_EQ(sets[1].heads, (std::vector<std::vector<int64_t>>{{5}, {5}}));
  EXPECT_EQ(choice.Choose(3, {}).size(), static_cast<size_t>(kHeads));
}

TEST(HeadChoiceTest, WhatTheModelDoesNotHaveIsNamed) {
  EXPECT_EQ(Choice("6.0").Check().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(Choice("6.0").Check().message().find("layer 6"), std::string::npos);
  EXPECT_NE(Choice("5.8").Check().message().find("5.8"), std::string::npos);
  EXPECT_FALSE(Choice("9").Check().ok());
  EXPECT_TRUE(Choice("layers").Check().ok());
  model::ModelShape shape = Shape();
  shape.attention[2].kind = model::AttentionKind::kNone;
  EXPECT_FALSE(Choice("2.0", shape).Check().ok());
}

TEST(HeadChoiceTest, GroupsAreTheLayerAndTheHeadsOfAStateByDomain) {
  HeadChoice choice = Choice("2");
  std::vector<float> a = All(0), b = All(0.95f);
  a[3] = 0.5;
  const std::vector<HeadSet> sets = choice.Choose(2, Layer(a, b));
  ASSERT_EQ(sets.size(), 6u);
  EXPECT_FALSE(sets[0].state.has_value());
  EXPECT_EQ(sets[0].heads[1].size(), static_cast<size_t>(kHeads));
  for (const HeadSet& set : sets) {
    if (set.state == HeadState::kMixed) {
      EXPECT_EQ(set.heads, (std::vector<std::vector<int64_t>>{{3}, {}}));
    } else if (set.state == HeadState::kDormant) {
      EXPECT_EQ(set.heads[0].size(), 0u);
      EXPECT_EQ(set.heads[1].size(), static_cast<size_t>(kHeads));
    } else if (set.state == HeadState::kBroadcast) {
      EXPECT_TRUE(set.heads[0].empty() && set.heads[1].empty());
    }
  }
}

TEST(HeadChoiceTest, AutoTakesChangesFirstThenTheMostUndecided) {
  HeadStates previous;
  previous[{"a", 0}] = std::vector<HeadState>(kHeads, HeadState::kDormant);
  previous[{"b", 0}] = previous[{"a", 0}];
  std::vector<float> a = All(0.95f), b = All(0.95f);
  a[6] = 0.05f;  // was dormant
  b[1] = 0.5f;   // was dormant, and is undecided
  a[2] = 0.89f;  // likewise, a little
  HeadChoice choice = Choice("auto", Shape(1), &previous);
  std::vector<int> heads = HeadsOf(choice.Choose(0, Layer(a, b)));
  ASSERT_GE(heads.size(), 3u);
  // Controls may be any of the others, or of these.
  const std::vector<int> wanted = {1, 2, 6};
  for (int head : wanted) {
    EXPECT_EQ(std::count(heads.begin(), heads.end(), head), 1) << head;
  }
  EXPECT_LE(heads.size(), wanted.size() + 2);  // a quarter of eight
}

TEST(HeadChoiceTest, AutoTakesNoHeadThatIsDecidedButControls) {
  HeadChoice choice = Choice("auto");
  std::set<std::pair<int, int>> taken;
  for (int layer = 0; layer < kLayers; ++layer) {
    for (int head : HeadsOf(choice.Choose(layer, Layer(All(0), All(1))))) {
      taken.insert({layer, head});
    }
  }
  EXPECT_EQ(taken.size(), 4u);
  // The same of the same probe, whatever was measured.
  HeadChoice again = Choice("auto");
  for (int layer = 0; layer < kLayers; ++layer) {
    for (int head : HeadsOf(again.Choose(layer, Layer(All(1), All(1))))) {
      EXPECT_EQ(taken.count({layer, head}), 1u);
    }
  }
}

TEST(HeadChoiceTest, ControlsAreOthersOfAnotherProbe) {
  const auto controls = [](const std::string& digest) {
    HeadChoice choice = Choice("auto", Shape(), nullptr, digest);
    std::set<std::pair<int, int>> taken;
    for (int layer = 0; layer < kLayers; ++layer) {
      for (int head : HeadsOf(choice.Choose(layer, Layer(All(0), All(0))))) {
        taken.insert({layer, head});
      }
    }
    return taken;
  };
  EXPECT_NE(controls("one"), controls("two"));
}

TEST(HeadChoiceTest, AutoSpreadsItsHeadsOverTheLayers) {
  HeadChoice choice = Choice("auto");
  std::vector<size_t> by_layer;
  size_t all = 0;
  for (int layer = 0; layer < kLayers; ++layer) {
    by_layer.push_back(
        choice.Choose(layer, Layer(All(0.5f), All(0.5f))).size());
    all += by_layer.back();
  }
  EXPECT_EQ(all, static_cast<size_t>(HeadChoice::kAutoHeads));
  EXPECT_EQ(choice.MostSets(), HeadChoice::kAutoHeads);
  for (size_t count : by_layer) EXPECT_GE(count, 2u);
}

TEST(HeadChoiceTest, AModelOfOneHeadHasNoControl) {
  HeadChoice choice = Choice("auto", Shape(1, 1));
  EXPECT_EQ(choice.MostSets(), 1);
  EXPECT_TRUE(choice.Choose(0, Layer({1.0f}, {1.0f})).empty());
  HeadChoice between = Choice("auto", Shape(1, 1));
  EXPECT_EQ(between.Choose(0, Layer({1.0f}, {0.6f})).size(), 1u);
}

TEST(HeadChoiceTest, StatesAreKeptForTheNextCheckpoint) {
  HeadChoice choice = Choice("auto", Shape(2));
  choice.Choose(0, Layer(All(0), All(0.95f)));
  choice.Choose(1, Layer(All(0.5f), All(0)));
  EXPECT_EQ(choice.states().size(), 4u);
  EXPECT_EQ(choice.states().at({"b", 0})[0], HeadState::kDormant);
  EXPECT_EQ(choice.states().at({"a", 1})[7], HeadState::kMixed);
}

TEST(HeadStateTest, IsToldByTheCutsOfTheCatalogue) {
  using metrics::StateOf;
  EXPECT_EQ(StateOf({0.9, 0.5, 1.0, 1.0}), HeadState::kDormant);
  EXPECT_EQ(StateOf({0.9, 0.51, 1.0, 1.0}), HeadState::kBroadcast);
  EXPECT_EQ(StateOf({0.89, 0.1, 1.0, 1.0}), HeadState::kMixed);
  EXPECT_EQ(StateOf({0.1, 0.1, 0.31, 1.0}), HeadState::kActive);
  EXPECT_EQ(StateOf({0.1, 0.1, 0.3, 1.0}), HeadState::kQuiet);
  EXPECT_EQ(StateOf({0.1, {}, {}, {}}), HeadState::kActive);
  EXPECT_EQ(StateOf({std::nan(""), {}, {}, {}}), HeadState::kMixed);
}

}  // namespace
}  // namespace sinkwatch::executor

#include "worker/metrics/selectivity.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "ATen/ops/zeros_like.h"
#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

std::vector<int64_t> Ids(const at::Tensor& x) {
  const at::Tensor whole = x.contiguous();
  const int64_t* const data = whole.const_data_ptr<int64_t>();
  return {data, data + whole.numel()};
}

TEST(SyntheticSequencesTest, EndWithTheFirstTokenOfAPairThatWasThereBefore) {
  for (int64_t vocabulary : {25, 5000, 100000}) {
    const auto made = MakeSyntheticSequences(50, 48, vocabulary);
    const int64_t first = vocabulary == 25 ? 0 : vocabulary == 5000 ? 50 : 100;
    const int64_t end = std::min<int64_t>(vocabulary, 10000);
    for (int64_t n = 0; n < 50; ++n) {
      const std::vector<int64_t> ids = Ids(made.tokens_NT[n]);
      const int64_t p = made.first_N[n].item<int64_t>();
      ASSERT_GE(p, 1);
      ASSERT_LT(p + 1, 48 - 1 - 8) << "B is not in the local window";
      for (int64_t t = 0; t < 48; ++t) {
        EXPECT_EQ(ids[t] == ids[47], t == p || t == 47) << "A twice, no more";
        EXPECT_GE(ids[t], first);
        EXPECT_LT(ids[t], end);
      }
    }
  }
}

TEST(SyntheticSequencesTest, OtherPositionsAreNoTargets) {
  for (int64_t tokens : {24, 48, 256}) {
    const auto made = MakeSyntheticSequences(20, tokens, 1000);
    EXPECT_EQ(made.others_NO.size(1),
              std::min<int64_t>(50, tokens - 1 - 8 - 4));
    for (int64_t n = 0; n < 20; ++n) {
      const int64_t p = made.first_N[n].item<int64_t>();
      std::vector<int64_t> places = Ids(made.others_NO[n]);
      places.push_back(made.null_N[n].item<int64_t>());
      EXPECT_EQ(std::set<int64_t>(places.begin(), places.end()).size(),
                places.size());
      for (int64_t k : places) {
        EXPECT_GE(k, 1);
        EXPECT_LT(k, tokens - 1 - 8);
        EXPECT_NE(k, p);
        EXPECT_NE(k, p + 1);
      }
    }
  }
}

TEST(SyntheticSequencesTest, AreTheSameEveryTime) {
  const auto one = MakeSyntheticSequences(5, 48, 1000);
  const auto other = MakeSyntheticSequences(5, 48, 1000);
  EXPECT_TRUE(one.tokens_NT.equal(other.tokens_NT));
  EXPECT_TRUE(one.others_NO.equal(other.others_NO));
}

class LastRowTest : public ::testing::TestWithParam<Shape> {};

TEST_P(LastRowTest, IsThatOfTheDefinition) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const at::Tensor row_BHT = LastRowOfAttention(batch);
  for (int64_t b = 0; b < x.B; ++b) {
    for (int64_t h = 0; h < x.H; ++h) {
      for (int64_t k = 0; k < x.T; ++k) {
        const double expected = x.Sees(x.T - 1, k) ? x.A(b, h, x.T - 1, k) : 0;
        EXPECT_NEAR(row_BHT[b][h][k].item<float>(), expected, 2e-6);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LastRowTest, ::testing::ValuesIn(Shapes()),
                         [](const auto& info) { return info.param.name; });

const MetricVector* Find(const std::vector<MetricVector>& vectors,
                         const std::string& metric) {
  for (const MetricVector& vector : vectors) {
    if (vector.metric == metric) return &vector;
  }
  return nullptr;
}

// Heads whose attention is even; a query's logits are the keys' first elements.
LayerBatch EvenHeads(int64_t sequences, int64_t tokens, int64_t heads) {
  Shape shape;
  shape.B = sequences;
  shape.T = tokens;
  shape.H = shape.G = heads;
  LayerBatch batch = RandomLayer(shape);
  batch.attention.scale = 1;
  batch.q_BHTE = at::zeros_like(batch.q_BHTE);
  batch.q_BHTE.select(3, 0).fill_(1);
  batch.k_BGTE = at::zeros_like(batch.k_BGTE);
  return batch;
}

// Head 0 looks for B, head 1 is even.
TEST(SelectivityTest, AHeadThatLooksForBIsAnInductionHead) {
  const int64_t N = 10, T = 64;
  const auto sequences = MakeSyntheticSequences(N, T, 1000);
  LayerBatch batch = EvenHeads(N, T, 2);
  for (int64_t n = 0; n < N; ++n) {
    const int64_t b = sequences.first_N[n].item<int64_t>() + 1;
    batch.k_BGTE[n][0][b][0] = static_cast<float>(std::log(100.0));
  }
  Selectivity selectivity(sequences);
  selectivity.Fold(Slice(batch, 0, 3));
  selectivity.Fold(Slice(batch, 3, N));
  const auto values = selectivity.Finish(4);
  ASSERT_EQ(values.size(), 19u);
  EXPECT_EQ(values[0].domain, "synthetic");
  EXPECT_EQ(values[0].layer, 4);
  const MetricVector& induction = *Find(values, "selectivity_induction");
  EXPECT_NEAR(induction.values[0], 100, 1e-3);
  EXPECT_NEAR(induction.values[1], 1, 1e-5);
  EXPECT_EQ(induction.count, N);
  EXPECT_NEAR(Find(values, "selectivity_mass_induction")->values[0],
              100. / (100 + T - 1), 1e-6);
  EXPECT_EQ(Find(values, "selectivity_induction_share")->values,
            std::vector<float>{.5f});
  EXPECT_EQ(Find(values, "selectivity_induction_share")->count, 2);
  EXPECT_EQ(Find(values, "selectivity_first_share")->values,
            std::vector<float>{0});
  for (const char* other :
       {"previous", "duplicate", "first", "self", "local", "null"}) {
    EXPECT_NEAR(Find(values, std::string("selectivity_") + other)->values[0], 1,
                1e-5)
        << other;
  }
}

// Where two targets are one position, the class is told once; a head below the
// bound has none.
TEST(SelectivityTest, AHeadHasOneClassAtMostAndNoneBelowTheBound) {
  const int64_t N = 6, T = 64;
  const auto sequences = MakeSyntheticSequences(N, T, 1000);
  LayerBatch batch = EvenHeads(N, T, 4);
  const auto looks = [&](int64_t head, int64_t k, double times) {
    batch.k_BGTE.select(1, head).select(1, k).select(1, 0).fill_(
        static_cast<float>(std::log(times)));
  };
  looks(0, 0, 40);
  looks(1, 0, 40);
  looks(1, T - 1, 60);  // more at itself than at the first
  looks(2, 0, 29);      // too little
  looks(3, T - 2, 500);
  Selectivity selectivity(sequences);
  selectivity.Fold(batch);
  const auto values = selectivity.Finish(0);
  const auto share = [&](const char* target) {
    const auto* found =
        Find(values, std::string("selectivity_") + target + "_share");
    return found == nullptr ? -1 : found->values[0];
  };
  EXPECT_EQ(share("first"), .25f);
  EXPECT_EQ(share("self"), .25f);
  EXPECT_EQ(share("previous"), .25f) << "62 times as the mean of eight too";
  EXPECT_EQ(share("local"), 0);
}

TEST(SelectivityTest, AWindowThatHidesAllOtherPositionsHasNoRatioButItsMass) {
  const auto sequences = MakeSyntheticSequences(5, 64, 1000);
  Shape shape;
  shape.T = 64;
  shape.window = 4;
  Selectivity selectivity(sequences);
  selectivity.Fold(RandomLayer(shape));
  const auto values = selectivity.Finish(0);
  EXPECT_EQ(Find(values, "selectivity_previous"), nullptr);
  EXPECT_EQ(Find(values, "selectivity_previous_share"), nullptr);
  EXPECT_GT(Find(values, "selectivity_mass_previous")->values[0], 0);
  EXPECT_EQ(Find(values, "selectivity_mass_first")->values[0], 0);
}

}  // namespace
}  // namespace sinkwatch::metrics::test

// The operator as its callers see it: whatever implementation the dispatcher
// chooses.
#include <sys/resource.h>

#include <cstdint>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats.h"
#include "worker/kernels/attention_stats_reference.h"
#include "worker/kernels/attention_stats_testing.h"

namespace sinkwatch::kernels {
namespace {

// A sequence's numbers are those it has alone, to the bit.
TEST(AttentionStatsOperatorTest, NumbersDoNotDependOnTheRestOfTheBatch) {
  const Input input = RandomInput({5, 4, 2, 83, 24}, 101);
  const AttentionStats whole = ComputeAttentionStats(input.q_BHTE, input.k_BGTE,
                                                     input.v_BGTE, Options(24));
  for (int64_t b = 0; b < 5; ++b) {
    const auto one = [&](const at::Tensor& x) { return x.narrow(0, b, 1); };
    const AttentionStats alone = ComputeAttentionStats(
        one(input.q_BHTE), one(input.k_BGTE), one(input.v_BGTE), Options(24));
    EXPECT_TRUE(alone.output.equal(one(whole.output)));
    EXPECT_TRUE(alone.entropy.equal(one(whole.entropy)));
    EXPECT_TRUE(alone.column_mass.equal(one(whole.column_mass)));
    EXPECT_TRUE(alone.log_sum_exp.equal(one(whole.log_sum_exp)));
  }
}

TEST(AttentionStatsOperatorTest, NumbersDoNotDependOnTheThreads) {
  const Input input = RandomInput({3, 4, 2, 70, 24}, 102);
  const auto compute = [&](int threads) {
    at::set_num_threads(threads);
    return ComputeAttentionStats(input.q_BHTE, input.k_BGTE, input.v_BGTE,
                                 Options(24));
  };
  const AttentionStats one = compute(1), three = compute(3);
  EXPECT_TRUE(one.output.equal(three.output));
  EXPECT_TRUE(one.column_mass.equal(three.column_mass));
  EXPECT_TRUE(one.entropy.equal(three.entropy));
}

TEST(AttentionStatsOperatorTest, MatchesReferenceThroughTheDispatcher) {
  const Input input = RandomInput({2, 8, 4, 60, 8}, 111);
  AttentionOptions options = Options(8, 50);
  for (const at::Tensor& sinks_H : {at::Tensor(), LearnedSinks(8, 112)}) {
    options.learned_sinks_H = sinks_H;
    ExpectSameStats(ComputeAttentionStats(input.q_BHTE, input.k_BGTE,
                                          input.v_BGTE, options),
                    ReferenceAttentionStats(input.q_BHTE, input.k_BGTE,
                                            input.v_BGTE, options));
  }
}

TEST(AttentionStatsOperatorTest, RefusesShapesThatDoNotFit) {
  const at::Tensor q = at::zeros({1, 4, 8, 16});
  const auto compute = [&](const at::Tensor& k, const at::Tensor& v) {
    return ComputeAttentionStats(q, k, v, Options(16));
  };
  const at::Tensor none;
  EXPECT_THROW(compute(at::zeros({1, 3, 8, 16}), none), c10::Error);
  EXPECT_THROW(compute(at::zeros({1, 4, 9, 16}), none), c10::Error);
  EXPECT_THROW(compute(at::zeros({1, 4, 8, 15}), none), c10::Error);
  EXPECT_THROW(compute(at::zeros({4, 8, 16}), none), c10::Error);
  EXPECT_THROW(compute(q.to(at::kBFloat16), none), c10::Error);
  EXPECT_THROW(compute(q, at::zeros({1, 4, 7, 16})), c10::Error);
  EXPECT_THROW(ComputeAttentionStats(q.to(at::kDouble), q.to(at::kDouble), none,
                                     Options(16)),
               c10::Error);
  EXPECT_THROW(ComputeAttentionStats(q, q, none, Options(16, -1)), c10::Error);
}

TEST(AttentionStatsOperatorTest, RefusesLearnedSinksThatDoNotFit) {
  const at::Tensor q = at::zeros({1, 4, 8, 16});
  const auto compute = [&](const at::Tensor& sinks_H, Normalisation kind) {
    AttentionOptions options = Options(16, 0, kind);
    options.learned_sinks_H = sinks_H;
    return ComputeAttentionStats(q, q, q, options);
  };
  const auto softmax = Normalisation::kSoftmax;
  EXPECT_THROW(compute(at::zeros({3}), softmax), c10::Error);
  EXPECT_THROW(compute(at::zeros({4, 1}), softmax), c10::Error);
  EXPECT_THROW(compute(at::zeros({4}, at::kLong), softmax), c10::Error);
  EXPECT_THROW(compute(at::zeros({4}), Normalisation::kRelu), c10::Error);
  EXPECT_NO_THROW(compute(at::zeros({4}, at::kBFloat16), softmax));
}

TEST(AttentionAtColumnsTest, MatchesTheColumnsOfTheStatistics) {
  const int64_t tokens = 47;
  const AttentionOptions kinds[] = {Options(8),
                                    Options(8, 0, Normalisation::kRelu),
                                    {0.3, 0, {}, LearnedSinks(4, 122)}};
  for (AttentionOptions options : kinds) {
    for (const int64_t window : {0, 11}) {
      const Input input = RandomInput({2, 4, 2, tokens, 8}, 121);
      options.window = window;
      const AttentionStats stats = ComputeAttentionStats(
          input.q_BHTE, input.k_BGTE, input.v_BGTE, options);
      std::vector<at::Tensor> all;
      for (int64_t c = 0; c < tokens; ++c) {
        all.push_back(at::full({2, 4, 1}, c, at::kLong));
      }
      all.push_back(at::full({2, 4, 1}, -1, at::kLong));
      const at::Tensor columns_BHC = at::cat(all, -1);
      const at::Tensor attention_BHTC = AttentionAtColumns(
          input.q_BHTE, input.k_BGTE, stats, columns_BHC, options);
      ExpectClose("column 0", attention_BHTC.select(-1, 0),
                  stats.sink_attention.to(at::kDouble), 2e-6, 0);
      ExpectClose("rows", attention_BHTC.sum(-1), stats.row_sum.to(at::kDouble),
                  4e-6, 0);
      ExpectClose(
          "columns",
          attention_BHTC.narrow(2, 1, tokens - 1).sum(2).narrow(-1, 0, tokens),
          stats.column_mass.to(at::kDouble), 2e-5, 0);
      EXPECT_EQ(attention_BHTC.select(-1, tokens).abs().max().item<float>(), 0);
    }
  }
}

int64_t PeakResidentBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * int64_t{1024};
}

// The pattern of 16384 tokens would be 1 GiB in float32.
TEST(AttentionStatsMemoryTest, NeverFormsAPatternOfTokensTimesTokens) {
  const Input input = RandomInput({1, 1, 1, 16384, 8}, 131);
  const int64_t before = PeakResidentBytes();
  const AttentionStats stats = ComputeAttentionStats(input.q_BHTE, input.k_BGTE,
                                                     input.v_BGTE, Options(8));
  EXPECT_TRUE(stats.output.isfinite().all().item<bool>());
  EXPECT_NEAR(stats.column_mass.sum().item<double>(), 16383, 0.05);
  EXPECT_LT(PeakResidentBytes() - before, int64_t{32} << 20);
}

}  // namespace
}  // namespace sinkwatch::kernels

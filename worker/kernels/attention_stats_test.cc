// Every implementation that runs on a CPU against the float64 reference, and
// against closed forms that need no reference.
#include "worker/kernels/attention_stats.h"

#include <cmath>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/ones_like.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats_cpu.h"
#include "worker/kernels/attention_stats_operator.h"
#include "worker/kernels/attention_stats_reference.h"
#include "worker/kernels/attention_stats_testing.h"

namespace sinkwatch::kernels {
namespace {

AttentionStats Unpack(OperatorResult result, bool has_value) {
  auto& [rows, columns, output] = result;
  return {rows[kLogSumExp],
          rows[kSinkLogit],
          rows[kSinkAttention],
          rows[kRestLogSumExp],
          rows[kRestMeanLogit],
          rows[kPreviousAttention],
          rows[kEntropy],
          rows[kMaxAbsLogit],
          rows[kRowSum],
          columns,
          has_value ? output : at::Tensor()};
}

// The row blocks, and the fused kernels of every instruction set that this
// machine has.
struct Implementation {
  friend void PrintTo(const Implementation& implementation, std::ostream* out) {
    *out << implementation.name;
  }

  std::string name;
  const FusedHead* kernels;  // null: the row blocks
};

std::vector<Implementation> Implementations() {
  std::vector<Implementation> all = {{"row_blocks", nullptr}};
  for (const FusedHead* kernels : SupportedFusedHeads()) {
    all.push_back({kernels->name, kernels});
  }
  return all;
}

class AttentionStatsTest : public testing::TestWithParam<Implementation> {
 protected:
  AttentionStats Compute(const Input& input,
                         const AttentionOptions& options) const {
    const auto optional = [](const at::Tensor& x) {
      return x.defined() ? std::make_optional(x) : std::nullopt;
    };
    const auto v = optional(input.v_BGTE);
    const auto sinks = optional(options.learned_sinks_H);
    const int64_t normalisation = static_cast<int64_t>(options.normalisation);
    const FusedHead* kernels = GetParam().kernels;
    return Unpack(kernels == nullptr
                      ? AttentionStatsByRowBlocks(input.q_BHTE, input.k_BGTE, v,
                                                  sinks, options.scale,
                                                  options.window, normalisation)
                      : AttentionStatsFused(
                            *kernels, input.q_BHTE, input.k_BGTE, v, sinks,
                            options.scale, options.window, normalisation),
                  v.has_value());
  }

  void ExpectMatchesReference(const Input& input,
                              const AttentionOptions& options) const {
    const AttentionStats expected = ReferenceAttentionStats(
        input.q_BHTE, input.k_BGTE, input.v_BGTE, options);
    ExpectSameStats(Compute(input, options), expected,
                    expected.max_abs_logit.max().item<double>());
  }

  // Of a sum of equal terms that is 1. The fused kernels sum in lanes; in the
  // row blocks it is LibTorch's product that sums, one after another on some
  // machines, and each of the terms rounds by up to 2^-24.
  double OutputTolerance(int64_t terms) const {
    return GetParam().kernels != nullptr ? 2e-6 : terms * 0x1p-24;
  }
};

INSTANTIATE_TEST_SUITE_P(All, AttentionStatsTest,
                         testing::ValuesIn(Implementations()),
                         [](const auto& info) { return info.param.name; });

TEST_P(AttentionStatsTest, MatchesReferenceOverManyShapes) {
  const Shape shapes[] = {{2, 3, 3, 64, 64},  {1, 8, 4, 37, 8},
                          {2, 6, 2, 129, 48}, {1, 4, 1, 96, 13},
                          {3, 2, 1, 17, 1},   {1, 2, 2, 250, 128},
                          {1, 1, 1, 16, 65},  {2, 12, 4, 33, 20}};
  uint64_t seed = 1;
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.tokens);
    ExpectMatchesReference(RandomInput(shape, seed++), Options(shape.width));
  }
}

TEST(SoftCappedStatsTest, MatchesReferenceWithAndWithoutWindow) {
  const Input input = RandomInput({2, 4, 2, 53, 24}, 31, /*spread=*/6);
  for (const int64_t window : {0, 7}) {
    SCOPED_TRACE(window);
    AttentionOptions options = Options(24, window);
    options.soft_cap = 2;  // logits reach 20
    const AttentionStats expected = ReferenceAttentionStats(
        input.q_BHTE, input.k_BGTE, input.v_BGTE, options);
    EXPECT_LE(expected.max_abs_logit.max().item<double>(), 2);
    ExpectSameStats(ComputeAttentionStats(input.q_BHTE, input.k_BGTE,
                                          input.v_BGTE, options),
                    expected, 2);
  }
}

TEST_P(AttentionStatsTest, MatchesReferenceUnderEveryShortWindow) {
  const Input input = RandomInput({1, 4, 2, 53, 24}, 21);
  for (const int64_t window : {1, 2, 3, 7, 15, 16, 17, 32, 33, 52, 53, 90}) {
    SCOPED_TRACE(window);
    ExpectMatchesReference(input, Options(24, window));
  }
}

TEST_P(AttentionStatsTest, MatchesReferenceWhereAWindowIsMuchShorter) {
  ExpectMatchesReference(RandomInput({1, 2, 1, 301, 16}, 22), Options(16, 40));
}

TEST_P(AttentionStatsTest, MatchesReferenceForReluAttention) {
  for (const int64_t window : {0, 9}) {
    SCOPED_TRACE(window);
    ExpectMatchesReference(RandomInput({2, 4, 2, 71, 12}, 31),
                           Options(12, window, Normalisation::kRelu));
  }
}

TEST_P(AttentionStatsTest, MatchesReferenceForEveryShortLength) {
  for (int64_t tokens = 1; tokens <= 35; ++tokens) {
    SCOPED_TRACE(tokens);
    ExpectMatchesReference(RandomInput({1, 2, 1, tokens, 8}, 40 + tokens),
                           Options(8));
  }
}

TEST_P(AttentionStatsTest, MatchesReferenceWithLearnedSinks) {
  const Shape shapes[] = {
      {2, 6, 2, 129, 48}, {1, 8, 4, 37, 8}, {1, 4, 4, 1, 8}, {2, 4, 1, 96, 13}};
  uint64_t seed = 300;
  for (const Shape& shape : shapes) {
    for (const int64_t window : {0, 1, 9, 40}) {
      SCOPED_TRACE(testing::Message() << shape.tokens << "/" << window);
      AttentionOptions options = Options(shape.width, window);
      options.learned_sinks_H = LearnedSinks(shape.heads, seed);
      ExpectMatchesReference(RandomInput(shape, seed++), options);
    }
  }
}

// A sink far below every logit gets nothing: the numbers are those without.
TEST_P(AttentionStatsTest, ALearnedSinkWithoutMassChangesNothing) {
  const Input input = RandomInput({2, 4, 2, 45, 16}, 321);
  AttentionOptions options = Options(16);
  const AttentionStats without = Compute(input, options);
  options.learned_sinks_H = at::full({4}, -100.0, at::kFloat);
  const AttentionStats with = Compute(input, options);
  EXPECT_TRUE(with.log_sum_exp.equal(without.log_sum_exp));
  EXPECT_TRUE(with.sink_attention.equal(without.sink_attention));
  EXPECT_TRUE(with.column_mass.equal(without.column_mass));
  EXPECT_TRUE(with.output.equal(without.output));
}

// Uniform logits of 0 and a sink of ln m: A[t,k] = 1/(t+1+m) for every visible
// k, so t+1 of t+1+m is kept. The reference knows nothing of this.
TEST_P(AttentionStatsTest, MatchesClosedFormsOfUniformAttentionBesideASink) {
  const int64_t tokens = 100;
  const double m = 7;
  const at::Tensor q = at::zeros({1, 1, tokens, 16});
  AttentionOptions options = Options(16);
  options.learned_sinks_H = at::full({1}, std::log(m), at::kFloat);
  const AttentionStats stats = Compute({q, q, at::ones_like(q)}, options);
  const auto at = [](const at::Tensor& x_BHT, int64_t t) {
    return x_BHT[0][0][t].item<double>();
  };
  for (int64_t t = 0; t < tokens; ++t) {
    const double all = t + 1 + m;
    EXPECT_NEAR(at(stats.log_sum_exp, t), std::log(all), 2e-6) << t;
    EXPECT_NEAR(at(stats.row_sum, t), (t + 1) / all, 2e-6) << t;
    EXPECT_NEAR(at(stats.sink_attention, t), 1 / all, 1e-6) << t;
    // t + 1 outcomes of 1 / all each, and the sink's of m / all.
    EXPECT_NEAR(at(stats.entropy, t), std::log(all) - m / all * std::log(m),
                4e-6)
        << t;
    EXPECT_NEAR(stats.output[0][0][t][3].item<double>(), (t + 1) / all, 2e-6);
    if (t > 0) {
      EXPECT_NEAR(at(stats.rest_log_sum_exp, t), std::log(t), 2e-6) << t;
    }
  }
}

TEST_P(AttentionStatsTest, ReadsBfloat16AndStridedInput) {
  Input input = RandomInput({2, 4, 2, 45, 16}, 51);
  const auto strided = [](const at::Tensor& x) {
    return x.transpose(1, 2).contiguous().transpose(1, 2);
  };
  ExpectMatchesReference(
      {strided(input.q_BHTE), strided(input.k_BGTE), strided(input.v_BGTE)},
      Options(16));
  ExpectMatchesReference(
      {input.q_BHTE.to(at::kBFloat16), strided(input.k_BGTE).to(at::kBFloat16),
       input.v_BGTE.to(at::kBFloat16)},
      Options(16));
}

TEST_P(AttentionStatsTest, GivesTheSameStatisticsWithoutValues) {
  Input input = RandomInput({1, 4, 2, 40, 16}, 61);
  input.v_BGTE = at::Tensor();
  ExpectMatchesReference(input, Options(16));
}

TEST_P(AttentionStatsTest, StandsLogitsOf80) {
  Input input = RandomInput({1, 2, 2, 90, 32}, 71);
  const double largest = ReferenceAttentionStats(input.q_BHTE, input.k_BGTE,
                                                 input.v_BGTE, Options(32))
                             .max_abs_logit.max()
                             .item<double>();
  input.q_BHTE = input.q_BHTE * (80 / largest);
  ExpectMatchesReference(input, Options(32));
}

// Column 0 far above the others: its mass rounds to 1 in float32 from a margin
// of 17 nats on, and the others' exponentials underflow from 88 on.
TEST_P(AttentionStatsTest, KeepsTheMarginWhereTheSinkTakesAllMass) {
  for (const double lead : {5.0, 12.0, 20.0, 60.0, 120.0, 160.0}) {
    SCOPED_TRACE(lead);
    const int64_t tokens = 75, width = 4;
    Input input = RandomInput({1, 1, 1, tokens, width}, 81);
    input.q_BHTE.select(-1, 0).fill_(1);
    input.k_BGTE.select(-1, 0).fill_(-lead / 2);
    input.k_BGTE.select(2, 0).fill_(0).select(-1, 0).fill_(lead / 2);
    const AttentionOptions options = {1.0, 0, Normalisation::kSoftmax};
    const AttentionStats actual = Compute(input, options);
    const AttentionStats expected = ReferenceAttentionStats(
        input.q_BHTE, input.k_BGTE, input.v_BGTE, options);
    ExpectClose("margin", (actual.sink_logit - actual.rest_log_sum_exp),
                expected.sink_logit - expected.rest_log_sum_exp, 1e-4, 0);
    ExpectMatchesReference(input, options);
  }
}

TEST_P(AttentionStatsTest, KeepsTheMarginWhereTheSinkTakesNoMass) {
  const int64_t tokens = 75, width = 4;
  Input input = RandomInput({1, 1, 1, tokens, width}, 82);
  input.q_BHTE.select(-1, 0).fill_(1);
  input.k_BGTE.select(2, 0).fill_(0).select(-1, 0).fill_(-150);
  ExpectMatchesReference(input, {1.0, 0, Normalisation::kSoftmax});
}

TEST_P(AttentionStatsTest, GivesZeroWhereEveryReluWeightIsZero) {
  Input input = RandomInput({1, 2, 1, 40, 8}, 91);
  input.q_BHTE = input.q_BHTE.abs();
  input.k_BGTE = -input.k_BGTE.abs();
  const AttentionOptions options = Options(8, 0, Normalisation::kRelu);
  ExpectMatchesReference(input, options);
  const AttentionStats stats = Compute(input, options);
  EXPECT_EQ(stats.row_sum.abs().max().item<float>(), 0);
  EXPECT_EQ(stats.output.abs().max().item<float>(), 0);
}

// Uniform logits: A[t,k] = 1/(t+1), so the mean of A[t,0] over t >= 1 is
// (H_T - 1)/(T - 1), the margin is -ln t, the entropy ln(t+1), and column k
// collects H_T - H_max(k,1).
TEST_P(AttentionStatsTest, MatchesClosedFormsOfUniformAttention) {
  const int64_t tokens = 200;
  const at::Tensor q = at::zeros({1, 1, tokens, 16});
  const Input input = {q, Random({1, 1, tokens, 16}, 95), at::ones_like(q)};
  const AttentionStats stats = Compute(input, Options(16));
  std::vector<double> harmonic = {0};
  for (int64_t n = 1; n <= tokens; ++n) {
    harmonic.push_back(harmonic.back() + 1.0 / n);
  }
  EXPECT_NEAR(
      stats.sink_attention.narrow(2, 1, tokens - 1).mean().item<double>(),
      (harmonic[tokens] - 1) / (tokens - 1), 1e-7);
  const at::Tensor margin = stats.sink_logit - stats.rest_log_sum_exp;
  for (int64_t t = 1; t < tokens; ++t) {
    EXPECT_NEAR(margin[0][0][t].item<double>(), -std::log(t), 2e-6) << t;
    EXPECT_NEAR(stats.entropy[0][0][t].item<double>(), std::log(t + 1), 4e-6);
    EXPECT_NEAR(stats.column_mass[0][0][t].item<double>(),
                harmonic[tokens] - harmonic[t], 1e-5)
        << t;
  }
  EXPECT_NEAR(stats.column_mass[0][0][0].item<double>(), harmonic[tokens] - 1,
              1e-5);
  EXPECT_TRUE(
      ((stats.output - 1).abs() <= OutputTolerance(tokens)).all().item<bool>());
}

TEST_P(AttentionStatsTest, OneDominatingKeyHasMarginOfItsLeadMinusLogT) {
  const int64_t tokens = 50;
  Input input = {at::ones({1, 1, tokens, 1}), at::zeros({1, 1, tokens, 1}),
                 at::Tensor()};
  input.k_BGTE.select(2, 0).fill_(30);
  const AttentionStats stats =
      Compute(input, {1.0, 0, Normalisation::kSoftmax});
  const at::Tensor margin = stats.sink_logit - stats.rest_log_sum_exp;
  for (int64_t t = 1; t < tokens; ++t) {
    EXPECT_NEAR(margin[0][0][t].item<double>(), 30 - std::log(t), 4e-6) << t;
    EXPECT_EQ(stats.sink_attention[0][0][t].item<float>(), 1);
  }
}

TEST_P(AttentionStatsTest, ANonFiniteInputShowsInItsOwnHeadOnly) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    for (const int64_t token : {0, 5, 20}) {
      Input input = RandomInput({1, 2, 2, 21, 8}, 97);
      input.k_BGTE[0][1][token].fill_(bad);
      const AttentionStats stats = Compute(input, Options(8));
      const at::Tensor last = stats.log_sum_exp.select(2, 20);
      EXPECT_FALSE(std::isfinite(last[0][1].item<float>())) << token;
      EXPECT_FALSE(stats.output[0][1].isfinite().all().item<bool>()) << token;
      EXPECT_FALSE(stats.entropy[0][1].isfinite().all().item<bool>()) << token;
      EXPECT_TRUE(stats.output[0][0].isfinite().all().item<bool>()) << token;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

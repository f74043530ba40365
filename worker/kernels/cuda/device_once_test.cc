// The one-pass attention statistics against the float64 reference, from its
// log-sum-exp and from those of the kernels that LibTorch attends with.
#include <cmath>
#include <tuple>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/_scaled_dot_product_cudnn_attention.h"
#include "ATen/ops/_scaled_dot_product_efficient_attention.h"
#include "ATen/ops/_scaled_dot_product_flash_attention.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats.h"
#include "worker/kernels/attention_stats_operator.h"
#include "worker/kernels/attention_stats_reference.h"
#include "worker/kernels/attention_stats_testing.h"
#include "worker/kernels/cuda/device_testing.h"

namespace sinkwatch::kernels {
namespace {

class CudaOnePassTest : public InBothDtypes {
 protected:
  Input InDtype(const Input& input) const {
    return {Rounded(input.q_BHTE), Rounded(input.k_BGTE),
            Rounded(input.v_BGTE)};
  }
};
INSTANTIATE_TEST_SUITE_P(Dtypes, CudaOnePassTest,
                         testing::Values(at::kFloat, at::kBFloat16), DtypeName);

// By the kernel for every card.
AttentionStats Portable(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                        const AttentionOptions& options) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("sinkwatch::attention_stats_once_portable", "")
          .typed<OnePassSignature>();
  const auto [rows, columns, query_norm, key_norm] =
      op.call(q_BHTE, k_BGTE, options.log_sum_exp_BHT, options.scale);
  AttentionStats stats;
  stats.log_sum_exp = rows[kLogSumExp];
  stats.sink_logit = rows[kSinkLogit];
  stats.sink_attention = rows[kSinkAttention];
  stats.rest_log_sum_exp = rows[kRestLogSumExp];
  stats.rest_mean_logit = rows[kRestMeanLogit];
  stats.previous_attention = rows[kPreviousAttention];
  stats.entropy = rows[kEntropy];
  stats.max_abs_logit = rows[kMaxAbsLogit];
  stats.row_sum = rows[kRowSum];
  stats.column_mass = columns;
  stats.query_norm = query_norm;
  stats.key_norm = key_norm;
  return stats;
}

AttentionStats OnePass(const Input& input, AttentionOptions options,
                       const at::Tensor& log_sum_exp_BHT,
                       bool portable = false) {
  options.log_sum_exp_BHT = ToGpu(log_sum_exp_BHT).to(at::kFloat);
  const at::Tensor q = ToGpu(input.q_BHTE), k = ToGpu(input.k_BGTE);
  AttentionStats s = portable
                         ? Portable(q, k, options)
                         : ComputeAttentionStats(q, k, at::Tensor(), options);
  for (at::Tensor* x :
       {&s.log_sum_exp, &s.sink_logit, &s.sink_attention, &s.rest_log_sum_exp,
        &s.rest_mean_logit, &s.previous_attention, &s.entropy, &s.max_abs_logit,
        &s.row_sum, &s.column_mass, &s.query_norm, &s.key_norm}) {
    *x = ToCpu(*x);
  }
  return s;
}

void ExpectMatchesReference(const Input& input,
                            const AttentionOptions& options) {
  const AttentionStats expected = ReferenceAttentionStats(
      input.q_BHTE, input.k_BGTE, at::Tensor(), options);
  for (const bool portable : {false, true}) {
    SCOPED_TRACE(portable ? "for every card" : "for this card");
    const AttentionStats actual =
        OnePass(input, options, expected.log_sum_exp, portable);
    ExpectSameStats(actual, expected,
                    expected.max_abs_logit.max().item<double>());
    ExpectClose("query_norm", actual.query_norm,
                input.q_BHTE.to(at::kDouble).square().sum(-1).sqrt(), 0, 2e-6);
    ExpectClose("key_norm", actual.key_norm,
                input.k_BGTE.to(at::kDouble).square().sum(-1).sqrt(), 0, 2e-6);
  }
}

TEST_P(CudaOnePassTest, MatchesReferenceOverWidthsAndLengths) {
  uint64_t seed = 1;
  for (const int64_t width : {13, 64, 80, 96, 128, 256}) {
    for (const int64_t tokens : {1, 2, 63, 64, 65, 127, 128, 129, 333}) {
      SCOPED_TRACE(testing::Message() << width << "/" << tokens);
      ExpectMatchesReference(
          InDtype(RandomInput({2, 4, 2, tokens, width}, seed++)),
          Options(width));
    }
  }
}

TEST_P(CudaOnePassTest, KeepsTheMarginWhereTheSinkTakesAllMass) {
  for (const double lead : {5.0, 20.0, 60.0, 100.0, 160.0}) {
    SCOPED_TRACE(lead);
    Input input = RandomInput({1, 2, 1, 175, 64}, 81);
    input.q_BHTE.select(-1, 0).fill_(1);
    input.k_BGTE.select(-1, 0).fill_(-lead / 2);
    input.k_BGTE.select(2, 0).fill_(0).select(-1, 0).fill_(lead / 2);
    ExpectMatchesReference(InDtype(input),
                           {1.0, 0, Normalisation::kSoftmax, {}});
  }
}

TEST_P(CudaOnePassTest, StandsLogitsOf80) {
  Input input = RandomInput({1, 2, 2, 190, 128}, 71);
  input.q_BHTE = input.q_BHTE * 18;
  ExpectMatchesReference(InDtype(input), Options(128));
}

// Rows are told from their own sums: they stand a log-sum-exp that is off.
TEST_P(CudaOnePassTest, RowsDoNotDependOnTheLogSumExp) {
  const Input input = InDtype(RandomInput({1, 2, 2, 300, 64}, 90));
  const AttentionStats exact = ReferenceAttentionStats(
      input.q_BHTE, input.k_BGTE, at::Tensor(), Options(64));
  const AttentionStats off =
      OnePass(input, Options(64), exact.log_sum_exp + 0.01);
  ExpectClose("log_sum_exp", off.log_sum_exp, exact.log_sum_exp, 4e-6, 0);
  ExpectClose("entropy", off.entropy, exact.entropy, 1e-5, 2e-6);
  ExpectClose("sink", off.sink_attention, exact.sink_attention, 1e-6, 1e-5);
}

TEST_P(CudaOnePassTest, ANonFiniteInputShowsInItsOwnHeadOnly) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    Input input = RandomInput({1, 2, 2, 151, 64}, 97);
    const AttentionStats fine = ReferenceAttentionStats(
        input.q_BHTE, input.k_BGTE, at::Tensor(), Options(64));
    at::Tensor log_sum_exp = fine.log_sum_exp.clone();
    log_sum_exp.select(1, 1).fill_(std::nan(""));
    input.k_BGTE[0][1][5].fill_(bad);
    const AttentionStats stats =
        OnePass(InDtype(input), Options(64), log_sum_exp);
    EXPECT_FALSE(stats.entropy[0][1].isfinite().all().item<bool>());
    EXPECT_FALSE(stats.column_mass[0][1].isfinite().all().item<bool>());
    EXPECT_TRUE(stats.entropy[0][0].isfinite().all().item<bool>());
    EXPECT_TRUE(stats.column_mass[0][0].isfinite().all().item<bool>());
  }
}

TEST_P(CudaOnePassTest, GivesTheSameBitsEachTime) {
  const Input input = InDtype(RandomInput({2, 4, 2, 500, 128}, 98));
  const at::Tensor log_sum_exp =
      ReferenceAttentionStats(input.q_BHTE, input.k_BGTE, at::Tensor(),
                              Options(128))
          .log_sum_exp;
  const AttentionStats first = OnePass(input, Options(128), log_sum_exp);
  for (int i = 0; i < 5; ++i) {
    const AttentionStats again = OnePass(input, Options(128), log_sum_exp);
    EXPECT_TRUE(again.column_mass.equal(first.column_mass));
    EXPECT_TRUE(again.entropy.equal(first.entropy));
  }
}

// Of the kernels that there are for the dtype: [B,H,T] each.
std::vector<at::Tensor> OfForward(const at::Tensor& q, const at::Tensor& k,
                                  const at::Tensor& v, double scale) {
  if (q.scalar_type() == at::kFloat) {
    return {std::get<1>(at::_scaled_dot_product_efficient_attention(
                            q, k, v, {}, true, 0.0, true, scale))
                .narrow(2, 0, q.size(2))};
  }
  return {std::get<1>(at::_scaled_dot_product_cudnn_attention(
                          q, k, v, {}, true, 0.0, true, false, scale))
              .reshape(q.sizes().slice(0, 3)),
          std::get<1>(at::_scaled_dot_product_flash_attention(
              q, k, v, 0.0, true, false, scale))};
}

// The log-sum-exp that the forward pass hands out is that of this contract:
// natural, of scaled logits, up to the diagonal.
TEST_P(CudaOnePassTest, TakesTheLogSumExpOfTheForwardPass) {
  for (const int64_t tokens : {64, 333, 1024}) {
    const Input input = InDtype(RandomInput({2, 4, 4, tokens, 128}, 99));
    const at::Tensor q = ToGpu(input.q_BHTE), k = ToGpu(input.k_BGTE),
                     v = ToGpu(input.v_BGTE);
    const AttentionOptions options = Options(128);
    const AttentionStats expected = ReferenceAttentionStats(
        input.q_BHTE, input.k_BGTE, at::Tensor(), options);
    for (const at::Tensor& log_sum_exp : OfForward(q, k, v, options.scale)) {
      ExpectClose("log_sum_exp", ToCpu(log_sum_exp), expected.log_sum_exp, 1e-5,
                  0);
      ExpectSameStats(OnePass(input, options, log_sum_exp), expected,
                      expected.max_abs_logit.max().item<double>());
    }
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

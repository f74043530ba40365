#ifndef SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_TESTING_H_
#define SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_TESTING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "ATen/CPUGeneratorImpl.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/randn.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats.h"

// Random inputs of the attention statistics, and how close two results of them
// must be.
namespace sinkwatch::kernels {

struct Shape {
  int64_t sequences, heads, kv_heads, tokens, width;
};

struct Input {
  at::Tensor q_BHTE, k_BGTE, v_BGTE;
};

inline at::Tensor Random(at::IntArrayRef sizes, uint64_t seed) {
  return at::randn(sizes, at::make_generator<at::CPUGeneratorImpl>(seed),
                   at::kFloat);
}

inline Input RandomInput(const Shape& s, uint64_t seed, double spread = 1.0) {
  return {Random({s.sequences, s.heads, s.tokens, s.width}, seed) * spread,
          Random({s.sequences, s.kv_heads, s.tokens, s.width}, seed + 1000),
          Random({s.sequences, s.kv_heads, s.tokens, s.width}, seed + 2000)};
}

inline AttentionOptions Options(
    int64_t width, int64_t window = 0,
    Normalisation normalisation = Normalisation::kSoftmax) {
  return {1 / std::sqrt(static_cast<double>(width)), window, normalisation, {}};
}

// |actual - expected| <= absolute + relative * |expected|, and equal where
// infinite; a NaN fails.
inline void ExpectClose(const std::string& name, const at::Tensor& actual,
                        const at::Tensor& expected, double absolute,
                        double relative) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << name;
  ASSERT_EQ(actual.scalar_type(), at::kFloat) << name;
  const at::Tensor a = actual.to(at::kDouble).contiguous();
  const at::Tensor e = expected.contiguous();
  const double* got = a.data_ptr<double>();
  const double* want = e.data_ptr<double>();
  for (int64_t i = 0; i < a.numel(); ++i) {
    const bool good =
        got[i] == want[i] ||
        std::fabs(got[i] - want[i]) <= absolute + relative * std::fabs(want[i]);
    ASSERT_TRUE(good) << name << "[" << i << "] of " << a.sizes() << ": "
                      << got[i] << ", expected " << want[i];
  }
}

// A dot product is a float32 sum of E <= 128 terms; rounding makes a random
// walk of 2^-24 sqrt(E), 7e-7 of the partial sums, which are about as large as
// the largest logit. Attention, its exponential, is off by as much relatively;
// what sums up over rows or columns averages it out. The constants 2e-6 and
// 1e-5 are float32's rounding of sums of up to some hundred terms.
inline void ExpectSameStats(const AttentionStats& actual,
                            const AttentionStats& expected,
                            double max_logit = 10) {
  const double logit = 8e-7 * std::max(max_logit, 4.0);
  ExpectClose("log_sum_exp", actual.log_sum_exp, expected.log_sum_exp, logit,
              0);
  ExpectClose("sink_logit", actual.sink_logit, expected.sink_logit, logit, 0);
  ExpectClose("sink_attention", actual.sink_attention, expected.sink_attention,
              1e-6, 2 * logit);
  ExpectClose("rest_log_sum_exp", actual.rest_log_sum_exp,
              expected.rest_log_sum_exp, logit, 0);
  ExpectClose("rest_mean_logit", actual.rest_mean_logit,
              expected.rest_mean_logit, logit, 0);
  ExpectClose("previous_attention", actual.previous_attention,
              expected.previous_attention, 1e-6, 2 * logit);
  ExpectClose("entropy", actual.entropy, expected.entropy, 3 * logit, 2e-6);
  ExpectClose("max_abs_logit", actual.max_abs_logit, expected.max_abs_logit,
              logit, 0);
  ExpectClose("row_sum", actual.row_sum, expected.row_sum, 2e-6, 2 * logit);
  ExpectClose("column_mass", actual.column_mass, expected.column_mass, 2e-6,
              1e-5 + 2 * logit);
  ASSERT_EQ(actual.output.defined(), expected.output.defined());
  if (expected.output.defined()) {
    ExpectClose("output", actual.output, expected.output, 4 * logit, 2 * logit);
  }
}

// Below, among and above the logits of the keys.
inline at::Tensor LearnedSinks(int64_t heads, uint64_t seed) {
  at::Tensor sinks_H = Random({heads}, seed) * 4;
  sinks_H[0] = -40;
  sinks_H[heads - 1] = 40;
  return sinks_H;
}

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ATTENTION_STATS_TESTING_H_

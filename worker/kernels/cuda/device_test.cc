// The CUDA kernels against the float64 reference: on a machine with a GPU,
//   device_test LIBSINKWATCH_CUDA.so
// Fails, and does not skip, where the GPU or the library is missing.
#include <dlfcn.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "ATen/Context.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/full.h"
#include "ATen/ops/stack.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats.h"
#include "worker/kernels/attention_stats_reference.h"
#include "worker/kernels/attention_stats_testing.h"
#include "worker/kernels/cuda/device_testing.h"

namespace sinkwatch::kernels {
namespace {

AttentionStats OnGpu(const Input& input, AttentionOptions options) {
  if (options.learned_sinks_H.defined()) {
    options.learned_sinks_H = ToGpu(options.learned_sinks_H);
  }
  AttentionStats s = ComputeAttentionStats(
      ToGpu(input.q_BHTE), ToGpu(input.k_BGTE), at::Tensor(), options);
  for (at::Tensor* x :
       {&s.log_sum_exp, &s.sink_logit, &s.sink_attention, &s.rest_log_sum_exp,
        &s.rest_mean_logit, &s.previous_attention, &s.entropy, &s.max_abs_logit,
        &s.row_sum, &s.column_mass}) {
    *x = ToCpu(*x);
  }
  return s;
}

void ExpectMatchesReference(const Input& input,
                            const AttentionOptions& options) {
  const AttentionStats expected = ReferenceAttentionStats(
      input.q_BHTE, input.k_BGTE, at::Tensor(), options);
  ExpectSameStats(OnGpu(input, options), expected,
                  expected.max_abs_logit.max().item<double>());
}

// bfloat16 inputs are exact in the reference, and their products in float32, so
// that both dtypes are held to the same.
Input InDtype(const Input& input, at::ScalarType dtype) {
  return {input.q_BHTE.to(dtype), input.k_BGTE.to(dtype), at::Tensor()};
}

class CudaAttentionStatsTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  Input Random(const Shape& shape, uint64_t seed) const {
    return InDtype(RandomInput(shape, seed), GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaAttentionStatsTest,
                         testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) {
                           return std::string(c10::toString(info.param));
                         });

TEST_P(CudaAttentionStatsTest, MatchesReferenceOverWidthsAndLengths) {
  uint64_t seed = 1;
  for (const int64_t width : {64, 80, 96, 128, 256}) {
    for (const int64_t tokens : {1, 2, 63, 64, 65, 127, 128, 129, 333}) {
      SCOPED_TRACE(testing::Message() << width << "/" << tokens);
      ExpectMatchesReference(Random({2, 4, 2, tokens, width}, seed++),
                             Options(width));
    }
  }
}

TEST_P(CudaAttentionStatsTest, PadsOtherWidths) {
  for (const int64_t width : {1, 4, 13, 48, 100, 160}) {
    SCOPED_TRACE(width);
    ExpectMatchesReference(Random({1, 6, 3, 150, width}, 500 + width),
                           Options(width));
  }
}

TEST_P(CudaAttentionStatsTest, MatchesReferenceUnderWindows) {
  for (const int64_t window : {1, 2, 7, 63, 64, 65, 127, 128, 129, 200, 449}) {
    SCOPED_TRACE(window);
    ExpectMatchesReference(Random({1, 4, 2, 450, 64}, 600 + window),
                           Options(64, window));
  }
}

TEST_P(CudaAttentionStatsTest, MatchesReferenceWithLearnedSinks) {
  for (const int64_t window : {0, 1, 40, 128}) {
    SCOPED_TRACE(window);
    AttentionOptions options = Options(64, window);
    options.learned_sinks_H = LearnedSinks(8, 700 + window);
    ExpectMatchesReference(Random({2, 8, 2, 259, 64}, 710 + window), options);
  }
}

TEST_P(CudaAttentionStatsTest, ReadsHeadsThatLieBetweenEachOther) {
  const Input input = Random({2, 4, 2, 130, 64}, 800);
  const auto strided = [](const at::Tensor& x) {
    return x.transpose(1, 2).contiguous().transpose(1, 2);
  };
  ExpectMatchesReference(
      {strided(input.q_BHTE), strided(input.k_BGTE), at::Tensor()},
      Options(64));
}

TEST_P(CudaAttentionStatsTest, KeepsTheMarginWhereTheSinkTakesAllMass) {
  for (const double lead : {5.0, 20.0, 60.0, 160.0}) {
    SCOPED_TRACE(lead);
    Input input = RandomInput({1, 1, 1, 175, 64}, 81);
    input.q_BHTE.select(-1, 0).fill_(1);
    input.k_BGTE.select(-1, 0).fill_(-lead / 2);
    input.k_BGTE.select(2, 0).fill_(0).select(-1, 0).fill_(lead / 2);
    ExpectMatchesReference(InDtype(input, GetParam()),
                           {1.0, 0, Normalisation::kSoftmax, {}});
  }
}

TEST_P(CudaAttentionStatsTest, StandsLogitsOf80) {
  Input input = RandomInput({1, 2, 2, 190, 128}, 71);
  input.q_BHTE = input.q_BHTE * 18;
  ExpectMatchesReference(InDtype(input, GetParam()), Options(128));
}

TEST_P(CudaAttentionStatsTest, ANonFiniteInputShowsInItsOwnHeadOnly) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    for (const int64_t token : {0, 5, 140}) {
      Input input = RandomInput({1, 2, 2, 151, 64}, 97);
      input.k_BGTE[0][1][token].fill_(bad);
      const AttentionStats stats =
          OnGpu(InDtype(input, GetParam()), Options(64));
      const at::Tensor last = stats.log_sum_exp.select(2, 150);
      EXPECT_FALSE(std::isfinite(last[0][1].item<float>())) << token;
      EXPECT_FALSE(stats.entropy[0][1].isfinite().all().item<bool>()) << token;
      EXPECT_TRUE(stats.entropy[0][0].isfinite().all().item<bool>()) << token;
    }
  }
}

TEST_P(CudaAttentionStatsTest, GivesTheSameBitsEachTime) {
  const Input input = Random({2, 4, 2, 500, 128}, 98);
  const AttentionStats first = OnGpu(input, Options(128));
  for (int i = 0; i < 5; ++i) {
    const AttentionStats again = OnGpu(input, Options(128));
    EXPECT_TRUE(again.column_mass.equal(first.column_mass));
    EXPECT_TRUE(again.entropy.equal(first.entropy));
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr ||
      argc < 2 || dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    std::fprintf(stderr, "no CUDA: %s\n", argc < 2 ? "no library" : dlerror());
    return 1;
  }
  if (!at::globalContext().hasCUDA()) {
    std::fprintf(stderr, "no card is visible\n");
    return 1;
  }
  return RUN_ALL_TESTS();
}

// Kernels over rows of a stream, over logits and over the elements of a block,
// against the CPU.
#include <cmath>
#include <optional>

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/cos.h"
#include "ATen/ops/full.h"
#include "ATen/ops/gather.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/pow.h"
#include "ATen/ops/sigmoid.h"
#include "ATen/ops/sin.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "worker/kernels/attention_stats_testing.h"
#include "worker/kernels/cuda/device_testing.h"
#include "worker/kernels/row_loss.h"
#include "worker/kernels/row_median.h"
#include "worker/kernels/row_moments.h"

namespace sinkwatch::kernels {
namespace {

// A float32 sum of n terms of one sign: 2^-24 sqrt(n) of it, n up to 5,000.
constexpr double kSum = 5e-6;

class CudaRowsTest : public InBothDtypes {};
INSTANTIATE_TEST_SUITE_P(Dtypes, CudaRowsTest,
                         testing::Values(at::kFloat, at::kBFloat16), DtypeName);

TEST_P(CudaRowsTest, MediansAreExact) {
  uint64_t seed = 1;
  for (const int64_t n : {1, 2, 3, 64, 255, 2048, 8191, 8192, 8193, 100003}) {
    for (const int64_t rows : {1, 5}) {
      for (const bool absolute : {false, true}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << n << absolute);
        const at::Tensor x = Rounded(Random({rows, n}, seed++));
        EXPECT_TRUE(
            ToCpu(RowMedian(ToGpu(x), absolute)).equal(RowMedian(x, absolute)));
      }
    }
  }
}

// Where most values crowd in one bin, and where the two in the middle differ.
TEST_P(CudaRowsTest, MediansOfCrowdsAndOfFarNeighbours) {
  for (const int64_t n : {4096, 40960}) {
    at::Tensor crowd = at::full({3, n}, 0.5);
    crowd[0].slice(0, 0, n / 2 - 1).fill_(-7);
    crowd[1].slice(0, 0, n / 2).fill_(-7);
    crowd[2].slice(0, 0, n / 2 + 1).fill_(1e30);
    for (const bool absolute : {false, true}) {
      const at::Tensor x = Rounded(crowd);
      EXPECT_TRUE(
          ToCpu(RowMedian(ToGpu(x), absolute)).equal(RowMedian(x, absolute)));
    }
  }
}

TEST_P(CudaRowsTest, MoreRowsThanAGridHasPlacesFor) {
  const at::Tensor x = Rounded(Random({70001, 3}, 5));
  EXPECT_TRUE(ToCpu(RowMedian(ToGpu(x))).equal(RowMedian(x)));
}

// Long rows take scratch memory, which is meant for so many at a time.
TEST_P(CudaRowsTest, MoreLongRowsThanScratchMemoryIsMeantFor) {
  const at::Tensor x = Rounded(Random({600, 8200}, 6));
  for (const bool absolute : {false, true}) {
    EXPECT_TRUE(
        ToCpu(RowMedian(ToGpu(x), absolute)).equal(RowMedian(x, absolute)));
  }
}

TEST_P(CudaRowsTest, SumsAndKurtosisOfRows) {
  uint64_t seed = 20;
  for (const int64_t width : {1, 7, 64, 100, 2048, 5120}) {
    for (const int64_t tokens : {1, 3, 65}) {
      SCOPED_TRACE(testing::Message() << tokens << " x " << width);
      const at::Tensor x =
          Rounded(Random({2, tokens, width}, seed++) * 3 + 0.25);
      const at::Tensor exact = x.to(at::kDouble);
      const RowMoments moments = RowSums(ToGpu(x));
      const at::Tensor sums = ToCpu(moments.sums);
      ExpectClose("length", sums[kRowLength], exact.square().sum(-1).sqrt(), 0,
                  kSum);
      ExpectClose("largest", sums[kRowLargest], exact.abs().amax(-1), 0, 0);
      ExpectClose("total", sums[kRowTotal], exact.sum(-1),
                  kSum * 3 * static_cast<double>(width), 0);
      const at::Tensor away = exact - exact.mean({1, 2}, true);
      const at::Tensor second = away.square().mean({1, 2});
      ExpectClose(
          "kurtosis",
          ToCpu(SequenceKurtosis(ToGpu(x), moments)).squeeze(1).to(at::kFloat),
          away.pow(4).mean({1, 2}) / (second * second + 1e-6), 1e-6, kSum);
    }
  }
}

// A mean of thirty standard deviations costs no digit.
TEST_P(CudaRowsTest, KurtosisFarFromZero) {
  const at::Tensor x = Rounded(Random({2, 33, 512}, 30) + 30);
  const at::Tensor exact = x.to(at::kDouble);
  const at::Tensor away = exact - exact.mean({1, 2}, true);
  const at::Tensor second = away.square().mean({1, 2});
  ExpectClose("kurtosis",
              ToCpu(SequenceKurtosis(ToGpu(x), RowSums(ToGpu(x))))
                  .squeeze(1)
                  .to(at::kFloat),
              away.pow(4).mean({1, 2}) / (second * second + 1e-6), 0, kSum);
}

TEST_P(CudaRowsTest, ANaNShowsInAllSumsOfItsRowOnly) {
  at::Tensor x = Random({2, 3, 129}, 40);
  x[1][2][77] = std::nan("");
  const at::Tensor sums = ToCpu(RowSums(ToGpu(Rounded(x))).sums);
  EXPECT_EQ(sums.isnan().sum().item<int64_t>(), 3);
  EXPECT_TRUE(sums.select(1, 1).select(1, 2).isnan().all().item<bool>());
}

// Logits in slices, of which one is odd; targets in all of them.
TEST_P(CudaRowsTest, LossOfLogitsThatComeInSlices) {
  const int64_t rows = 37, columns = 1501;
  const at::Tensor logits = Rounded(Random({rows, columns}, 50) * 8);
  at::Tensor target = at::arange(rows, at::kLong) * 41 % columns;
  at::Tensor lse = ToGpu(at::full({rows}, -HUGE_VAL, at::kFloat));
  at::Tensor at_target = ToGpu(at::zeros({rows}));
  for (int64_t first = 0; first < columns;) {
    const int64_t end = std::min<int64_t>(columns, first + 512);
    AddRowLoss(ToGpu(logits.slice(1, first, end).contiguous()), ToGpu(target),
               first, lse, at_target);
    first = end;
  }
  const at::Tensor exact = logits.to(at::kDouble);
  ExpectClose("log_sum_exp", ToCpu(lse), exact.logsumexp(-1), 2e-6, 1e-6);
  ExpectClose("target", ToCpu(at_target),
              exact.gather(1, target.unsqueeze(1)).squeeze(1), 0, 0);
}

TEST_P(CudaRowsTest, LossOfADominatingLogitAndOfNaN) {
  at::Tensor logits = at::zeros({3, 700});
  logits[0][5] = 300;
  logits[1][5] = -HUGE_VAL;
  logits[2][5] = std::nan("");
  at::Tensor lse = ToGpu(at::full({3}, -HUGE_VAL, at::kFloat));
  at::Tensor at_target = ToGpu(at::zeros({3}));
  AddRowLoss(ToGpu(Rounded(logits)), ToGpu(at::full({3}, 5, at::kLong)), 0, lse,
             at_target);
  EXPECT_FLOAT_EQ(lse[0].item<float>(), 300);
  EXPECT_NEAR(lse[1].item<float>(), std::log(699.0), 1e-5);
  EXPECT_TRUE(std::isnan(lse[2].item<float>()));
}

// An operator that only the library of kernels has.
template <typename Signature>
c10::TypedOperatorHandle<Signature> Operator(const char* name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(name, "")
      .typed<Signature>();
}

// Angles are float32 products as in every implementation: the cosine of t
// times a frequency up to 1 is off by 2^-24 t. bfloat16 is rounded once.
// `bits`: how far x itself may be off, relative to its largest element.
constexpr double kOneBit = 4e-3;  // of bfloat16
void ExpectTurned(const at::Tensor& actual, const at::Tensor& x_BHTE,
                  const at::Tensor& inverse_F, double factor, double bits = 0) {
  const int64_t pairs = inverse_F.size(0), tokens = x_BHTE.size(2);
  const at::Tensor angle =
      (at::arange(tokens, at::kFloat).unsqueeze(1) * inverse_F.unsqueeze(0))
          .to(at::kDouble);
  const at::Tensor cosine = angle.cos() * factor, sine = angle.sin() * factor;
  const at::Tensor wide = x_BHTE.to(at::kDouble);
  const at::Tensor first = wide.slice(-1, 0, pairs),
                   second = wide.slice(-1, pairs, 2 * pairs);
  const at::Tensor expected =
      at::cat({first * cosine - second * sine, second * cosine + first * sine,
               wide.slice(-1, 2 * pairs)},
              -1);
  const bool rounded = x_BHTE.scalar_type() == at::kBFloat16;
  const double off =
      (rounded ? bits : 1e-6) * factor * wide.abs().max().item<double>();
  ExpectClose("turned", ToCpu(actual).to(at::kFloat), expected,
              4e-6 + (bits > 0 ? off : 0), rounded ? 4e-3 : 1e-6);
}

TEST_P(CudaRowsTest, RotaryTurnsPairsAndLeavesTheRest) {
  const auto rotary =
      Operator<at::Tensor(const at::Tensor&, const at::Tensor&, double)>(
          "sinkwatch::rotary");
  for (const int64_t width : {8, 64, 80, 128}) {
    for (const int64_t pairs : {width / 2, width / 4}) {
      for (const int64_t tokens : {1, 7, 301}) {
        SCOPED_TRACE(testing::Message()
                     << width << "/" << pairs << "/" << tokens);
        const at::Tensor x =
            Rounded(Random({2, tokens, 3, width}, 60 + tokens)).transpose(1, 2);
        const at::Tensor inverse =
            at::pow(10000.0,
                    at::arange(pairs, at::kFloat) / -static_cast<double>(pairs))
                .to(at::kFloat);
        for (const double factor : {1.0, 1.25}) {
          ExpectTurned(rotary.call(ToGpu(x), ToGpu(inverse), factor), x,
                       inverse, factor);
          ExpectTurned(
              rotary.call(ToGpu(x.contiguous()), ToGpu(inverse), factor), x,
              inverse, factor);
        }
      }
    }
  }
}

// x / rms(x), as float64 has it.
at::Tensor ExactNorm(const at::Tensor& x, double epsilon) {
  const at::Tensor wide = x.to(at::kDouble);
  return wide / (wide.square().mean(-1, /*keepdim=*/true) + epsilon).sqrt();
}

constexpr double kEpsilon = 1e-5;

// Widths of every kernel: a warp a row, a block a row, any. Twice rounded to
// bfloat16, and a sum may be small beside what is summed.
TEST_P(CudaRowsTest, NormsWithWeightsAndResiduals) {
  const auto rms_norm =
      Operator<at::Tensor(const at::Tensor&, const std::optional<at::Tensor>&,
                          double, bool, const std::optional<at::Tensor>&)>(
          "sinkwatch::rms_norm");
  const bool rounded = GetParam() == at::kBFloat16;
  uint64_t seed = 500;
  for (const int64_t width : {1, 7, 64, 128, 1024, 2048, 4104, 8192, 9000}) {
    SCOPED_TRACE(width);
    const at::Tensor wider = Rounded(Random({2, 5, 3 * width}, seed++));
    const at::Tensor x = wider.slice(-1, width, 2 * width);
    const at::Tensor weight = Rounded(Random({width}, seed++) + 1);
    const at::Tensor residual = Rounded(Random({2, 5, width}, seed++));
    const at::Tensor n = ExactNorm(x, kEpsilon);
    const at::Tensor on_gpu = ToGpu(wider).slice(-1, width, 2 * width);
    const auto expect = [&](const char* what, const at::Tensor& actual,
                            const at::Tensor& expected, double absolute) {
      ExpectClose(what, ToCpu(actual).to(at::kFloat), expected,
                  rounded ? absolute : 4e-6, rounded ? 1.2e-2 : 4e-6);
    };
    expect("alone", rms_norm.call(on_gpu, {}, kEpsilon, false, {}), n, 1e-3);
    for (const bool wide : {false, true}) {
      const at::Tensor weighted =
          (wide ? n : n.to(GetParam()).to(at::kDouble)) * weight;
      expect("weighted",
             rms_norm.call(on_gpu, ToGpu(weight), kEpsilon, wide, {}), weighted,
             1e-3);
      expect(
          "added",
          rms_norm.call(on_gpu, ToGpu(weight), kEpsilon, wide, ToGpu(residual)),
          weighted + residual, 5e-2);
    }
  }
  const at::Tensor heads =
      Rounded(Random({2, 4, 5, 64}, seed++)).transpose(1, 2);
  ExpectClose("heads",
              ToCpu(rms_norm.call(ToGpu(heads), {}, kEpsilon, false, {}))
                  .to(at::kFloat),
              ExactNorm(heads, kEpsilon), 4e-6, rounded ? 4e-3 : 4e-6);
}

// Of all heads together, a slice of a wider product too; widths and rotations
// that there is one kernel for, and others.
TEST_P(CudaRowsTest, NormedHeadsAreTurned) {
  const auto norm_rotary =
      Operator<at::Tensor(const at::Tensor&, const at::Tensor&, double, int64_t,
                          const at::Tensor&, double)>("sinkwatch::norm_rotary");
  constexpr int64_t kHeads = 3;
  for (const int64_t width : {6, 64, 80, 128}) {
    for (const int64_t pairs : {width / 2, width / 2 - 1}) {
      for (const int64_t tokens : {1, 6, 33}) {
        SCOPED_TRACE(testing::Message()
                     << width << "/" << pairs << "/" << tokens);
        const int64_t all = kHeads * width;
        const at::Tensor wider =
            Rounded(Random({2, tokens, 2 * all}, 600 + tokens));
        const at::Tensor weight = Rounded(Random({all}, 601) + 1);
        const at::Tensor inverse =
            at::pow(10000.0,
                    at::arange(pairs, at::kFloat) / -static_cast<double>(pairs))
                .to(at::kFloat);
        const at::Tensor normed =
            (ExactNorm(wider.slice(-1, all), kEpsilon) * weight).to(GetParam());
        ExpectTurned(
            norm_rotary.call(ToGpu(wider).slice(-1, all), ToGpu(weight),
                             kEpsilon, kHeads, ToGpu(inverse), 1.25),
            normed.unflatten(-1, {kHeads, width}).transpose(1, 2), inverse,
            1.25, kOneBit);
      }
    }
  }
}

TEST_P(CudaRowsTest, SiluTimesAnotherOfEveryLength) {
  const auto silu_times =
      Operator<at::Tensor(const at::Tensor&, const at::Tensor&)>(
          "sinkwatch::silu_times_");
  for (const int64_t n : {1, 7, 8, 1000, 4104}) {
    SCOPED_TRACE(n);
    at::Tensor gate = Random({n}, 80) * 6;
    gate[0] = 80;
    if (n > 1) gate[1] = -90;  // its exponential is beyond float32
    gate = Rounded(gate);
    const at::Tensor up = Rounded(Random({n}, 81));
    const at::Tensor wide = gate.to(at::kDouble);
    const at::Tensor silu = (wide * wide.sigmoid()).to(at::kFloat);
    const at::Tensor expected =
        silu.to(GetParam()).to(at::kDouble) * up.to(at::kDouble);
    at::Tensor actual = ToGpu(gate);
    silu_times.call(actual, ToGpu(up));
    // bfloat16: rounded twice, once where two sums may fall to other sides.
    const bool rounded = GetParam() == at::kBFloat16;
    ExpectClose("silu", ToCpu(actual).to(at::kFloat), expected, 1e-30,
                rounded ? 1.2e-2 : 2e-6);
  }
}

// Both are slices of one product: what lies between stays as it is.
TEST_P(CudaRowsTest, SiluTimesAnotherOfTheSameRows) {
  const auto silu_times =
      Operator<at::Tensor(const at::Tensor&, const at::Tensor&)>(
          "sinkwatch::silu_times_");
  for (const int64_t width : {5, 8, 2056}) {
    SCOPED_TRACE(width);
    const at::Tensor both = Rounded(Random({2, 3, 2 * width}, 82));
    const at::Tensor on_gpu = ToGpu(both);
    silu_times.call(on_gpu.slice(-1, 0, width), on_gpu.slice(-1, width));
    const at::Tensor gate = both.slice(-1, 0, width).to(at::kDouble),
                     up = both.slice(-1, width);
    const at::Tensor actual = ToCpu(on_gpu);
    const bool rounded = GetParam() == at::kBFloat16;
    ExpectClose("silu", actual.slice(-1, 0, width).to(at::kFloat),
                gate * gate.sigmoid() * up.to(at::kDouble), 1e-30,
                rounded ? 1.2e-2 : 2e-6);
    EXPECT_TRUE(actual.slice(-1, width).equal(up));
  }
}

}  // namespace
}  // namespace sinkwatch::kernels

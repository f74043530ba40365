// The operator against what LibTorch offers without it: eager attention
// (matmul, mask, softmax, matmul), bare and with the same statistics taken from
// the pattern. Arguments: tokens, sequences, threads. 12 heads of width 64.
#include <cmath>
#include <cstdlib>
#include <limits>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/ops/abs.h"
#include "ATen/ops/amax.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cumsum.h"
#include "ATen/ops/logsumexp.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/randn.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/zeros_like.h"
#include "benchmark/benchmark.h"
#include "c10/core/InferenceMode.h"
#include "worker/kernels/attention_stats.h"

namespace sinkwatch::kernels {
namespace {

constexpr int64_t kHeads = 12;
constexpr int64_t kWidth = 64;
const double kScale = 1 / std::sqrt(static_cast<double>(kWidth));

struct Input {
  explicit Input(const benchmark::State& state)
      : tokens(state.range(0)),
        q(Random(state)),
        k(Random(state)),
        v(Random(state)),
        hidden_TT(at::ones({tokens, tokens}, at::kBool).triu(1)) {
    at::set_num_threads(static_cast<int>(state.range(2)));
  }
  static at::Tensor Random(const benchmark::State& state) {
    return at::randn({state.range(1), kHeads, state.range(0), kWidth});
  }

  int64_t tokens;
  at::Tensor q, k, v, hidden_TT;
};

struct Eager {
  at::Tensor logit_BHTT, attention_BHTT, output_BHTE;
};

Eager EagerAttention(const Input& input) {
  Eager eager;
  eager.logit_BHTT = at::matmul(input.q, input.k.transpose(-2, -1));
  eager.logit_BHTT.mul_(kScale).masked_fill_(
      input.hidden_TT, -std::numeric_limits<double>::infinity());
  eager.attention_BHTT = at::softmax(eager.logit_BHTT, -1);
  eager.output_BHTE = at::matmul(eager.attention_BHTT, input.v);
  return eager;
}

AttentionStats EagerStats(const Input& input) {
  const Eager eager = EagerAttention(input);
  const at::Tensor& s = eager.logit_BHTT;
  const at::Tensor& a = eager.attention_BHTT;
  const int64_t rest = input.tokens - 1;
  AttentionStats stats;
  stats.log_sum_exp = at::logsumexp(s, {-1});
  stats.sink_logit = s.select(-1, 0);
  stats.sink_attention = a.select(-1, 0);
  stats.rest_log_sum_exp = at::logsumexp(s.narrow(-1, 1, rest), {-1});
  const at::Tensor shown = s.masked_fill(input.hidden_TT, 0);
  const at::Tensor count_T = at::arange(input.tokens).sub_(1).clamp_min_(1);
  stats.rest_mean_logit =
      (shown.narrow(-1, 1, rest).sum(-1) - shown.diagonal(0, -2, -1)) / count_T;
  stats.previous_attention = a.diagonal(-1, -2, -1);
  stats.entropy = stats.log_sum_exp - (a * shown).sum(-1);
  stats.max_abs_logit = at::amax(at::abs(shown), -1);
  stats.row_sum = a.sum(-1);
  stats.column_mass = a.narrow(-2, 1, rest).sum(-2);
  stats.output = eager.output_BHTE;
  return stats;
}

AttentionStats OperatorStats(const Input& input) {
  return ComputeAttentionStats(input.q, input.k, input.v, {kScale});
}

// The same numbers, or the times mean nothing.
void CheckAgainstEager(const Input& input, benchmark::State& state) {
  const AttentionStats ours = OperatorStats(input);
  const AttentionStats peer = EagerStats(input);
  const auto close = [](const at::Tensor& a, const at::Tensor& b) {
    return ((a - b).abs() <= 1e-4 + 1e-4 * b.abs()).all().item<bool>();
  };
  if (!close(ours.output, peer.output) || !close(ours.entropy, peer.entropy) ||
      !close(ours.column_mass, peer.column_mass) ||
      !close(ours.log_sum_exp, peer.log_sum_exp)) {
    state.SkipWithError("the operator and eager attention differ");
  }
}

void BM_Operator(benchmark::State& state) {
  const c10::InferenceMode guard;
  const Input input(state);
  CheckAgainstEager(input, state);
  for (auto _ : state) benchmark::DoNotOptimize(OperatorStats(input));
}

void BM_EagerWithStatistics(benchmark::State& state) {
  const c10::InferenceMode guard;
  const Input input(state);
  for (auto _ : state) benchmark::DoNotOptimize(EagerStats(input));
}

void BM_EagerBare(benchmark::State& state) {
  const c10::InferenceMode guard;
  const Input input(state);
  for (auto _ : state) benchmark::DoNotOptimize(EagerAttention(input));
}

void Shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "B", "threads"})->UseRealTime();
  b->Unit(benchmark::kMillisecond)->MinTime(0.15);
  for (const int64_t threads : {1, 2}) {
    b->Args({64, 32, threads})->Args({512, 2, threads});
    b->Args({1024, 1, threads});
  }
}

BENCHMARK(BM_Operator)->Apply(Shapes);
BENCHMARK(BM_EagerWithStatistics)->Apply(Shapes);
BENCHMARK(BM_EagerBare)->Apply(Shapes);

}  // namespace
}  // namespace sinkwatch::kernels

BENCHMARK_MAIN();

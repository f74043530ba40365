// Cost of all metrics of one layer and batch of 8,192 tokens or less.
#include <cmath>

#include "ATen/Parallel.h"
#include "ATen/ops/kthvalue.h"
#include "ATen/ops/randn.h"
#include "benchmark/benchmark.h"
#include "worker/kernels/row_median.h"
#include "worker/metrics/measurement_builder.h"

namespace sinkwatch::metrics {
namespace {

LayerBatch Random(int64_t B, int64_t T, int64_t H, int64_t E) {
  LayerBatch batch;
  const int64_t D = H * E;
  for (at::Tensor* x :
       {&batch.q_BHTE, &batch.k_BGTE, &batch.v_BGTE, &batch.z_BHTE}) {
    *x = at::randn({B, H, T, E});
  }
  batch.resid_pre_BTD = at::randn({B, T, D});
  batch.resid_post_BTD = at::randn({B, T, D});
  batch.output_projection_DHE = at::randn({D, D});
  batch.attention.scale = 1 / std::sqrt(static_cast<double>(E));
  return batch;
}

void OneLayer(benchmark::State& state, const std::vector<std::string>& names) {
  at::set_num_threads(1);
  const LayerBatch batch =
      Random(state.range(0), state.range(1), state.range(2), state.range(3));
  for (auto _ : state) {
    MeasurementOptions options;
    options.domains = {{"d", {}}};
    options.metrics = names;
    auto measurement = MeasurementBuilder::Create(options);
    (*measurement)->FoldLayer(batch);
    benchmark::DoNotOptimize((*measurement)->FinishLayer(0));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(1));
}

void AllMetrics(benchmark::State& state) { OneLayer(state, {}); }
// One metric that is nothing but the attention statistics.
void AttentionOnly(benchmark::State& state) {
  OneLayer(state, {"attention_entropy"});
}

void Sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"B", "T", "H", "E"});
  b->Args({170, 48, 1, 48});  // Bigram-Backcopy
  b->Args({85, 96, 8, 8});    // stories260K
  b->Args({8, 512, 12, 64});  // a small language model
}
BENCHMARK(AllMetrics)->Apply(Sizes)->Unit(benchmark::kMillisecond);
BENCHMARK(AttentionOnly)->Apply(Sizes)->Unit(benchmark::kMillisecond);

// The median of |x| of 170 sequences of Bigram-Backcopy, by us and by ATen.
void Median(benchmark::State& state) {
  at::set_num_threads(1);
  const at::Tensor x = at::randn({170, 48 * 48}).abs();
  for (auto _ : state) benchmark::DoNotOptimize(kernels::RowMedian(x));
}
void MedianByKthValue(benchmark::State& state) {
  at::set_num_threads(1);
  const at::Tensor x = at::randn({170, 48 * 48}).abs();
  for (auto _ : state) {
    benchmark::DoNotOptimize(at::kthvalue(x, 1152, -1));
    benchmark::DoNotOptimize(at::kthvalue(x, 1153, -1));
  }
}
BENCHMARK(Median)->Unit(benchmark::kMillisecond);
BENCHMARK(MedianByKthValue)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sinkwatch::metrics

BENCHMARK_MAIN();

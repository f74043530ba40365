// The CUDA implementation of sinkwatch::attention_stats, in a library that is
// loaded where a GPU is used (README.md). Tensors on this side, kernels on the
// other: attention_stats_kernels.h.
#include <optional>

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "c10/core/DeviceGuard.h"
#include "torch/library.h"
#include "worker/kernels/attention_stats_operator.h"
#include "worker/kernels/cuda/attention_stats_kernels.h"
#include "worker/kernels/cuda/device_call.h"
#include "worker/kernels/cuda/heads.h"

namespace sinkwatch::kernels::cuda {
namespace {

// What both forms say of q and k; these must outlive the call.
AttentionStatsCall CallOf(const at::Tensor& q, const at::Tensor& k,
                          double scale, const at::Tensor& rows,
                          const at::Tensor& columns) {
  AttentionStatsCall call;
  call.q = HeadsOf(q);
  call.k = HeadsOf(k);
  call.bfloat16 = q.scalar_type() == at::kBFloat16;
  call.batch = static_cast<int>(q.size(0));
  call.heads = static_cast<int>(q.size(1));
  call.groups = static_cast<int>(k.size(1));
  call.tokens = static_cast<int>(q.size(2));
  call.width = static_cast<int>(q.size(3));
  call.scale = static_cast<float>(scale);
  call.rows = rows.mutable_data_ptr<float>();
  call.columns = columns.mutable_data_ptr<float>();
  return call;
}

int KernelWidthOf(const at::Tensor& q_BHTE) {
  return NextKernelWidth(static_cast<int>(q_BHTE.size(3)),
                         q_BHTE.scalar_type() == at::kBFloat16);
}

OperatorResult AttentionStatsCuda(
    const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
    const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation) {
  TORCH_CHECK(HasDeviceKernel(q_BHTE, v.has_value(), scale, normalisation),
              "attention_stats: no CUDA kernel for this call");
  const c10::DeviceGuard guard(q_BHTE.device());
  const int64_t batch = q_BHTE.size(0), heads = q_BHTE.size(1),
                tokens = q_BHTE.size(2);
  const int width = KernelWidthOf(q_BHTE);
  const at::Tensor q = Prepared(q_BHTE, width), k = Prepared(k_BGTE, width);
  const auto floats = q.options().dtype(at::kFloat);
  at::Tensor rows = at::empty({kNumRowStats, batch, heads, tokens}, floats);
  at::Tensor columns = at::empty({batch, heads, tokens}, floats);
  const at::Tensor scratch = at::empty({2, batch, heads, tokens}, floats);

  AttentionStatsCall call = CallOf(q, k, scale, rows, columns);
  call.window = window >= tokens ? 0 : static_cast<int>(window);
  if (learned_sinks) {
    call.learned_sinks = learned_sinks->const_data_ptr<float>();
  }
  call.scratch = scratch.mutable_data_ptr<float>();
  CheckLaunch("attention_stats",
              LaunchAttentionStats(call, StreamOf(q.device())));
  return {rows, columns, at::empty({0}, floats)};
}

OnePassResult OnePass(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                      const at::Tensor& log_sum_exp_BHT, double scale,
                      bool portable) {
  const int64_t batch = q_BHTE.size(0), heads = q_BHTE.size(1),
                tokens = q_BHTE.size(2);
  TORCH_CHECK(HasDeviceKernel(q_BHTE, false, scale, 0) &&
                  tokens <= kMaxOnePass &&
                  log_sum_exp_BHT.scalar_type() == at::kFloat &&
                  log_sum_exp_BHT.sizes() == q_BHTE.sizes().slice(0, 3),
              "attention_stats_once: no CUDA kernel for this call");
  const c10::DeviceGuard guard(q_BHTE.device());
  const int width = KernelWidthOf(q_BHTE);
  const at::Tensor q = Prepared(q_BHTE, width), k = Prepared(k_BGTE, width);
  const at::Tensor log_sum_exp = log_sum_exp_BHT.contiguous();
  const auto floats = q.options().dtype(at::kFloat);
  at::Tensor rows = at::empty({kNumRowStats, batch, heads, tokens}, floats);
  at::Tensor columns = at::empty({batch, heads, tokens}, floats);
  at::Tensor query_norm = at::empty({batch, heads, tokens}, floats);
  at::Tensor key_norm = at::empty({batch, k.size(1), tokens}, floats);
  const int64_t parts = (tokens + kRowsOfPart - 1) / kRowsOfPart;
  const at::Tensor column_parts =
      at::empty({parts, batch, heads, tokens}, floats);
  AttentionStatsCall call = CallOf(q, k, scale, rows, columns);
  call.portable = portable;
  call.log_sum_exp = log_sum_exp.const_data_ptr<float>();
  call.column_parts = column_parts.mutable_data_ptr<float>();
  call.query_norm = query_norm.mutable_data_ptr<float>();
  call.key_norm = key_norm.mutable_data_ptr<float>();
  CheckLaunch("attention_stats_once",
              LaunchAttentionStatsOnce(call, StreamOf(q.device())));
  return {rows, columns, query_norm, key_norm};
}

OnePassResult AttentionStatsOnceCuda(const at::Tensor& q_BHTE,
                                     const at::Tensor& k_BGTE,
                                     const at::Tensor& log_sum_exp_BHT,
                                     double scale) {
  return OnePass(q_BHTE, k_BGTE, log_sum_exp_BHT, scale, /*portable=*/false);
}

OnePassResult AttentionStatsOncePortable(const at::Tensor& q_BHTE,
                                         const at::Tensor& k_BGTE,
                                         const at::Tensor& log_sum_exp_BHT,
                                         double scale) {
  return OnePass(q_BHTE, k_BGTE, log_sum_exp_BHT, scale, /*portable=*/true);
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

// attention_stats_once by the kernel for every card: a card that has its own is
// tested against it.
TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def(
      "attention_stats_once_portable(Tensor q, Tensor k, Tensor log_sum_exp, "
      "float scale) -> (Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("attention_stats", sinkwatch::kernels::cuda::AttentionStatsCuda);
  m.impl("attention_stats_once",
         sinkwatch::kernels::cuda::AttentionStatsOnceCuda);
  m.impl("attention_stats_once_portable",
         sinkwatch::kernels::cuda::AttentionStatsOncePortable);
}

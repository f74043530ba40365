// CUDA implementations of the operators over rows: row_median.h, row_loss.h,
// row_moments.h.
#include <algorithm>
#include <tuple>

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "c10/core/DeviceGuard.h"
#include "torch/library.h"
#include "worker/kernels/cuda/device_call.h"
#include "worker/kernels/cuda/row_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int64_t kGrid = 65535;  // rows that a launch has places for

at::Tensor RowMedianCuda(const at::Tensor& x_BN, bool absolute) {
  const c10::DeviceGuard guard(x_BN.device());
  const at::Tensor x = x_BN.contiguous();
  const int64_t rows = x.size(0), n = x.size(1);
  const int64_t at_a_time =
      std::min(rows, n <= kShortRow ? kGrid : int64_t{kMedianRows});
  at::Tensor median_B = at::empty({rows}, x.options().dtype(at::kFloat));
  const at::Tensor scratch =
      at::empty({RowMedianScratchBytes(static_cast<int>(at_a_time), n)},
                x.options().dtype(at::kByte));
  for (int64_t row = 0; row < rows; row += at_a_time) {
    RowMedianCall call;
    call.x = static_cast<const char*>(x.const_data_ptr()) +
             row * n * x.element_size();
    call.bfloat16 = x.scalar_type() == at::kBFloat16;
    call.absolute = absolute;
    call.rows = static_cast<int>(std::min(at_a_time, rows - row));
    call.n = n;
    call.median = median_B.mutable_data_ptr<float>() + row;
    call.scratch = scratch.mutable_data_ptr();
    CheckLaunch("row_median", LaunchRowMedian(call, StreamOf(x.device())));
  }
  return median_B;
}

void AddRowLossCuda(const at::Tensor& logits, const at::Tensor& target_R,
                    int64_t first, const at::Tensor& log_sum_exp_R,
                    const at::Tensor& target_logit_R) {
  const c10::DeviceGuard guard(logits.device());
  const at::Tensor logits_RV = logits.contiguous();
  const at::Tensor target = target_R.contiguous();
  TORCH_CHECK(log_sum_exp_R.is_contiguous() && target_logit_R.is_contiguous(),
              "row_loss_: results must be contiguous");
  if (logits_RV.numel() == 0) return;
  RowLossCall call;
  call.logits = logits_RV.const_data_ptr();
  call.bfloat16 = logits_RV.scalar_type() == at::kBFloat16;
  TORCH_CHECK(call.bfloat16 || logits_RV.scalar_type() == at::kFloat,
              "row_loss_: float32 or bfloat16, not ", logits_RV.scalar_type());
  call.rows = static_cast<int>(logits_RV.size(0));
  call.columns = logits_RV.size(1);
  call.target = target.const_data_ptr<int64_t>();
  call.first = first;
  call.log_sum_exp = log_sum_exp_R.mutable_data_ptr<float>();
  call.target_logit = target_logit_R.mutable_data_ptr<float>();
  CheckLaunch("row_loss_", LaunchRowLoss(call, StreamOf(logits.device())));
}

std::tuple<at::Tensor, at::Tensor> RowSumsCuda(const at::Tensor& x_BTD) {
  const c10::DeviceGuard guard(x_BTD.device());
  const at::Tensor x = x_BTD.contiguous();
  at::Tensor sums =
      at::empty({3, x.size(0), x.size(1)}, x.options().dtype(at::kFloat));
  at::Tensor powers =
      at::empty({4, x.size(0), x.size(1)}, x.options().dtype(at::kDouble));
  if (sums.numel() == 0) return {sums, powers};
  RowMomentsCall call;
  call.x = x.const_data_ptr();
  call.bfloat16 = x.scalar_type() == at::kBFloat16;
  TORCH_CHECK(call.bfloat16 || x.scalar_type() == at::kFloat,
              "row_sums: float32 or bfloat16, not ", x.scalar_type());
  call.rows = x.size(0) * x.size(1);
  call.width = x.size(2);
  call.sums = sums.mutable_data_ptr<float>();
  call.powers = powers.mutable_data_ptr<double>();
  CheckLaunch("row_sums", LaunchRowMoments(call, StreamOf(x.device())));
  return {sums, powers};
}

at::Tensor KurtosisOfPowersCuda(const at::Tensor& powers_PBT, int64_t width) {
  const c10::DeviceGuard guard(powers_PBT.device());
  const at::Tensor powers = powers_PBT.contiguous();
  at::Tensor kurtosis = at::empty({powers.size(1), 1}, powers.options());
  if (kurtosis.numel() == 0) return kurtosis;
  KurtosisCall call;
  call.powers = powers.const_data_ptr<double>();
  call.sequences = powers.size(1);
  call.tokens = powers.size(2);
  call.width = width;
  call.kurtosis = kurtosis.mutable_data_ptr<double>();
  CheckLaunch("kurtosis_of_powers",
              LaunchKurtosis(call, StreamOf(powers.device())));
  return kurtosis;
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("row_median", sinkwatch::kernels::cuda::RowMedianCuda);
  m.impl("row_sums", sinkwatch::kernels::cuda::RowSumsCuda);
  m.impl("kurtosis_of_powers", sinkwatch::kernels::cuda::KurtosisOfPowersCuda);
  m.impl("row_loss_", sinkwatch::kernels::cuda::AddRowLossCuda);
}

// Operators that layers of models use where this library is loaded; elsewhere
// they compose ATen's (worker/model/layers.cc, which is the reference).
#include <optional>

#include "ATen/core/Tensor.h"
#include "ATen/ops/empty.h"
#include "c10/core/DeviceGuard.h"
#include "torch/library.h"
#include "worker/kernels/cuda/device_call.h"
#include "worker/kernels/cuda/elementwise_kernels.h"

namespace sinkwatch::kernels::cuda {
namespace {

bool IsBfloat16(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16,
              "float32 or bfloat16, not ", x.scalar_type());
  return x.scalar_type() == at::kBFloat16;
}

RotaryCall RotaryOf(const at::Tensor& x_BHTE, const at::Tensor& inverse_F,
                    double factor, const at::Tensor& y_BTHE) {
  RotaryCall call;
  call.x = x_BHTE.const_data_ptr();
  call.y = y_BTHE.mutable_data_ptr();
  call.bfloat16 = IsBfloat16(x_BHTE);
  call.batch = x_BHTE.size(0);
  call.heads = x_BHTE.size(1);
  call.tokens = x_BHTE.size(2);
  call.width = x_BHTE.size(3);
  call.batch_stride = x_BHTE.stride(0);
  call.head_stride = x_BHTE.stride(1);
  call.token_stride = x_BHTE.stride(2);
  call.inverse = inverse_F.const_data_ptr<float>();
  call.pairs = inverse_F.numel();
  call.factor = static_cast<float>(factor);
  return call;
}

at::Tensor EmptyTurned(const at::Tensor& x_BHTE) {
  return at::empty(
      {x_BHTE.size(0), x_BHTE.size(2), x_BHTE.size(1), x_BHTE.size(3)},
      x_BHTE.options());
}

// x_BHTE turned; the result lies as [B,T,H,E].
at::Tensor Rotary(const at::Tensor& x_BHTE, const at::Tensor& inverse_F,
                  double factor) {
  const c10::DeviceGuard guard(x_BHTE.device());
  const at::Tensor x = x_BHTE.stride(3) == 1 ? x_BHTE : x_BHTE.contiguous();
  const at::Tensor inverse = inverse_F.contiguous();
  const at::Tensor y_BTHE = EmptyTurned(x);
  CheckLaunch("rotary", LaunchRotary(RotaryOf(x, inverse, factor, y_BTHE),
                                     StreamOf(x.device())));
  return y_BTHE.transpose(1, 2);
}

// x as rows whose elements lie side by side and that begin as far from each
// other: a slice of a wider product is not copied.
at::Tensor RowsOf(const at::Tensor& x) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  return rows.stride(1) == 1 ? rows : rows.contiguous();
}

void CheckAlike(const char* name, const at::Tensor& x,
                const std::optional<at::Tensor>& other) {
  TORCH_CHECK(
      !other || (other->scalar_type() == x.scalar_type() &&
                 other->is_contiguous() && other->device() == x.device()),
      name, ": of another dtype, strided or elsewhere");
}

at::Tensor RmsNorm(const at::Tensor& x, const std::optional<at::Tensor>& weight,
                   double epsilon, bool wide,
                   const std::optional<at::Tensor>& residual) {
  // Heads that lie between each other are rows in the order of their tokens.
  if (x.dim() == 4 && x.stride(1) < x.stride(2)) {
    TORCH_CHECK(!residual, "rms_norm: a residual of heads");
    return RmsNorm(x.transpose(1, 2), weight, epsilon, wide, residual)
        .transpose(1, 2);
  }
  const c10::DeviceGuard guard(x.device());
  CheckAlike("rms_norm", x, weight);
  CheckAlike("rms_norm", x, residual);
  TORCH_CHECK((!weight || weight->numel() == x.size(-1)) &&
                  (!residual || residual->sizes() == x.sizes()),
              "rms_norm: sizes");
  const at::Tensor rows = RowsOf(x);
  at::Tensor y = at::empty(x.sizes(), x.options());
  NormCall call;
  call.x = rows.const_data_ptr();
  call.row_stride = rows.stride(0);
  call.y = y.mutable_data_ptr();
  if (weight) call.weight = weight->const_data_ptr();
  if (residual) call.residual = residual->const_data_ptr();
  call.bfloat16 = IsBfloat16(x);
  call.wide = wide;
  call.rows = rows.size(0);
  call.width = static_cast<int>(rows.size(1));
  call.epsilon = static_cast<float>(epsilon);
  CheckLaunch("rms_norm", LaunchRmsNorm(call, StreamOf(x.device())));
  return y;
}

// rms_norm of x [B,T,H E], wide, then rotary of its heads.
at::Tensor NormRotary(const at::Tensor& x_BTD, const at::Tensor& weight,
                      double epsilon, int64_t heads,
                      const at::Tensor& inverse_F, double factor) {
  const auto split = [&](const at::Tensor& x) {
    return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(1, 2);
  };
  const c10::DeviceGuard guard(x_BTD.device());
  CheckAlike("norm_rotary", x_BTD, weight);
  const at::Tensor x_BHTE = split(x_BTD);
  const at::Tensor inverse = inverse_F.contiguous();
  const at::Tensor y_BTHE = EmptyTurned(x_BHTE);
  RotaryCall call = RotaryOf(x_BHTE, inverse, factor, y_BTHE);
  if (x_BHTE.stride(3) != 1 || !RotaryTakesNorm(call)) {
    return Rotary(split(RmsNorm(x_BTD, weight, epsilon, /*wide=*/true, {})),
                  inverse, factor);
  }
  call.norm_weight = weight.const_data_ptr();
  call.norm_epsilon = static_cast<float>(epsilon);
  CheckLaunch("norm_rotary", LaunchRotary(call, StreamOf(x_BTD.device())));
  return y_BTHE.transpose(1, 2);
}

at::Tensor SiluTimes(const at::Tensor& gate, const at::Tensor& up) {
  const c10::DeviceGuard guard(gate.device());
  TORCH_CHECK(gate.sizes() == up.sizes() && gate.stride(-1) == 1 &&
                  gate.scalar_type() == up.scalar_type(),
              "silu_times_: not alike");
  const at::Tensor to = gate.view({-1, gate.size(-1)}), rows = RowsOf(up);
  SiluTimesCall call;
  call.gate = to.mutable_data_ptr();
  call.up = rows.const_data_ptr();
  call.gate_stride = to.stride(0);
  call.up_stride = rows.stride(0);
  call.rows = to.size(0);
  call.n = to.size(1);
  call.bfloat16 = IsBfloat16(gate);
  CheckLaunch("silu_times_", LaunchSiluTimes(call, StreamOf(gate.device())));
  return gate;
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("rotary(Tensor x, Tensor inverse, float factor) -> Tensor");
  m.def(
      "rms_norm(Tensor x, Tensor? weight, float epsilon, bool wide, "
      "Tensor? residual) -> Tensor");
  m.def(
      "norm_rotary(Tensor x, Tensor weight, float epsilon, int heads, "
      "Tensor inverse, float factor) -> Tensor");
  m.def("silu_times_(Tensor(a!) gate, Tensor up) -> Tensor(a!)");
}

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("rotary", sinkwatch::kernels::cuda::Rotary);
  m.impl("rms_norm", sinkwatch::kernels::cuda::RmsNorm);
  m.impl("norm_rotary", sinkwatch::kernels::cuda::NormRotary);
  m.impl("silu_times_", sinkwatch::kernels::cuda::SiluTimes);
}

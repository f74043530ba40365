// Operators that layers of models use where this library is loaded; elsewhere
// they compose ATen's (worker/model/layers.cc, which is the reference).
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

// x_BHTE turned; the result lies as [B,T,H,E].
at::Tensor Rotary(const at::Tensor& x_BHTE, const at::Tensor& inverse_F,
                  double factor) {
  const c10::DeviceGuard guard(x_BHTE.device());
  const at::Tensor x = x_BHTE.stride(3) == 1 ? x_BHTE : x_BHTE.contiguous();
  const at::Tensor inverse = inverse_F.contiguous();
  const at::Tensor y_BTHE =
      at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options());
  RotaryCall call;
  call.x = x.const_data_ptr();
  call.y = y_BTHE.mutable_data_ptr();
  call.bfloat16 = IsBfloat16(x);
  call.batch = x.size(0);
  call.heads = x.size(1);
  call.tokens = x.size(2);
  call.width = x.size(3);
  call.batch_stride = x.stride(0);
  call.head_stride = x.stride(1);
  call.token_stride = x.stride(2);
  call.inverse = inverse.const_data_ptr<float>();
  call.pairs = inverse.numel();
  call.factor = static_cast<float>(factor);
  CheckLaunch("rotary", LaunchRotary(call, StreamOf(x.device())));
  return y_BTHE.transpose(1, 2);
}

at::Tensor SiluTimes(const at::Tensor& gate, const at::Tensor& up) {
  const c10::DeviceGuard guard(gate.device());
  TORCH_CHECK(gate.is_contiguous() && up.is_contiguous() &&
                  gate.sizes() == up.sizes() &&
                  gate.scalar_type() == up.scalar_type(),
              "silu_times_: not alike");
  CheckLaunch(
      "silu_times_",
      LaunchSiluTimes(gate.mutable_data_ptr(), up.const_data_ptr(),
                      gate.numel(), IsBfloat16(gate), StreamOf(gate.device())));
  return gate;
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_FRAGMENT(sinkwatch, m) {
  m.def("rotary(Tensor x, Tensor inverse, float factor) -> Tensor");
  m.def("silu_times_(Tensor(a!) gate, Tensor up) -> Tensor(a!)");
}

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("rotary", sinkwatch::kernels::cuda::Rotary);
  m.impl("silu_times_", sinkwatch::kernels::cuda::SiluTimes);
}

// CUDA implementations of the operators over heads: head_norms.h, and
// AttentionAtColumns of attention_stats.h.
#include <tuple>

#include "ATen/core/Tensor.h"
#include "ATen/ops/constant_pad_nd.h"
#include "ATen/ops/empty.h"
#include "c10/core/DeviceGuard.h"
#include "torch/library.h"
#include "worker/kernels/cuda/device_call.h"
#include "worker/kernels/cuda/head_kernels.h"
#include "worker/kernels/cuda/heads.h"
#include "worker/kernels/gram_rule.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int64_t kGrid =
    65535;  // heads or sequences that a launch has places for

bool IsBfloat16(const char* name, const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16,
              name, ": float32 or bfloat16, not ", x.scalar_type());
  return x.scalar_type() == at::kBFloat16;
}

at::Tensor HeadNormsCuda(const at::Tensor& x_BNTE) {
  const c10::DeviceGuard guard(x_BNTE.device());
  const at::Tensor x = x_BNTE.stride(3) == 1 ? x_BNTE : x_BNTE.contiguous();
  at::Tensor norms = at::empty({x.size(0), x.size(1), x.size(2)},
                               x.options().dtype(at::kFloat));
  if (norms.numel() == 0) return norms;
  TORCH_CHECK(norms.numel() <= int64_t{1} << 31, "head_norms: ", norms.numel(),
              " vectors");
  HeadNormsCall call;
  call.x = HeadsOf(x);
  call.bfloat16 = IsBfloat16("head_norms", x);
  call.batch = x.size(0);
  call.groups = x.size(1);
  call.tokens = x.size(2);
  call.width = x.size(3);
  call.norms = norms.mutable_data_ptr<float>();
  CheckLaunch("head_norms", LaunchHeadNorms(call, StreamOf(x.device())));
  return norms;
}

std::tuple<at::Tensor, at::Tensor> WrittenNormsCuda(
    const at::Tensor& x_BNTE, const at::Tensor& factor_HRE) {
  const c10::DeviceGuard guard(x_BNTE.device());
  const bool bfloat16 = IsBfloat16("written_norms", x_BNTE);
  TORCH_CHECK(x_BNTE.size(3) <= kMaxKernelWidth && x_BNTE.size(0) <= kGrid &&
                  factor_HRE.size(0) <= kGrid,
              "written_norms: no CUDA kernel for ", x_BNTE.sizes());
  const int width = NextKernelWidth(static_cast<int>(x_BNTE.size(3)), bfloat16);
  const at::Tensor x = Prepared(x_BNTE, width);
  const at::Tensor factor =
      (width == factor_HRE.size(2)
           ? factor_HRE
           : at::constant_pad_nd(factor_HRE, {0, width - factor_HRE.size(2)}))
          .to(x.scalar_type())
          .contiguous();
  const int64_t batch = x.size(0), tokens = x.size(2);
  const int64_t heads = factor.size(0);
  at::Tensor norms =
      at::empty({batch, heads, tokens}, x.options().dtype(at::kFloat));
  at::Tensor plain = at::empty({batch, x.size(1), tokens}, norms.options());
  if (norms.numel() == 0) return {norms, plain};
  WrittenNormsCall call;
  call.x = HeadsOf(x);
  call.factor = factor.const_data_ptr();
  call.bfloat16 = bfloat16;
  call.heads = static_cast<int>(heads);
  call.groups = static_cast<int>(x.size(1));
  call.rows = static_cast<int>(factor.size(1));
  call.width = width;
  call.sequence = static_cast<int>(tokens);
  // Short sequences that lie one behind the other fill the tiles together.
  const bool joined = x.stride(0) == tokens * x.stride(2);
  call.batch = joined ? 1 : static_cast<int>(batch);
  call.tokens = static_cast<int>(joined ? batch * tokens : tokens);
  call.norms = norms.mutable_data_ptr<float>();
  call.plain = plain.mutable_data_ptr<float>();
  CheckLaunch("written_norms", LaunchWrittenNorms(call, StreamOf(x.device())));
  return {norms, plain};
}

at::Tensor AttentionAtColumnsCuda(const at::Tensor& q_BHTE,
                                  const at::Tensor& k_BGTE,
                                  const at::Tensor& log_sum_exp_BHT,
                                  const at::Tensor& columns_BHC, double scale,
                                  int64_t window, double soft_cap) {
  const c10::DeviceGuard guard(q_BHTE.device());
  const at::Tensor q = q_BHTE.stride(3) == 1 ? q_BHTE : q_BHTE.contiguous();
  const at::Tensor k = k_BGTE.stride(3) == 1 ? k_BGTE : k_BGTE.contiguous();
  const at::Tensor lse = log_sum_exp_BHT.contiguous();
  const at::Tensor columns = columns_BHC.contiguous();
  constexpr int64_t kMaxWidth = 1024;
  TORCH_CHECK(columns.size(2) <= kMaxChosenColumns && q.size(3) <= kMaxWidth &&
                  q.size(0) <= kGrid && q.size(1) <= kGrid,
              "attention_at_columns: no CUDA kernel for ", columns.size(2),
              " columns of ", q.sizes());
  at::Tensor attention =
      at::empty({q.size(0), q.size(1), q.size(2), columns.size(2)},
                q.options().dtype(at::kFloat));
  if (attention.numel() == 0) return attention;
  ColumnsCall call;
  call.q = HeadsOf(q);
  call.k = HeadsOf(k);
  call.bfloat16 = IsBfloat16("attention_at_columns", q);
  call.batch = static_cast<int>(q.size(0));
  call.heads = static_cast<int>(q.size(1));
  call.groups = static_cast<int>(k.size(1));
  call.tokens = static_cast<int>(q.size(2));
  call.width = static_cast<int>(q.size(3));
  call.chosen = static_cast<int>(columns.size(2));
  call.log_sum_exp = lse.const_data_ptr<float>();
  call.columns = columns.const_data_ptr<int64_t>();
  call.scale = static_cast<float>(scale);
  call.soft_cap = static_cast<float>(soft_cap);
  call.window = window;
  call.attention = attention.mutable_data_ptr<float>();
  CheckLaunch("attention_at_columns",
              LaunchAttentionAtColumns(call, StreamOf(q.device())));
  return attention;
}

at::Tensor GramFactorCuda(const at::Tensor& parts_SHEE) {
  const c10::DeviceGuard guard(parts_SHEE.device());
  const at::Tensor gram = parts_SHEE.contiguous();
  TORCH_CHECK(gram.size(3) <= kMaxGramWidth, "gram_factor: no CUDA kernel for ",
              gram.sizes());
  at::Tensor factor = at::empty({gram.size(1), gram.size(2), gram.size(3)},
                                gram.options().dtype(at::kFloat));
  if (factor.numel() == 0) return factor;
  GramFactorCall call;
  call.gram = gram.const_data_ptr();
  call.floats = gram.scalar_type() == at::kFloat;
  call.parts = static_cast<int>(gram.size(0));
  call.heads = gram.size(1);
  call.width = static_cast<int>(gram.size(3));
  call.factor = factor.mutable_data_ptr<float>();
  CheckLaunch("gram_factor", LaunchGramFactor(call, StreamOf(gram.device())));
  return factor;
}

}  // namespace
}  // namespace sinkwatch::kernels::cuda

TORCH_LIBRARY_IMPL(sinkwatch, CUDA, m) {
  m.impl("head_norms", sinkwatch::kernels::cuda::HeadNormsCuda);
  m.impl("gram_factor", sinkwatch::kernels::cuda::GramFactorCuda);
  m.impl("written_norms", sinkwatch::kernels::cuda::WrittenNormsCuda);
  m.impl("attention_at_columns",
         sinkwatch::kernels::cuda::AttentionAtColumnsCuda);
}

#include "worker/metrics/layer_statistics.h"

#include <algorithm>
#include <tuple>

#include "ATen/ops/bmm.h"
#include "ATen/ops/linalg_cholesky_ex.h"
#include "ATen/ops/topk.h"
#include "ATen/ops/where.h"
#include "ATen/ops/zeros.h"
#include "worker/kernels/head_norms.h"
#include "worker/kernels/row_median.h"
#include "worker/kernels/row_moments.h"

namespace sinkwatch::metrics {
namespace {

constexpr int64_t kMaxSinks = 4;
constexpr double kMinRowsOfSink = 8;
constexpr double kMinMassOfSink = 0.2;
// Of the largest diagonal element of a Gram matrix: ten times what rounding in
// float64 makes of some hundred terms, so that no matrix is ever found not to
// be positive; and what stands in for it where the matrix is 0.
constexpr double kRidge = 1e-13;
constexpr double kSmallestRidge = 1e-60;
// A massive activation, by Sun et al.
constexpr double kMassive = 100, kMassiveMedians = 1000;

// Rows t >= 1 that see column k, for every k: float32 [T] on the CPU.
at::Tensor RowsThatSee(int64_t tokens, int64_t window) {
  const int64_t reach = window > 0 ? window : tokens;
  at::Tensor rows = at::zeros({tokens}, at::kFloat);
  float* count = rows.mutable_data_ptr<float>();
  for (int64_t k = 0; k < tokens; ++k) {
    const int64_t first = std::max<int64_t>(k, 1);
    const int64_t end = std::min(tokens, k + reach);
    count[k] = static_cast<float>(std::max<int64_t>(end - first, 0));
  }
  return rows;
}

const at::Tensor& NormOnce(at::Tensor& kept, const at::Tensor& x) {
  if (!kept.defined()) kept = kernels::HeadNorms(x);
  return kept;
}

}  // namespace

unsigned Available(const LayerBatch& batch) {
  unsigned available = 0;
  if (batch.q_BHTE.defined() && batch.k_BGTE.defined()) {
    available |= kNeedsQueryKey;
  }
  if (batch.k_BGTE.defined()) available |= kNeedsKey;
  if (batch.v_BGTE.defined()) available |= kNeedsValue;
  if (batch.z_BHTE.defined()) available |= kNeedsHeadOutput;
  if (batch.output_projection_DHE.defined()) available |= kNeedsProjection;
  if (batch.resid_pre_BTD.defined()) available |= kNeedsResidualPre;
  if (batch.resid_post_BTD.defined()) available |= kNeedsResidualPost;
  if (batch.attn_out_BTD.defined()) available |= kNeedsAttentionOut;
  if (batch.mlp_out_BTD.defined()) available |= kNeedsMlpOut;
  if (batch.gate_BHTN.defined()) available |= kNeedsGate;
  if (batch.router_BTX.defined() && batch.experts_BTK.defined()) {
    available |= kNeedsRouter;
  }
  return available;
}

at::Tensor WriteFactor(const at::Tensor& output_projection_DHE, int64_t heads) {
  const int64_t D = output_projection_DHE.size(0);
  const at::Tensor slices_HDE = output_projection_DHE.to(at::kDouble)
                                    .reshape({D, heads, -1})
                                    .permute({1, 0, 2});
  at::Tensor gram_HEE = at::bmm(slices_HDE.transpose(1, 2), slices_HDE);
  const at::Tensor diagonal_HE = gram_HEE.diagonal(0, -2, -1);
  diagonal_HE.add_(
      diagonal_HE.amax(-1, /*keepdim=*/true).mul(kRidge).add(kSmallestRidge));
  return std::get<0>(at::linalg_cholesky_ex(gram_HEE, /*upper=*/true))
      .to(at::kFloat);
}

int64_t LayerStatistics::tokens() const {
  if (batch_.resid_post_BTD.defined()) return batch_.resid_post_BTD.size(1);
  if (batch_.resid_pre_BTD.defined()) return batch_.resid_pre_BTD.size(1);
  for (const at::Tensor* x :
       {&batch_.q_BHTE, &batch_.k_BGTE, &batch_.v_BGTE, &batch_.z_BHTE}) {
    if (x->defined()) return x->size(2);
  }
  return 0;
}

const kernels::AttentionStats& LayerStatistics::attention() {
  if (!has_attention_) {
    attention_ = kernels::ComputeAttentionStats(batch_.q_BHTE, batch_.k_BGTE,
                                                at::Tensor(), batch_.attention);
    has_attention_ = true;
  }
  return attention_;
}

void LayerStatistics::DetectSinks() {
  const at::Tensor& column_mass_BHT = attention().column_mass;
  const int64_t length = column_mass_BHT.size(2);
  const at::Tensor rows_T = RowsThatSee(length, batch_.attention.window);
  const double fewest =
      std::max(kMinRowsOfSink, rows_T.max().item<double>() / 2);
  // On a GPU, without waiting for what is under way there.
  const at::Tensor rows =
      rows_T.to(column_mass_BHT.device(), /*non_blocking=*/true);
  at::Tensor mean_BHT =
      at::where(rows.ge(fewest), column_mass_BHT.div(rows.clamp_min(1)), 0.0);
  auto [mass_BHC, column_BHC] =
      at::topk(mean_BHT, std::min(kMaxSinks, length), /*dim=*/-1);
  const at::Tensor is_sink_BHC = mass_BHC.gt(kMinMassOfSink);
  sink_columns_BHC_ = at::where(is_sink_BHC, column_BHC, -1);
  sink_mass_BHC_ = mass_BHC.mul(is_sink_BHC);
}

const at::Tensor& LayerStatistics::sink_columns_BHC() {
  if (!sink_columns_BHC_.defined()) DetectSinks();
  return sink_columns_BHC_;
}

const at::Tensor& LayerStatistics::sink_mass_BHC() {
  if (!sink_mass_BHC_.defined()) DetectSinks();
  return sink_mass_BHC_;
}

const at::Tensor& LayerStatistics::key_norm_BGT() {
  return NormOnce(key_norm_BGT_, batch_.k_BGTE);
}

const at::Tensor& LayerStatistics::value_norm_BGT() {
  return NormOnce(value_norm_BGT_, batch_.v_BGTE);
}

const at::Tensor& LayerStatistics::value_write_norm_BHT() {
  if (!value_write_norm_BHT_.defined()) {
    value_write_norm_BHT_ =
        kernels::WrittenNorms(batch_.v_BGTE, write_factor_HRE_);
  }
  return value_write_norm_BHT_;
}

const at::Tensor& LayerStatistics::output_norm_BHT() {
  return NormOnce(output_norm_BHT_, batch_.z_BHTE);
}

const at::Tensor& LayerStatistics::gate_BHTN() {
  if (!gate_BHTN_.defined()) gate_BHTN_ = batch_.gate_BHTN.to(at::kFloat);
  return gate_BHTN_;
}

const at::Tensor& LayerStatistics::output_write_norm_BHT() {
  if (!output_write_norm_BHT_.defined()) {
    output_write_norm_BHT_ =
        kernels::WrittenNorms(batch_.z_BHTE, write_factor_HRE_);
  }
  return output_write_norm_BHT_;
}

const at::Tensor& LayerStatistics::residual_pre_norm_BT() {
  if (!residual_pre_norm_BT_.defined()) {
    residual_pre_norm_BT_ =
        kernels::HeadNorms(batch_.resid_pre_BTD.unsqueeze(1)).squeeze(1);
  }
  return residual_pre_norm_BT_;
}

const at::Tensor& LayerStatistics::residual_sums() {
  if (!residual_sums_.defined()) {
    residual_sums_ = kernels::RowSums(batch_.resid_post_BTD);
  }
  return residual_sums_;
}

at::Tensor LayerStatistics::residual_norm_BT() {
  return residual_sums()[kernels::kRowLength];
}

const at::Tensor& LayerStatistics::residual_BTD() {
  if (!residual_BTD_.defined()) {
    residual_BTD_ = batch_.resid_post_BTD.to(at::kFloat);
  }
  return residual_BTD_;
}

const at::Tensor& LayerStatistics::massive_bound_B() {
  if (!massive_bound_B_.defined()) {
    massive_bound_B_ = kernels::RowMedian(residual_BTD().abs().flatten(1))
                           .mul(kMassiveMedians)
                           .clamp_min(kMassive);
  }
  return massive_bound_B_;
}

}  // namespace sinkwatch::metrics

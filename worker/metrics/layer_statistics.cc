#include "worker/metrics/layer_statistics.h"

#include "ATen/ops/bmm.h"
#include "ATen/ops/empty.h"
#include "worker/kernels/gram_factor.h"
#include "worker/kernels/head_norms.h"
#include "worker/kernels/row_median.h"

namespace sinkwatch::metrics {
namespace {

constexpr int64_t kCuts = 8;
// A massive activation, by Sun et al.
constexpr double kMassive = 100, kMassiveMedians = 1000;

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

namespace {

// The rows [D,H,E] of a projection in `cuts`, head by head: [S*H,R,E].
at::Tensor Slices(const at::Tensor& projection_DHE, int64_t heads, int64_t cuts,
                  at::ScalarType type) {
  const at::Tensor slices_SHRE =
      projection_DHE.reshape({cuts, projection_DHE.size(0) / cuts, heads, -1})
          .permute({0, 2, 1, 3});
  at::Tensor slices =
      at::empty(slices_SHRE.sizes(), slices_SHRE.options().dtype(type));
  slices.copy_(slices_SHRE);
  return slices.flatten(0, 1);
}

}  // namespace

at::Tensor WriteFactor(const at::Tensor& output_projection_DHE, int64_t heads) {
  const int64_t D = output_projection_DHE.size(0);
  const int64_t width = output_projection_DHE.numel() / (D * heads);
  const bool on_cpu = output_projection_DHE.is_cpu();
  constexpr int64_t kFours = 4;  // of bfloat16 are a number of 64 bits
  if (!on_cpu && output_projection_DHE.scalar_type() == at::kBFloat16 &&
      output_projection_DHE.is_contiguous() && width % kFours == 0 &&
      D % kernels::kRowsOfFloatPart == 0) {
    const int64_t cuts = D / kernels::kRowsOfFloatPart;
    const at::Tensor slices =
        Slices(output_projection_DHE.view(at::kLong), heads, cuts, at::kLong)
            .view(at::kBFloat16);
    return kernels::GramFactor(
        at::bmm(slices.transpose(1, 2), slices, at::kFloat)
            .unflatten(0, {cuts, heads}));
  }
  // On a GPU the rows are cut, so that more of it has a part of the product.
  const int64_t cuts = !on_cpu && D % kCuts == 0 ? kCuts : 1;
  const at::Tensor slices =
      Slices(output_projection_DHE, heads, cuts, at::kDouble);
  return kernels::GramFactor(
      at::bmm(slices.transpose(1, 2), slices).unflatten(0, {cuts, heads}));
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

const kernels::SinkColumns& LayerStatistics::sinks() {
  if (!sinks_.column_BHC.defined()) {
    sinks_ = kernels::FindSinkColumns(attention().column_mass,
                                      batch_.attention.window);
  }
  return sinks_;
}

const at::Tensor& LayerStatistics::key_norm_BGT() {
  // Queries are kept where attention is asked for, which may find it.
  if (!key_norm_BGT_.defined() && batch_.q_BHTE.defined() &&
      batch_.attention.log_sum_exp_BHT.defined()) {
    key_norm_BGT_ = attention().key_norm;
  }
  return NormOnce(key_norm_BGT_, batch_.k_BGTE);
}

// Where a GPU has both to tell, one reading tells them.
const at::Tensor& LayerStatistics::value_norm_BGT() {
  if (batch_.v_BGTE.is_cuda() && write_factor_HRE_.defined()) {
    value_write_norm_BHT();
  }
  return NormOnce(value_norm_BGT_, batch_.v_BGTE);
}

const at::Tensor& LayerStatistics::value_write_norm_BHT() {
  return WrittenOnce(batch_.v_BGTE, value_write_norm_BHT_, value_norm_BGT_);
}

const at::Tensor& LayerStatistics::output_norm_BHT() {
  if (batch_.z_BHTE.is_cuda() && write_factor_HRE_.defined()) {
    output_write_norm_BHT();
  }
  return NormOnce(output_norm_BHT_, batch_.z_BHTE);
}

const at::Tensor& LayerStatistics::output_write_norm_BHT() {
  return WrittenOnce(batch_.z_BHTE, output_write_norm_BHT_, output_norm_BHT_);
}

const at::Tensor& LayerStatistics::WrittenOnce(const at::Tensor& x,
                                               at::Tensor& written,
                                               at::Tensor& plain) const {
  if (!written.defined()) {
    const kernels::WrittenLengths lengths =
        kernels::WrittenNorms(x, write_factor_HRE_);
    written = lengths.written_BHT;
    if (lengths.plain_BNT.defined()) plain = lengths.plain_BNT;
  }
  return written;
}

const at::Tensor& LayerStatistics::gate_BHTN() {
  if (!gate_BHTN_.defined()) gate_BHTN_ = batch_.gate_BHTN.to(at::kFloat);
  return gate_BHTN_;
}

const at::Tensor& LayerStatistics::residual_pre_norm_BT() {
  if (!residual_pre_norm_BT_.defined()) {
    residual_pre_norm_BT_ =
        kernels::HeadNorms(batch_.resid_pre_BTD.unsqueeze(1)).squeeze(1);
  }
  return residual_pre_norm_BT_;
}

const kernels::RowMoments& LayerStatistics::residual_moments() {
  if (!residual_moments_.sums.defined()) {
    residual_moments_ = kernels::RowSums(batch_.resid_post_BTD);
  }
  return residual_moments_;
}

at::Tensor LayerStatistics::residual_norm_BT() {
  return residual_moments().sums[kernels::kRowLength];
}

const at::Tensor& LayerStatistics::residual_median_B() {
  if (!residual_median_B_.defined()) {
    residual_median_B_ = kernels::RowMedian(batch_.resid_post_BTD.flatten(1),
                                            /*absolute=*/true);
  }
  return residual_median_B_;
}

const at::Tensor& LayerStatistics::residual_BTD() {
  if (!residual_BTD_.defined()) {
    residual_BTD_ = batch_.resid_post_BTD.to(at::kFloat);
  }
  return residual_BTD_;
}

const at::Tensor& LayerStatistics::massive_bound_B() {
  if (!massive_bound_B_.defined()) {
    massive_bound_B_ =
        residual_median_B().mul(kMassiveMedians).clamp_min(kMassive);
  }
  return massive_bound_B_;
}

}  // namespace sinkwatch::metrics

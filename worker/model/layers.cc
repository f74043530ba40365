#include "worker/model/layers.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/_fused_sdp_choice.h"
#include "ATen/ops/_scaled_dot_product_cudnn_attention.h"
#include "ATen/ops/_scaled_dot_product_efficient_attention.h"
#include "ATen/ops/_scaled_dot_product_flash_attention.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/cos.h"
#include "ATen/ops/layer_norm.h"
#include "ATen/ops/linear.h"
#include "ATen/ops/matmul.h"
#include "ATen/ops/relu.h"
#include "ATen/ops/repeat_interleave.h"
#include "ATen/ops/rsqrt.h"
#include "ATen/ops/scaled_dot_product_attention.h"
#include "ATen/ops/silu.h"
#include "ATen/ops/sin.h"
#include "ATen/ops/softmax.h"
#include "ATen/ops/tanh.h"
#include "c10/core/GradMode.h"
#include "worker/model/intervention.h"

namespace sinkwatch::model {
namespace {

// Rows of logits that exist at a time where there is no fused attention.
constexpr int64_t kRowsPerBlock = 128;

std::optional<at::Tensor> Optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

// Whether operators without a derivative may stand in: on a GPU, where a
// launch and a pass over memory are what an operator costs.
bool IsForwardOnGpu(const at::Tensor& x) {
  return x.is_cuda() && !(at::GradMode::is_enabled() && x.requires_grad());
}

// An operator of the CUDA kernels; none where these are not loaded.
template <typename Signature>
std::optional<c10::TypedOperatorHandle<Signature>> FindKernel(
    const char* name) {
  const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
  if (!found) return std::nullopt;
  return found->typed<Signature>();
}

// x / rms(x) in one kernel, times the weight if there is one (`wide` as in
// RmsNormWide), plus a residual if there is one. None where there is no kernel
// for it.
std::optional<at::Tensor> FusedRmsNorm(
    const at::Tensor& x, const std::optional<at::Tensor>& weight,
    double epsilon, bool wide, const std::optional<at::Tensor>& residual = {}) {
  static const auto kernel =
      FindKernel<at::Tensor(const at::Tensor&, const std::optional<at::Tensor>&,
                            double, bool, const std::optional<at::Tensor>&)>(
          "sinkwatch::rms_norm");
  if (!kernel || !IsForwardOnGpu(x) ||
      (weight && weight->scalar_type() != x.scalar_type())) {
    return std::nullopt;
  }
  return kernel->call(x, weight, epsilon, wide, residual);
}

// Where x is; on a GPU without waiting for what is under way there.
at::Tensor FrequenciesBeside(const at::Tensor& x, const Rope& rope) {
  return rope.inverse_F.to(x.options().dtype(at::kFloat).requires_grad(false),
                           /*non_blocking=*/true);
}

// x / rms(x), in float32.
at::Tensor OverRms(const at::Tensor& x, double epsilon) {
  const at::Tensor wide = x.to(at::kFloat);
  return wide * at::rsqrt((wide * wide).mean(-1, /*keepdim=*/true) + epsilon);
}

at::Tensor ExpandHeads(const at::Tensor& x_BGTE, int64_t heads) {
  const int64_t groups = x_BGTE.size(1);
  return groups == heads ? x_BGTE : x_BGTE.repeat_interleave(heads / groups, 1);
}

// Softmax in float32, beside a learned sink's logit where there is one.
at::Tensor Softmax(const at::Tensor& logits_BHRS,
                   const at::Tensor& learned_sinks_H) {
  if (!learned_sinks_H.defined())
    return at::softmax(logits_BHRS, -1, at::kFloat);
  const at::Tensor sink_BHR1 =
      learned_sinks_H.to(logits_BHRS.scalar_type())
          .view({-1, 1, 1})
          .expand({logits_BHRS.size(0), -1, logits_BHRS.size(2), -1});
  return at::softmax(at::cat({logits_BHRS, sink_BHR1}, -1), -1, at::kFloat)
      .slice(-1, 0, -1);
}

struct HeadTensors {
  at::Tensor q_BHTE, k_BHTE, v_BHTE, learned_sinks_H;
};

// Rows [begin, end) of A v, over the columns that they see.
at::Tensor AttendRows(const HeadTensors& heads, const AttentionShape& shape,
                      int64_t begin, int64_t end) {
  const int64_t first =
      shape.window > 0 ? std::max<int64_t>(0, begin - shape.window + 1) : 0;
  const auto integers = heads.q_BHTE.options().dtype(at::kLong);
  const at::Tensor row_R1 = at::arange(begin, end, integers).unsqueeze(1);
  const at::Tensor column_1S = at::arange(first, end, integers).unsqueeze(0);
  at::Tensor hidden_RS = column_1S > row_R1;
  if (shape.window > 0) {
    hidden_RS = hidden_RS.logical_or(column_1S <= row_R1 - shape.window);
  }
  at::Tensor logits_BHRS =
      at::matmul(heads.q_BHTE.slice(2, begin, end),
                 heads.k_BHTE.slice(2, first, end).transpose(-1, -2)) *
      shape.scale;
  if (shape.soft_cap > 0) {
    logits_BHRS = at::tanh(logits_BHRS / shape.soft_cap) * shape.soft_cap;
  }
  logits_BHRS = logits_BHRS.masked_fill(
      hidden_RS, -std::numeric_limits<float>::infinity());
  const at::Tensor weights_BHRS =
      shape.kind == AttentionKind::kRelu
          ? at::relu(logits_BHRS) / (row_R1 + 1)
          : Softmax(logits_BHRS, heads.learned_sinks_H)
                .to(heads.q_BHTE.scalar_type());
  return at::matmul(weights_BHRS, heads.v_BHTE.slice(2, first, end));
}

// What attention gives, and, where its kernel tells it, the log-sum-exp of each
// row's logits: [B,H,T].
struct Attended {
  at::Tensor z_BHTE;
  at::Tensor log_sum_exp_BHT;
};

// Of whole causal rows. On a GPU by the kernel that LibTorch chooses, asked for
// by name, because only so it gives the log-sum-exp.
Attended AttendFused(const at::Tensor& q_BHTE, const at::Tensor& k_BHTE,
                     const at::Tensor& v_BHTE, double scale) {
  // at::SDPBackend.
  constexpr int64_t kFlash = 1, kEfficient = 2, kCudnn = 3;
  const bool rounded = q_BHTE.scalar_type() == at::kBFloat16;
  // Heads of other widths are padded by the general operator.
  constexpr int64_t kEights = 8;
  const int64_t chosen =
      IsForwardOnGpu(q_BHTE) && (!rounded || q_BHTE.size(3) % kEights == 0)
          ? at::_fused_sdp_choice(q_BHTE, k_BHTE, v_BHTE, {}, 0.0,
                                  /*is_causal=*/true, scale)
          : 0;
  if (chosen == kCudnn) {
    const auto told = at::_scaled_dot_product_cudnn_attention(
        q_BHTE, k_BHTE, v_BHTE, {}, /*compute_log_sumexp=*/true, 0.0,
        /*is_causal=*/true, /*return_debug_mask=*/false, scale);
    return {std::get<0>(told),
            std::get<1>(told).reshape(q_BHTE.sizes().slice(0, 3))};
  }
  if (chosen == kFlash) {
    const auto told = at::_scaled_dot_product_flash_attention(
        q_BHTE, k_BHTE, v_BHTE, 0.0, /*is_causal=*/true,
        /*return_debug_mask=*/false, scale);
    return {std::get<0>(told), std::get<1>(told)};
  }
  if (chosen == kEfficient) {
    const auto told = at::_scaled_dot_product_efficient_attention(
        q_BHTE, k_BHTE, v_BHTE, {}, /*compute_log_sumexp=*/true, 0.0,
        /*is_causal=*/true, scale);
    // Of more rows than there are, for the sake of its alignment.
    return {std::get<0>(told), std::get<1>(told).narrow(2, 0, q_BHTE.size(2))};
  }
  return {at::scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, {}, 0.0,
                                           /*is_causal=*/true, scale),
          at::Tensor()};
}

at::Tensor AttendInRowBlocks(const HeadTensors& heads,
                             const AttentionShape& shape) {
  const int64_t tokens = heads.q_BHTE.size(2);
  std::vector<at::Tensor> blocks;
  for (int64_t begin = 0; begin < tokens; begin += kRowsPerBlock) {
    blocks.push_back(AttendRows(heads, shape, begin,
                                std::min(begin + kRowsPerBlock, tokens)));
  }
  return at::cat(blocks, 2);
}

Attended Attend(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                const at::Tensor& v_BGTE, const AttentionShape& shape,
                const at::Tensor& learned_sinks_H) {
  const at::Tensor k_BHTE = ExpandHeads(k_BGTE, q_BHTE.size(1));
  const at::Tensor v_BHTE = ExpandHeads(v_BGTE, q_BHTE.size(1));
  const bool sees_all = shape.window == 0 || shape.window >= q_BHTE.size(2);
  // The fused paths want values as wide as keys.
  const bool even = v_BGTE.size(3) == q_BHTE.size(3);
  if (shape.kind == AttentionKind::kSoftmax && sees_all && even &&
      shape.soft_cap == 0 && !learned_sinks_H.defined()) {
    return AttendFused(q_BHTE, k_BHTE, v_BHTE, shape.scale);
  }
  return {AttendInRowBlocks({q_BHTE, k_BHTE, v_BHTE, learned_sinks_H}, shape),
          at::Tensor()};
}

}  // namespace

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias) {
  return at::linear(x, weight, Optional(bias));
}

at::Tensor Project(const TensorMap& weights, const std::string& name,
                   const at::Tensor& x) {
  const auto bias = weights.find(name + ".bias");
  return Linear(x, weights.at(name + ".weight"),
                bias == weights.end() ? at::Tensor() : bias->second);
}

at::Tensor SwiGlu(const TensorMap& weights, const std::string& prefix,
                  const at::Tensor& x) {
  // In place: these are the widest activations of a block.
  at::Tensor hidden = Project(weights, prefix + "gate_proj", x);
  const at::Tensor up = Project(weights, prefix + "up_proj", x);
  static const auto kernel =
      FindKernel<at::Tensor(const at::Tensor&, const at::Tensor&)>(
          "sinkwatch::silu_times_");
  if (kernel && IsForwardOnGpu(hidden)) {
    kernel->call(hidden, up);
  } else {
    at::silu_(hidden).mul_(up);
  }
  return Project(weights, prefix + "down_proj", hidden);
}

at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& weight,
                     const at::Tensor& bias, double epsilon) {
  const at::Tensor weight_float =
      weight.defined() ? weight.to(at::kFloat) : weight;
  const at::Tensor bias_float = bias.defined() ? bias.to(at::kFloat) : bias;
  return at::layer_norm(x.to(at::kFloat), {x.size(-1)}, Optional(weight_float),
                        Optional(bias_float), epsilon)
      .to(x.scalar_type());
}

at::Tensor LayerNorm(const TensorMap& weights, const std::string& name,
                     const at::Tensor& x, double epsilon) {
  return LayerNorm(x, weights.at(name + ".weight"), weights.at(name + ".bias"),
                   epsilon);
}

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                   double epsilon) {
  if (weight.dim() == 1) {
    if (auto y = FusedRmsNorm(x, weight, epsilon, /*wide=*/false)) return *y;
  }
  if (auto y = FusedRmsNorm(x, {}, epsilon, /*wide=*/false)) return weight * *y;
  return weight * OverRms(x, epsilon).to(x.scalar_type());
}

at::Tensor RmsNormWide(const at::Tensor& x, const at::Tensor& weight,
                       double epsilon) {
  if (auto y = FusedRmsNorm(x, weight, epsilon, /*wide=*/true)) return *y;
  return (weight.to(at::kFloat) * OverRms(x, epsilon)).to(x.scalar_type());
}

at::Tensor RotaryEmbedding(const at::Tensor& x_BHTE, const Rope& rope) {
  const at::Tensor inverse_F = FrequenciesBeside(x_BHTE, rope);
  static const auto kernel =
      FindKernel<at::Tensor(const at::Tensor&, const at::Tensor&, double)>(
          "sinkwatch::rotary");
  if (kernel && IsForwardOnGpu(x_BHTE)) {
    return kernel->call(x_BHTE, inverse_F, rope.attention_factor);
  }
  const at::Tensor angle_TF =
      at::arange(x_BHTE.size(2), inverse_F.options()).unsqueeze(1) *
      inverse_F.unsqueeze(0);
  const at::Tensor angle_TE = at::cat({angle_TF, angle_TF}, 1);
  const at::Tensor cosine_TE = angle_TE.cos() * rope.attention_factor;
  const at::Tensor sine_TE = angle_TE.sin() * rope.attention_factor;

  const at::Tensor wide = x_BHTE.slice(-1, 0, rope.width()).to(at::kFloat);
  const std::vector<at::Tensor> halves = wide.chunk(2, -1);
  const at::Tensor swapped = at::cat({-halves[1], halves[0]}, -1);
  const at::Tensor turned =
      (wide * cosine_TE + swapped * sine_TE).to(x_BHTE.scalar_type());
  if (rope.width() == x_BHTE.size(3)) return turned;
  return at::cat({turned, x_BHTE.slice(-1, rope.width())}, -1);
}

at::Tensor NormedRotary(const at::Tensor& x_BTD, const at::Tensor& weight,
                        double epsilon, int64_t heads, const Rope& rope) {
  static const auto kernel =
      FindKernel<at::Tensor(const at::Tensor&, const at::Tensor&, double,
                            int64_t, const at::Tensor&, double)>(
          "sinkwatch::norm_rotary");
  if (kernel && IsForwardOnGpu(x_BTD) &&
      weight.scalar_type() == x_BTD.scalar_type()) {
    return kernel->call(x_BTD, weight, epsilon, heads,
                        FrequenciesBeside(x_BTD, rope), rope.attention_factor);
  }
  return RotaryEmbedding(SplitHeads(RmsNormWide(x_BTD, weight, epsilon), heads),
                         rope);
}

at::Tensor Silu(const at::Tensor& x) { return at::silu(x); }

at::Tensor SplitHeads(const at::Tensor& x_BTD, int64_t heads) {
  return x_BTD.unflatten(-1, {heads, x_BTD.size(-1) / heads}).transpose(1, 2);
}

at::Tensor MergeHeads(const at::Tensor& x_BHTE) {
  return x_BHTE.transpose(1, 2).flatten(2);
}

at::Tensor ProjectHeads(const TensorMap& weights, const std::string& name,
                        const at::Tensor& x_BTD, int64_t heads) {
  return SplitHeads(Project(weights, name, x_BTD), heads);
}

at::Tensor CausalAttention(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                           const at::Tensor& v_BGTE,
                           const AttentionShape& shape,
                           const at::Tensor& learned_sinks_H) {
  return Attend(q_BHTE, k_BGTE, v_BGTE, shape, learned_sinks_H).z_BHTE;
}

at::Tensor RecordedAttention(int layer, const at::Tensor& q_BHTE,
                             const at::Tensor& k_BGTE, const at::Tensor& v_BGTE,
                             const AttentionShape& shape, Recorder& recorder,
                             const at::Tensor& learned_sinks_H) {
  return GatedAttention(layer, q_BHTE, k_BGTE, v_BGTE, /*gate=*/{}, shape,
                        recorder, learned_sinks_H);
}

at::Tensor GatedAttention(int layer, const at::Tensor& q_BHTE,
                          const at::Tensor& k_BGTE, const at::Tensor& v_BGTE,
                          const at::Tensor& gate, const AttentionShape& shape,
                          Recorder& recorder,
                          const at::Tensor& learned_sinks_H) {
  recorder.Record(Point::kQ, layer, q_BHTE);
  recorder.Record(Point::kK, layer, k_BGTE);
  recorder.Record(Point::kV, layer, v_BGTE);
  auto [z_BHTE, log_sum_exp_BHT] =
      Attend(q_BHTE, k_BGTE, v_BGTE, shape, learned_sinks_H);
  if (log_sum_exp_BHT.defined()) {
    recorder.Record(Point::kLogSumExp, layer, log_sum_exp_BHT);
  }
  if (Intervention* const intervention = recorder.intervention()) {
    z_BHTE = intervention->HeadOutput(
        {layer, q_BHTE, k_BGTE, v_BGTE, shape, learned_sinks_H}, z_BHTE);
  }
  if (gate.defined()) {
    recorder.Record(Point::kGate, layer, gate);
    recorder.Record(Point::kUngatedZ, layer, z_BHTE);
    z_BHTE = z_BHTE * gate;
  }
  recorder.Record(Point::kZ, layer, z_BHTE);
  return z_BHTE;
}

at::Tensor Added(int layer, Point point, const at::Tensor& added_BTD,
                 Recorder& recorder) {
  Intervention* const intervention = recorder.intervention();
  const at::Tensor used_BTD =
      intervention == nullptr ? added_BTD
                              : intervention->Added(layer, point, added_BTD);
  recorder.Record(point, layer, used_BTD);
  return used_BTD;
}

at::Tensor AddNormed(int layer, const at::Tensor& x_BTD,
                     const at::Tensor& added_BTD, const at::Tensor& weight,
                     double epsilon, Point after, Recorder& recorder) {
  const bool is_seen =
      recorder.Wants(after == Point::kResidMid ? Point::kAttnOut
                                               : Point::kMlpOut) ||
      recorder.intervention() != nullptr;
  std::optional<at::Tensor> sum_BTD;
  if (!is_seen && x_BTD.is_contiguous()) {
    sum_BTD = FusedRmsNorm(added_BTD, weight, epsilon, /*wide=*/true, x_BTD);
  }
  if (!sum_BTD) {
    return AddRecorded(layer, x_BTD, RmsNormWide(added_BTD, weight, epsilon),
                       after, recorder);
  }
  recorder.Record(after, layer, *sum_BTD);
  return *sum_BTD;
}

at::Tensor AddRecorded(int layer, const at::Tensor& x_BTD,
                       const at::Tensor& added_BTD, Point after,
                       Recorder& recorder) {
  const Point point =
      after == Point::kResidMid ? Point::kAttnOut : Point::kMlpOut;
  const at::Tensor sum_BTD = x_BTD + Added(layer, point, added_BTD, recorder);
  recorder.Record(after, layer, sum_BTD);
  return sum_BTD;
}

}  // namespace sinkwatch::model

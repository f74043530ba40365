#ifndef SINKWATCH_WORKER_MODEL_LAYERS_H_
#define SINKWATCH_WORKER_MODEL_LAYERS_H_

#include <cstdint>
#include <string>

#include "ATen/core/Tensor.h"
#include "worker/model/architecture.h"
#include "worker/model/recorder.h"
#include "worker/model/rope.h"
#include "worker/model/tensor_map.h"

// The layers that architectures share. Free functions, differentiable, neutral
// to device and dtype. B sequences, T tokens, D width, H query heads, G
// key/value heads, E head width.
namespace sinkwatch::model {

// x [..., D] -> x weight^T (+ bias), weight [out, D].
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias = {});

// The projection `name`: Linear by `name`.weight and, where the layer has one,
// `name`.bias.
at::Tensor Project(const TensorMap& weights, const std::string& name,
                   const at::Tensor& x);

// down(silu(gate(x)) * up(x)), by the projections `prefix`gate_proj, up_proj
// and down_proj.
at::Tensor SwiGlu(const TensorMap& weights, const std::string& prefix,
                  const at::Tensor& x);

// Layer norm over the last dimension, computed in float32. Undefined weight and
// bias: not affine.
at::Tensor LayerNorm(const at::Tensor& x, const at::Tensor& weight,
                     const at::Tensor& bias, double epsilon);

// The same with `name`.weight and `name`.bias.
at::Tensor LayerNorm(const TensorMap& weights, const std::string& name,
                     const at::Tensor& x, double epsilon);

// x / rms(x) over the last dimension in float32, cast back, then times weight
// (the order of Llama's implementation in Hugging Face transformers).
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight,
                   double epsilon);

// The same with the weight multiplied in float32, before the cast: the order of
// OLMo 2, OLMo-core and gpt-oss. They differ in the last bit of bfloat16 only.
at::Tensor RmsNormWide(const at::Tensor& x, const at::Tensor& weight,
                       double epsilon);

// Rotary position embedding by halves (rotate_half) of the first rope.width()
// elements of each head; the rest passes through. Positions 0..T-1, angles in
// float32. x [B,heads,T,E], E >= rope.width().
at::Tensor RotaryEmbedding(const at::Tensor& x_BHTE, const Rope& rope);

// RmsNormWide over the width of all heads together, then RotaryEmbedding of
// each head: [B,T,heads E] -> [B,heads,T,E].
at::Tensor NormedRotary(const at::Tensor& x_BTD, const at::Tensor& weight,
                        double epsilon, int64_t heads, const Rope& rope);

// x * sigmoid(x).
at::Tensor Silu(const at::Tensor& x);

// [B,T,heads*E] -> [B,heads,T,E] and back.
at::Tensor SplitHeads(const at::Tensor& x_BTD, int64_t heads);
at::Tensor MergeHeads(const at::Tensor& x_BHTE);

// Project, split into heads: [B,T,D] -> [B,heads,T,E].
at::Tensor ProjectHeads(const TensorMap& weights, const std::string& name,
                        const at::Tensor& x_BTD, int64_t heads);

// Causal attention A v -> z [B,H,T,E], A by `shape`; learned sinks, if defined,
// are one more logit of softmax in each row of a head, and get no value. Values
// may have a width of their own, which is then z's. Never holds T x T: plain
// softmax goes through scaled_dot_product_attention's flash path; the rest
// (ReLU, windows, soft caps, learned sinks, such values) through blocks of
// rows.
at::Tensor CausalAttention(const at::Tensor& q_BHTE, const at::Tensor& k_BGTE,
                           const at::Tensor& v_BGTE,
                           const AttentionShape& shape,
                           const at::Tensor& learned_sinks_H = {});

// The same; shows q, k and v (rotated and normed as they are used), then z,
// which an intervention may have changed.
at::Tensor RecordedAttention(int layer, const at::Tensor& q_BHTE,
                             const at::Tensor& k_BGTE, const at::Tensor& v_BGTE,
                             const AttentionShape& shape, Recorder& recorder,
                             const at::Tensor& learned_sinks_H = {});

// z of the same behind an output gate: z times `gate` ([B,H,T,1] or [B,H,T,E],
// 0..1), which is what is shown as z; the gate and what came to it are shown
// beside.
at::Tensor GatedAttention(int layer, const at::Tensor& q_BHTE,
                          const at::Tensor& k_BGTE, const at::Tensor& v_BGTE,
                          const at::Tensor& gate, const AttentionShape& shape,
                          Recorder& recorder,
                          const at::Tensor& learned_sinks_H = {});

// What a sub-layer adds to the stream, unless an intervention changes it; shows
// it at `point`: kAttnOut or kMlpOut.
at::Tensor Added(int layer, Point point, const at::Tensor& added_BTD,
                 Recorder& recorder);

// x + what a sub-layer adds to it, `added`; shows that and then the sum, which
// is the stream at `after`: kResidMid behind attention, kResidPost behind the
// MLP.
at::Tensor AddRecorded(int layer, const at::Tensor& x_BTD,
                       const at::Tensor& added_BTD, Point after,
                       Recorder& recorder);

// The same of RmsNormWide(added).
at::Tensor AddNormed(int layer, const at::Tensor& x_BTD,
                     const at::Tensor& added_BTD, const at::Tensor& weight,
                     double epsilon, Point after, Recorder& recorder);

// The block of most families, x + attention(x), then y + mlp(y), shown at each
// of its points; `attention` and `mlp` give what they add to the stream.
template <typename Attention, typename Mlp>
at::Tensor Residual(int layer, const at::Tensor& x_BTD, Recorder& recorder,
                    const Attention& attention, const Mlp& mlp) {
  recorder.Record(Point::kResidPre, layer, x_BTD);
  const at::Tensor mid_BTD =
      AddRecorded(layer, x_BTD, attention(x_BTD), Point::kResidMid, recorder);
  return AddRecorded(layer, mid_BTD, mlp(mid_BTD), Point::kResidPost, recorder);
}

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_LAYERS_H_

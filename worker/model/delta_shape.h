#ifndef SINKWATCH_WORKER_MODEL_DELTA_SHAPE_H_
#define SINKWATCH_WORKER_MODEL_DELTA_SHAPE_H_

#include <cstdint>
#include <functional>

#include "ATen/core/Tensor.h"
#include "worker/files/fields.h"
#include "worker/model/architecture.h"

// What the hybrids' layers of delta networks have in common: the sizes that
// their configs give them, and the way of a convolved q|k|v to an output.
namespace sinkwatch::model {

struct DeltaShape {
  int64_t key_heads = 0, value_heads = 0;
  int64_t key_dim = 0, value_dim = 0;  // of a head
  int64_t taps = 0;                    // of the convolution

  int64_t keys() const { return key_heads * key_dim; }
  int64_t values() const { return value_heads * value_dim; }
};

// Keys linear_num_{key,value}_heads, linear_{key,value}_head_dim and
// linear_conv_kernel_dim, bounded; `fallback` where they are absent, of which a
// value_dim of 0 means twice the key's. DATA_LOSS if value heads do not share
// out over key heads.
DeltaShape ReadDeltaShape(files::Fields& config, const DeltaShape& fallback);

// Makes layers without attention of those that layer_types calls
// "linear_attention", or of layers i with linear(i) where that key is absent.
// UNIMPLEMENTED for a type other than that and "full_attention".
void ReadLinearLayers(files::Fields& config,
                      const std::function<bool(int)>& linear,
                      ModelShape& shape);

// The delta rule of mixed_BTC = q|k|v, each key head for as many value heads:
// g and beta [B,value heads,T] -> [B,value heads,T,value_dim].
at::Tensor RunDeltaRule(const at::Tensor& mixed_BTC, const at::Tensor& g_BHT,
                        const at::Tensor& beta_BHT, const DeltaShape& shape);

// RMSNorm over a head's output, times silu of its gate: both [B,H,T,V] ->
// [B,T,H*V].
at::Tensor GatedOutput(const at::Tensor& out_BHTV, const at::Tensor& gate_BHTV,
                       const at::Tensor& norm_V, double epsilon);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_DELTA_SHAPE_H_

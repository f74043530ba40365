#ifndef SINKWATCH_WORKER_METRICS_LAYER_BATCH_H_
#define SINKWATCH_WORKER_METRICS_LAYER_BATCH_H_

#include "ATen/core/Tensor.h"
#include "worker/kernels/attention_stats.h"

namespace sinkwatch::metrics {

// Tensors of a LayerBatch that a metric needs, as bits.
enum Needs : unsigned {
  kNeedsQueryKey = 1,
  kNeedsKey = 2,
  kNeedsValue = 4,
  kNeedsHeadOutput = 8,
  kNeedsProjection = 16,
  kNeedsResidualPre = 32,
  kNeedsResidualPost = 64,
  kNeedsAttentionOut = 128,
  kNeedsMlpOut = 256,
  kNeedsGate = 512,
  kNeedsRouter = 1024,
};

// One layer of one batch of one domain, as the forward pass showed it. B
// sequences, T tokens, D width, H heads, G key/value heads, E head width. A
// tensor whose point never fired is undefined; what needs it is then absent
// from the result, never 0. On the compute device, in the compute dtype.
struct LayerBatch {
  int domain = 0;  // index into the domains given to Create
  int layer = 0;   // -1: the embedding output, only resid_post_BTD
  at::Tensor resid_pre_BTD;
  at::Tensor q_BHTE;
  at::Tensor k_BGTE;
  at::Tensor v_BGTE;
  at::Tensor z_BHTE;
  at::Tensor gate_BHTN;  // N is 1 or E; only where there is an output gate,
  at::Tensor ungated_z_BHTE;  // and then z before it
  at::Tensor attn_out_BTD;    // only if MeasurementBuilder::needs() has it
  at::Tensor resid_mid_BTD;   // with mlp_out_BTD
  at::Tensor mlp_out_BTD;     // likewise
  at::Tensor resid_post_BTD;
  // Of a mixture of X experts: the router's scores before the choice, and the K
  // experts that it chose, int64; only if needs() has it.
  at::Tensor router_BTX;
  at::Tensor experts_BTK;
  at::Tensor output_projection_DHE;  // [D, H*E], W_h side by side
  kernels::AttentionOptions attention;
  at::Tensor tokens_BT;       // int64 on the CPU; undefined: not known
  at::Tensor row_classes_BT;  // uint8 on the CPU; undefined without classes
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_LAYER_BATCH_H_

#ifndef SINKWATCH_WORKER_METRICS_LAYER_STATISTICS_H_
#define SINKWATCH_WORKER_METRICS_LAYER_STATISTICS_H_

#include "ATen/core/Tensor.h"
#include "worker/kernels/attention_stats.h"
#include "worker/kernels/row_moments.h"
#include "worker/kernels/sink_columns.h"
#include "worker/metrics/layer_batch.h"

namespace sinkwatch::metrics {

// Legend: B sequences, T tokens, D width, H heads, G key/value heads, E head
// width, R = E rows of a write factor, C columns of a sink
// set. x_t is the residual stream, W_h the slice of the output projection that
// head h uses.

// The needs that a batch can meet, or-ed.
unsigned Available(const LayerBatch& batch);

// R_h with ||R_h y|| = ||W_h y|| for every y: [H,E,E] float32, upper triangles,
// by Cholesky's factorisation of the Gram matrices W_h' W_h, all heads at once.
// In float64 and with a ridge of 1e-13 of the largest diagonal element, so it
// needs no look at the numbers (which a GPU would have to be waited for), also
// where W_h has dependent columns or is 0: ||R_h y|| is off by at most 3e-7
// ||W_h|| ||y||, as float32's own products are.
at::Tensor WriteFactor(const at::Tensor& output_projection_DHE, int64_t heads);

// What several metrics need of one layer and batch, each computed at its first
// use and kept: float32, on the batch's device. The batch must outlive it.
class LayerStatistics {
 public:
  // `write_factor_HRE` may be undefined if the batch has no projection;
  // `residual_pre_norm_BT` is taken as it is where it is known already.
  LayerStatistics(const LayerBatch& batch, const at::Tensor& write_factor_HRE,
                  const at::Tensor& residual_pre_norm_BT = {})
      : batch_(batch),
        write_factor_HRE_(write_factor_HRE),
        residual_pre_norm_BT_(residual_pre_norm_BT) {}
  LayerStatistics(const LayerStatistics&) = delete;
  LayerStatistics& operator=(const LayerStatistics&) = delete;

  const LayerBatch& batch() const { return batch_; }
  int64_t tokens() const;
  const at::Tensor& write_factor_HRE() const { return write_factor_HRE_; }

  const kernels::AttentionStats& attention();
  // Sink sets, and the mean mass of each sink.
  const kernels::SinkColumns& sinks();

  const at::Tensor& key_norm_BGT();               // ||k_t||
  const at::Tensor& value_norm_BGT();             // ||v_t||
  const at::Tensor& value_write_norm_BHT();       // ||W_h v_t||
  const at::Tensor& output_norm_BHT();            // ||z_t||
  const at::Tensor& output_write_norm_BHT();      // ||W_h z_t||
  const at::Tensor& gate_BHTN();                  // float32, 0..1
  const at::Tensor& residual_pre_norm_BT();       // ||x_t||, input of the block
  const kernels::RowMoments& residual_moments();  // of the block's output
  at::Tensor residual_norm_BT();                  // ||x_t|| of it
  // Whether somebody has asked for them.
  bool has_residual_moments() const { return residual_moments_.sums.defined(); }
  // Median of its |x| over tokens x dims.
  const at::Tensor& residual_median_B();
  const at::Tensor& residual_BTD();  // output of the block, float32
  // What an activation of the sequence must be above to be massive: 100, and
  // 1000 times the median over tokens x dims.
  const at::Tensor& massive_bound_B();

 private:
  const LayerBatch& batch_;
  at::Tensor write_factor_HRE_;
  bool has_attention_ = false;
  kernels::AttentionStats attention_;
  kernels::SinkColumns sinks_;

  // Lengths of x as its heads write it, and, where they come with these, as it
  // is.
  const at::Tensor& WrittenOnce(const at::Tensor& x, at::Tensor& written,
                                at::Tensor& plain) const;

  at::Tensor key_norm_BGT_;
  at::Tensor value_norm_BGT_;
  at::Tensor value_write_norm_BHT_;
  at::Tensor output_norm_BHT_;
  at::Tensor output_write_norm_BHT_;
  at::Tensor gate_BHTN_;
  at::Tensor residual_pre_norm_BT_;
  kernels::RowMoments residual_moments_;
  at::Tensor residual_median_B_;
  at::Tensor residual_BTD_;
  at::Tensor massive_bound_B_;
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_LAYER_STATISTICS_H_

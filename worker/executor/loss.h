#ifndef SINKWATCH_WORKER_EXECUTOR_LOSS_H_
#define SINKWATCH_WORKER_EXECUTOR_LOSS_H_

#include <cstdint>

#include "ATen/core/Tensor.h"
#include "worker/model/architecture.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::executor {

// Next-token cross-entropy (nats) of one batch, with the vocabulary taken in
// slices, so that neither the output matrix nor the logits need be in memory at
// once. Reduced in float32 whatever the compute dtype.
//
// B sequences, T tokens, V vocabulary, D width.
class NextTokenLoss {
 public:
  // tokens_BT int64, on the compute device.
  explicit NextTokenLoss(const at::Tensor& tokens_BT);

  // Takes in rows [first, first + n) of the output matrix: `head` holds just
  // those n as "lm_head", beside the rest of the head. Slices come in any
  // order, each row once. Logits exist for a bounded number of rows of x at a
  // time.
  void AddSlice(const model::Architecture& architecture,
                const model::TensorMap& head, int64_t first,
                const at::Tensor& x_BTD);

  // [B, T-1] float32, after all slices: entry t is the loss of predicting token
  // t + 1 from row t.
  at::Tensor Finish() const;

  // Of each row over all columns, after all slices: [R] float32, R the rows of
  // all sequences in turn; and the columns that they should have had.
  const at::Tensor& log_sum_exp() const { return log_sum_exp_R_; }
  const at::Tensor& targets() const { return target_R_; }

  // Logits that are in memory at a time, by the device that they are on.
  static int64_t LogitsPerBlock(at::Device device);

 private:
  const int64_t sequences_;
  const int64_t rows_;         // of each sequence: T - 1
  const at::Tensor target_R_;  // R: the rows of all sequences in turn
  at::Tensor log_sum_exp_R_;
  at::Tensor target_logit_R_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_LOSS_H_

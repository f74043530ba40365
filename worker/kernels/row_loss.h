#ifndef SINKWATCH_WORKER_KERNELS_ROW_LOSS_H_
#define SINKWATCH_WORKER_KERNELS_ROW_LOSS_H_

#include <cstdint>

#include "ATen/core/Tensor.h"

namespace sinkwatch::kernels {

// Takes the logits of columns [first, first + V) of every row into what is
// known of the rows: log_sum_exp_R, -infinity before the first columns, becomes
// that of all columns so far, and target_logit_R the logit of column target_R
// where that is among these. logits_RV float32 or bfloat16, contiguous;
// target_R int64; both results float32, changed in place, contiguous. Sums are
// float32.
//
// One operator, sinkwatch::row_loss_(Tensor logits, Tensor target, int first,
// Tensor(a!) log_sum_exp, Tensor(b!) target_logit) -> ().
void AddRowLoss(const at::Tensor& logits_RV, const at::Tensor& target_R,
                int64_t first, const at::Tensor& log_sum_exp_R,
                const at::Tensor& target_logit_R);

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_ROW_LOSS_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_LOSS_H_
#define SINKWATCH_WORKER_EXECUTOR_LOSS_H_

#include "ATen/core/Tensor.h"
#include "worker/model/architecture.h"

namespace sinkwatch::executor {

// Next-token cross-entropy (nats) of a batch: [B, T-1] float32, entry t is the
// loss of predicting token t + 1 from row t. Logits exist for a bounded number
// of rows at a time and are reduced in float32 whatever the compute dtype.
at::Tensor NextTokenLoss(const model::Architecture& architecture,
                         const model::TensorMap& head, const at::Tensor& x_BTD,
                         const at::Tensor& tokens_BT);

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_LOSS_H_

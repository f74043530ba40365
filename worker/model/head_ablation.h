#ifndef SINKWATCH_WORKER_MODEL_HEAD_ABLATION_H_
#define SINKWATCH_WORKER_MODEL_HEAD_ABLATION_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "proto/base/ablation_policy.h"
#include "worker/model/intervention.h"

namespace sinkwatch::model {

using base::AblationMode;

// Sequences [begin, end) of a batch, and the heads that are changed in them.
struct AblatedRows {
  int64_t begin = 0;
  int64_t end = 0;
  std::vector<int64_t> heads;
  AblationMode mode = AblationMode::kZero;
};

// `z_BHTE` with the heads of each entry of `rows` changed; a copy. What
// attention becomes in a head, by mode (A its weights, v its values, w the
// layer's window, T or more without one):
//   kZero    z_t = 0.
//   kToSink  rows t < w, which see key 0: all weight on it, z_t = v_0. Other
//            rows stay. A learned sink gets nothing.
//   kNoSink  rows 1 <= t < w: key 0 is hidden, and the rest takes its place.
//            Softmax runs over the visible keys k >= 1 and a learned sink,
//            computed anew from the logits, never from 1 - A. Weights of ReLU
//            attention are not normalised: that of key 0 becomes 0. Row 0,
//            which sees nothing else, and rows that do not see key 0 stay.
at::Tensor AblateHeads(const AttentionInputs& attention,
                       const at::Tensor& z_BHTE,
                       const std::vector<AblatedRows>& rows);

// That in one layer; the others pass.
class HeadAblation final : public Intervention {
 public:
  HeadAblation(int layer, std::vector<AblatedRows> rows)
      : layer_(layer), rows_(std::move(rows)) {}
  at::Tensor HeadOutput(const AttentionInputs& attention,
                        const at::Tensor& z_BHTE) override;

 private:
  const int layer_;
  const std::vector<AblatedRows> rows_;
};

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_HEAD_ABLATION_H_

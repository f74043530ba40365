#ifndef SINKWATCH_WORKER_EXECUTOR_LENS_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_LENS_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/executor/picked_stream.h"
#include "worker/executor/side_run.h"

namespace sinkwatch::executor {

// What the model would say after each layer, on a few rows: the final norm and
// the output matrix on the layer's stream, the matrix in slices.
//
// P sequences, R rows of all of them, L layers and the embedding, D width, V
// columns of a slice.
class LensRun final : public SideRun {
 public:
  // Rows of a sequence, at most, evenly spaced over those with a next token.
  static constexpr int64_t kRows = 8;

  // `plain`: the sequences; in RunLayer as they enter it. All must outlive the
  // run.
  LensRun(const model::Architecture& architecture,
          const std::vector<PickedDomain>& domains,
          std::vector<std::string> metrics, at::Device device,
          const PickedStream& plain);

  void RunLayer(int layer, const model::TensorMap& weights) override;
  void AddHeadSlice(const model::TensorMap& head, int64_t first) override;
  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override;

 private:
  // One domain; what is summed over the columns is of s, the logits, against
  // the largest so far.
  struct Rows {
    at::Tensor row_N;  // of a sequence
    at::Tensor target_R;
    std::vector<at::Tensor> kept;  // by layer, from the embedding: x_RD
    at::Tensor most_LR;            // max s
    at::Tensor sum_LR;             // sum exp(s - max)
    at::Tensor weighted_LR;        // sum exp(s - max) s
    at::Tensor crossed_LR;         // sum exp(s_L - max_L) s, s_L the last's
    at::Tensor target_logit_LR;
  };

  // The last layer's exp(s - max), and what its older sums shrink by.
  struct LastLayer {
    at::Tensor exp_RV;
    at::Tensor shrink_R;
  };

  // The rows of the stream as it stands.
  void Keep();
  static void StartSums(Rows& rows);
  static void Fold(int64_t l, const at::Tensor& s_RV, const LastLayer& last,
                   int64_t first, Rows& rows);
  void Append(const Rows& rows, const std::string& label,
              std::vector<metrics::MetricVector>& values) const;

  const model::Architecture& architecture_;
  const std::vector<PickedDomain>& domains_;
  const std::vector<std::string> metrics_;
  const PickedStream& plain_;
  std::vector<Rows> rows_;  // by domain
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_LENS_RUN_H_

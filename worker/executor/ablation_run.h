#ifndef SINKWATCH_WORKER_EXECUTOR_ABLATION_RUN_H_
#define SINKWATCH_WORKER_EXECUTOR_ABLATION_RUN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "proto/base/ablation_policy.h"
#include "worker/executor/ablation_budget.h"
#include "worker/executor/head_choice.h"
#include "worker/executor/loss.h"
#include "worker/metrics/metric_vector.h"
#include "worker/metrics/row_means.h"
#include "worker/model/architecture.h"
#include "worker/model/head_ablation.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::executor {

struct AblationOptions {
  base::AblationPolicy policy;  // nothing, unless somebody asks
  // States of the run's last measurement, for kAuto; null: there was none.
  const HeadStates* previous = nullptr;
  // Of streams of ablated sequences that are in memory at a time. What does not
  // fit waits for another pass through the weights.
  int64_t max_bytes = int64_t{1} << 30;
  // Seconds of a steady clock. Empty: the machine's.
  std::function<double()> seconds;
};

// What the run needs to know of a batch of the measurement.
struct AblationBatch {
  int domain = 0;
  at::Tensor tokens_BT;       // on the compute device
  at::Tensor row_classes_BT;  // undefined without classes
};

// Heads that are changed, and what the loss says. From the changed layer on,
// each variant (heads of one layer, one mode) is a stream of its own beside
// that of the measurement, and goes through the same layers while their weights
// are in memory, so that each weight is read once. The loss of a variant is
// paired with the measurement's by sequence and row.
//
// Without a budget all sequences are taken; with one, as many of each domain,
// evenly spaced, as let every set of heads that may come fit into it, and at
// least two. If not even these fit and nobody named modes, kZero is the only
// one. Then sets are taken while the budget lasts (ablation_budget.h).
//
// Calls come in this order: for each layer, KeepInputs before its first Block,
// then RunLayer; AddHeadSlice for each slice of the output matrix; FoldLosses.
// While HasMore, another pass: StartPass, RunLayer of each layer, AddHeadSlice,
// FoldLosses. Then Finish.
//
// Thread-compatible. B sequences of a batch, P of them picked, T tokens, D
// width.
class AblationRun {
 public:
  // `between` is called after each Block; an error ends the run. `architecture`
  // must outlive the run. `domains` are the measurement's.
  AblationRun(const model::Architecture& architecture,
              const AblationOptions& options,
              std::vector<metrics::Domain> domains,
              std::vector<AblationBatch> batches,
              const std::string& probe_digest, int64_t tokens_per_batch,
              std::function<absl::Status()> between);

  // INVALID_ARGUMENT if the policy names what the model does not have.
  absl::Status Check() const { return choice_.Check(); }

  // The streams x_BTD that enter the layer, of all sequences in order; a batch
  // may be in several parts by now.
  void KeepInputs(const std::vector<at::Tensor>& streams);
  // `values`: what was measured of the layer; ignored in a later pass.
  absl::Status RunLayer(int layer, const model::TensorMap& weights,
                        const std::vector<metrics::MetricVector>& values);
  // As NextTokenLoss::AddSlice.
  absl::Status AddHeadSlice(const model::TensorMap& head, int64_t first);
  // Folds the losses of the streams that have come to the end. `plain`: the
  // losses [B,T-1] of the model as it is, likewise in order; only once.
  void FoldLosses(const std::vector<at::Tensor>& plain);

  bool HasMore() const { return !waiting_.empty(); }
  // Begins another pass: `embed` makes the stream of picked tokens_PT.
  void StartPass(
      const std::function<at::Tensor(const at::Tensor& tokens_PT)>& embed);

  // All values, and for a person what was left out and what was taken.
  std::vector<metrics::MetricVector> Finish() const;
  std::vector<std::string> Notes() const;
  const HeadStates& states() const { return choice_.states(); }

 private:
  // The picked sequences of a batch.
  struct Piece {
    int domain = 0;
    int64_t sequences = 0;  // of the batch
    at::Tensor pick_P;      // undefined: all
    at::Tensor tokens_PT;
    at::Tensor row_classes_PT;
    at::Tensor loss_PT;
    at::Tensor x_PTD;  // as they enter the layer
  };
  struct Variant {
    int layer = 0;
    HeadSet set;
    model::AblationMode mode = model::AblationMode::kZero;
    std::vector<metrics::RowMeans> difference;  // by domain
    bool dropped = false;
  };
  // Streams that go through the layers together, one after the other.
  struct Segment {
    size_t variant = 0;
    size_t piece = 0;
  };
  struct Chunk {
    std::vector<Segment> segments;
    at::Tensor x_BTD;
    std::vector<NextTokenLoss> loss;  // one, once the head has begun
  };

  int64_t RowsOf(const HeadSet& set) const;
  int64_t RowsOf(const Segment& segment) const {
    return pieces_[segment.piece].tokens_PT.size(0);
  }
  // Sequences of each domain that the budget has for so many modes.
  int64_t ShareOfDomain(int64_t modes) const;
  void Pick(const std::vector<AblationBatch>& batches);
  // Those that begin in the layer.
  std::vector<size_t> Wanted(int layer,
                             const std::vector<metrics::MetricVector>& values);
  // Whether so many sequences more do.
  bool FitsInMemory(int64_t rows) const;
  void Postpone(size_t variant);
  absl::Status Advance(int layer, const model::TensorMap& weights);
  absl::Status AdvanceInputs(int layer, const model::TensorMap& weights);
  absl::Status Begin(int layer, const model::TensorMap& weights,
                     const std::vector<size_t>& variants);
  absl::Status BeginChunk(int layer, const model::TensorMap& weights,
                          std::vector<Segment> segments);
  // Ends the youngest streams until the rest fits into the time.
  void KeepTime(int layer);
  void DropDropped();
  at::Tensor TokensOf(const Chunk& chunk) const;

  const model::Architecture& architecture_;
  const AblationOptions options_;
  const std::vector<metrics::Domain> domains_;
  const int64_t tokens_per_batch_;
  const std::function<absl::Status()> between_;
  HeadChoice choice_;
  AblationBudget budget_;
  std::vector<model::AblationMode> modes_;
  std::vector<Piece> pieces_;  // one per batch
  int64_t sequences_ = 0, picked_ = 0;
  std::vector<Variant> variants_;
  std::vector<Chunk> alive_;
  std::vector<size_t> waiting_;    // variants of this pass, if not the first
  std::vector<size_t> postponed_;  // of the next
  bool first_pass_ = true;
  int passes_ = 1;
  int64_t left_out_by_budget_ = 0, left_out_by_memory_ = 0,
          left_out_by_time_ = 0;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_ABLATION_RUN_H_

#ifndef SINKWATCH_WORKER_METRICS_SELECTIVITY_H_
#define SINKWATCH_WORKER_METRICS_SELECTIVITY_H_

#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/layer_batch.h"
#include "worker/metrics/metric_vector.h"

namespace sinkwatch::metrics {

// Sequences [filler] A B [filler] A that end with the second A: where the last
// row looks tells what a head is for. The same for the same arguments, on any
// machine. N sequences, T tokens, O other positions.
struct SyntheticSequences {
  at::Tensor tokens_NT;  // int64
  at::Tensor first_N;    // position of the first A; B is behind it
  at::Tensor others_NO;  // positions that are no target, none twice
  at::Tensor null_N;     // another of them
};

// The label of their domain.
inline constexpr char kSyntheticDomain[] = "synthetic";
inline constexpr int64_t kSyntheticSequences = 500;
inline constexpr int64_t kSyntheticTokens = 256;
// Fewer tokens have no room for the targets and others.
inline constexpr int64_t kFewestSyntheticTokens = 24;

// Ids are drawn from 100 to 9999 as in arXiv 2606.02378, or from as much of a
// smaller vocabulary.
SyntheticSequences MakeSyntheticSequences(int64_t sequences, int64_t tokens,
                                          int64_t vocabulary);

// A[t,k] of the last row t of each sequence: [B,H,T] float32, on the batch's
// device; of q, k and the attention options.
at::Tensor LastRowOfAttention(const LayerBatch& batch);

// The selectivity of the heads of one layer, folded batch by batch.
//
// Thread-compatible.
class Selectivity {
 public:
  explicit Selectivity(const SyntheticSequences& sequences)
      : sequences_(sequences) {}

  // The next sequences.
  void Fold(const LayerBatch& batch);

  // What SideDescriptors has of selectivity, in that order, where it is defined
  // for every head.
  std::vector<MetricVector> Finish(int layer) const;

 private:
  const SyntheticSequences& sequences_;
  int64_t folded_ = 0;
  std::vector<Accumulator> ratios_;  // by target, the last of the null
  std::vector<Accumulator> masses_;  // by target
};

}  // namespace sinkwatch::metrics

#endif  // SINKWATCH_WORKER_METRICS_SELECTIVITY_H_

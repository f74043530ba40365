#ifndef SINKWATCH_WORKER_KERNELS_CUDA_HEAD_KERNELS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_HEAD_KERNELS_H_

#include <cstdint>

#include "worker/kernels/cuda/attention_stats_kernels.h"

// What nvcc compiles and a host compiler calls: no torch and no CUDA headers.
// `stream` is a cudaStream_t, results are a cudaError_t. Heads: see
// attention_stats_kernels.h, here of any alignment but where it is said.
namespace sinkwatch::kernels::cuda {

// head_norms.h: norms [batch,groups,tokens].
struct HeadNormsCall {
  Heads x;
  bool bfloat16 = false;
  int64_t batch = 0, groups = 0, tokens = 0, width = 0;
  float* norms = nullptr;
};
int LaunchHeadNorms(const HeadNormsCall& call, void* stream);

// head_norms.h: norms [batch,heads,tokens]. Rows of x begin at multiples of 16
// bytes; factor [heads,rows,width], contiguous, of the type of x.
struct WrittenNormsCall {
  Heads x;
  const void* factor = nullptr;
  bool bfloat16 = false;
  int batch = 0, heads = 0, groups = 0, tokens = 0, rows = 0;
  int width = 0;  // a width that IsKernelWidth
  // Norms of a token that is counted through the sequences, where they lie one
  // behind the other: batch 1, tokens of all, and so many of one sequence.
  int sequence = 0;
  float* norms = nullptr;
  float* plain = nullptr;  // [batch,groups,tokens]: lengths of x itself
};
int LaunchWrittenNorms(const WrittenNormsCall& call, void* stream);

// attention_stats.h, AttentionAtColumns of softmax: attention
// [batch,heads,tokens,chosen], chosen <= kMaxChosenColumns.
constexpr int kMaxChosenColumns = 8;
struct ColumnsCall {
  Heads q, k;
  bool bfloat16 = false;
  int batch = 0, heads = 0, groups = 0, tokens = 0, width = 0, chosen = 0;
  const float* log_sum_exp = nullptr;  // [batch,heads,tokens]
  const int64_t* columns = nullptr;    // [batch,heads,chosen]
  float scale = 0;
  float soft_cap = 0;
  int64_t window = 0;
  float* attention = nullptr;
};
int LaunchAttentionAtColumns(const ColumnsCall& call, void* stream);

// gram_factor.h: gram [parts,heads,width,width], width <= kMaxGramWidth.
struct GramFactorCall {
  const void* gram = nullptr;
  bool floats = false;  // float32, or else float64
  int parts = 0;
  int64_t heads = 0;
  int width = 0;
  float* factor = nullptr;  // [heads,width,width]
};
int LaunchGramFactor(const GramFactorCall& call, void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_HEAD_KERNELS_H_

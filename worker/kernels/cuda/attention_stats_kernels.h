#ifndef SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_STATS_KERNELS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_STATS_KERNELS_H_

#include <cstdint>

// What nvcc compiles and a host compiler calls: no torch and no CUDA headers.
namespace sinkwatch::kernels::cuda {

// A stack of heads [B,N,T,E]: E is contiguous, strides are in elements. Rows
// begin at multiples of 16 bytes.
struct Heads {
  const void* data = nullptr;
  int64_t batch_stride = 0;
  int64_t head_stride = 0;
  int64_t token_stride = 0;
};

// Softmax attention of B sequences, H query heads, G key heads, T tokens, head
// width E. All results are float32 (attention_stats.h).
struct AttentionStatsCall {
  Heads q, k;  // bfloat16, or else float32
  bool bfloat16 = false;
  int batch = 0, heads = 0, groups = 0, tokens = 0;
  int width = 0;                         // a width that IsKernelWidth
  int window = 0;                        // 0: none
  float scale = 0;                       // above 0
  const float* learned_sinks = nullptr;  // [H] or null
  float* rows = nullptr;                 // [kNumRowStats,B,H,T]
  float* columns = nullptr;              // [B,H,T]
  float* scratch = nullptr;              // [2,B,H,T], of two passes
  // Of one pass: natural, [B,H,T]; and a sum of each column for every
  // kRowsOfPart rows, [parts,B,H,T].
  const float* log_sum_exp = nullptr;
  float* column_parts = nullptr;
  float* query_norm = nullptr;  // [B,H,T], a result of one pass
  float* key_norm = nullptr;    // [B,G,T], another
  bool portable = false;  // by the kernel for every card, where this one has
                          // its own: one is the other's test
};
constexpr int kRowsOfPart = 128;

constexpr int kMaxKernelWidth = 256;

// The widths that there are kernels for; a head of another width is padded with
// zeros to the next.
constexpr bool IsKernelWidth(int width, bool bfloat16) {
  return bfloat16 ? width == 64 || width == 80 || width == 96 || width == 128 ||
                        width == 256
                  : width % 4 == 0 && width > 0 && width <= kMaxKernelWidth;
}
constexpr int NextKernelWidth(int width, bool bfloat16) {
  while (!IsKernelWidth(width, bfloat16)) ++width;
  return width;
}

// Two launches on `stream` (a cudaStream_t). Returns a cudaError_t.
int LaunchAttentionStats(const AttentionStatsCall& call, void* stream);

// The same from the log-sum-exp, without window and learned sinks.
int LaunchAttentionStatsOnce(const AttentionStatsCall& call, void* stream);
// Its rows and parts of columns by wgmma, where the card and the width have it.
int LaunchAttentionStatsWgmma(const AttentionStatsCall& call, void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_ATTENTION_STATS_KERNELS_H_

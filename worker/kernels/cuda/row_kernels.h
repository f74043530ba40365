#ifndef SINKWATCH_WORKER_KERNELS_CUDA_ROW_KERNELS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_ROW_KERNELS_H_

#include <cstdint>

// What nvcc compiles and a host compiler calls: no torch and no CUDA headers.
// `stream` is a cudaStream_t, results are a cudaError_t.
namespace sinkwatch::kernels::cuda {

// row_median.h. x [rows,n], contiguous; rows <= kMedianRows where a row is
// longer than kShortRow; scratch: bytes as below, of any content.
constexpr int64_t kShortRow = 8192;  // fits into shared memory
constexpr int kMedianRows = 256;     // that scratch memory is meant for
struct RowMedianCall {
  const void* x = nullptr;
  bool bfloat16 = false;
  bool absolute = false;
  int rows = 0;
  int64_t n = 0;
  float* median = nullptr;  // [rows]
  void* scratch = nullptr;
};
int64_t RowMedianScratchBytes(int rows, int64_t n);
int LaunchRowMedian(const RowMedianCall& call, void* stream);

// row_loss.h. logits [rows,columns], contiguous.
struct RowLossCall {
  const void* logits = nullptr;
  bool bfloat16 = false;
  int rows = 0;
  int64_t columns = 0;
  const int64_t* target = nullptr;
  int64_t first = 0;
  float* log_sum_exp = nullptr;
  float* target_logit = nullptr;
};
int LaunchRowLoss(const RowLossCall& call, void* stream);

// row_moments.h. x [rows,width], contiguous.
struct RowMomentsCall {
  const void* x = nullptr;
  bool bfloat16 = false;
  int64_t rows = 0, width = 0;
  float* sums = nullptr;     // [3,rows]
  double* powers = nullptr;  // [4,rows]
};
int LaunchRowMoments(const RowMomentsCall& call, void* stream);

struct KurtosisCall {
  const double* powers = nullptr;  // [4,sequences,tokens]
  int64_t sequences = 0, tokens = 0, width = 0;
  double* kurtosis = nullptr;  // [sequences]
};
int LaunchKurtosis(const KurtosisCall& call, void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_ROW_KERNELS_H_

#ifndef SINKWATCH_WORKER_KERNELS_CUDA_FOLD_KERNELS_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_FOLD_KERNELS_H_

#include <cstdint>

// What nvcc compiles and a host compiler calls: no torch and no CUDA headers.
// `stream` is a cudaStream_t, results are a cudaError_t.
namespace sinkwatch::kernels::cuda {

enum class PlaneType : int { kFloat, kDouble, kInt64 };

// row_fold.h: a plane; null where it is left out. Strides in elements, 0 of a
// dimension that stands for all.
struct FoldPlane {
  const void* data = nullptr;
  int64_t of_sequence = 0, of_value = 0, of_row = 0;
};

struct FoldTerm {
  FoldPlane a, minus, times, over, over_too;  // float, but for a
  PlaneType type = PlaneType::kFloat;         // of a
  float scale = 1;
  float above = 0;  // NaN: none
  bool largest = false;
  int first = 0, end = 0;  // rows
  int values = 0;          // N
};

// Terms of a launch: they are its parameters, of which there are 32 KB.
constexpr int kMaxFoldTerms = 48;

struct FoldRowsCall {
  FoldTerm terms[kMaxFoldTerms];
  int count = 0;
  int values = 0;      // of these terms
  int all_values = 0;  // of the call's, of which these begin at `offset`
  int offset = 0;
  int batch = 0;
  int groups = 1;                    // 1 + classes
  const uint8_t* classes = nullptr;  // [batch,tokens], contiguous
  int tokens = 0;
  double* sums = nullptr;  // [batch,all_values,groups]
};
int LaunchFoldRows(const FoldRowsCall& call, void* stream);

// sink_columns.h.
struct SinkColumnsCall {
  const float* column_mass = nullptr;  // [heads,tokens], contiguous
  int64_t heads = 0;                   // of all sequences
  int tokens = 0;
  int64_t window = 0;
  float fewest_rows = 0;
  int wanted = 0;
  int64_t* columns = nullptr;  // [heads,wanted]
  float* mass = nullptr;
};
int LaunchSinkColumns(const SinkColumnsCall& call, void* stream);

}  // namespace sinkwatch::kernels::cuda

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_FOLD_KERNELS_H_

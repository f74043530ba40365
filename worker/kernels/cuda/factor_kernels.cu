// Cholesky's factors of Gram matrices, a block a matrix, in shared memory.
#include <cuda_runtime.h>

#include "worker/kernels/cuda/head_kernels.h"
#include "worker/kernels/gram_rule.h"

namespace sinkwatch::kernels::cuda {
namespace {

constexpr int kThreads = 512;

// Row by row: what is left of the matrix below row j loses r_j' r_j. Of the
// symmetric matrix only the upper triangle is kept.
__global__ void __launch_bounds__(kThreads) GramFactor(GramFactorCall call) {
  extern __shared__ double matrix[];  // [width,width + 1]
  __shared__ double largest;
  const int width = call.width, pitch = width + 1;
  const int64_t size = static_cast<int64_t>(width) * width;
  const int64_t apart = call.heads * size;
  for (int i = threadIdx.x; i < size; i += kThreads) {
    double sum = 0;
    for (int part = 0; part < call.parts; ++part) {
      sum += call.gram[part * apart + blockIdx.x * size + i];
    }
    matrix[i / width * pitch + i % width] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double most = matrix[0];
    for (int i = 1; i < width; ++i) {
      const double next = matrix[i * pitch + i];
      // What is no number stays: it is larger than all.
      if (next > most || next != next) most = next;
      if (most != most) break;
    }
    largest = most;
  }
  __syncthreads();
  const double ridge = largest * kRidge + kSmallestRidge;
  if (threadIdx.x < width) matrix[threadIdx.x * pitch + threadIdx.x] += ridge;
  __syncthreads();
  // Threads in rows of 32 columns.
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  constexpr int kWarps = kThreads / 32;
  for (int j = 0; j < width; ++j) {
    double* const row = matrix + j * pitch;
    const double pivot = rsqrt(row[j]);
    __syncthreads();  // all have the pivot before it is overwritten
    for (int k = j + threadIdx.x; k < width; k += kThreads) row[k] *= pivot;
    __syncthreads();
    for (int i = j + 1 + warp; i < width; i += kWarps) {
      const double factor = row[i];
      double* const below = matrix + i * pitch;
      for (int k = i + lane; k < width; k += 32) below[k] -= factor * row[k];
    }
    __syncthreads();
  }
  float* const to = call.factor + blockIdx.x * size;
  for (int i = threadIdx.x; i < size; i += kThreads) {
    const int r = i / width, k = i % width;
    to[i] = k < r ? 0.0f : static_cast<float>(matrix[r * pitch + k]);
  }
}

}  // namespace

int LaunchGramFactor(const GramFactorCall& call, void* stream) {
  const size_t bytes = static_cast<size_t>(call.width) * (call.width + 1) *
                       sizeof(double);
  const cudaError_t error = cudaFuncSetAttribute(
      GramFactor, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(bytes));
  if (error != cudaSuccess) return error;
  GramFactor<<<static_cast<unsigned>(call.heads), kThreads, bytes,
               static_cast<cudaStream_t>(stream)>>>(call);
  return cudaGetLastError();
}

}  // namespace sinkwatch::kernels::cuda

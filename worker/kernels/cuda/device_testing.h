#ifndef SINKWATCH_WORKER_KERNELS_CUDA_DEVICE_TESTING_H_
#define SINKWATCH_WORKER_KERNELS_CUDA_DEVICE_TESTING_H_

#include <string>

#include "ATen/core/Tensor.h"
#include "gtest/gtest.h"

// Both sides of a comparison between a card and the CPU.
namespace sinkwatch::kernels {

inline at::Tensor ToGpu(const at::Tensor& x) { return x.to(at::kCUDA); }
inline at::Tensor ToCpu(const at::Tensor& x) {
  return x.defined() ? x.to(at::kCPU) : x;
}

// Of both dtypes that a worker computes in. What is random is drawn in float32
// and rounded, so that the CPU's reference sees the same numbers.
class InBothDtypes : public testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor Rounded(const at::Tensor& x) const { return x.to(GetParam()); }
};

inline std::string DtypeName(
    const testing::TestParamInfo<at::ScalarType>& info) {
  return c10::toString(info.param);
}

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_CUDA_DEVICE_TESTING_H_

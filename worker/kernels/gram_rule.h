#ifndef SINKWATCH_WORKER_KERNELS_GRAM_RULE_H_
#define SINKWATCH_WORKER_KERNELS_GRAM_RULE_H_

#include <cstdint>

// The numbers of GramFactor (gram_factor.h), for every implementation.
namespace sinkwatch::kernels {

constexpr double kRidge = 1e-13;          // of the largest diagonal element
constexpr double kRidgeOfFloats = 1e-5;   // the same, where parts are float32
constexpr double kSmallestRidge = 1e-60;  // where the matrix is 0
constexpr double kSmallestRidgeOfFloats = 1e-30;
constexpr int64_t kMaxGramWidth = 128;  // of a device's own implementation

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_GRAM_RULE_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_HOST_BUFFERS_H_
#define SINKWATCH_WORKER_EXECUTOR_HOST_BUFFERS_H_

#include <cstdint>
#include <memory>

#include "ATen/core/Tensor.h"

namespace sinkwatch::executor {

// Memory of weights on the CPU that is used again: layer l + 1 goes where layer
// l - 1 was, so that pages are taken from the system (a fault each, a third of
// the time of loading) for the first two layers only. Large blocks ask for huge
// pages.
//
// A request that no free block fits exactly gives all free blocks back to the
// system first: what is held is at most what was in use at once. Thread-safe.
class HostBuffers {
 public:
  HostBuffers();
  ~HostBuffers();
  HostBuffers(const HostBuffers&) = delete;
  HostBuffers& operator=(const HostBuffers&) = delete;

  // Uninitialised, contiguous, on the CPU. Its memory comes back when the last
  // tensor over it is gone, which may be after this object. Throws
  // std::bad_alloc.
  at::Tensor Empty(at::IntArrayRef shape, at::ScalarType type);

  // Bytes that nobody uses.
  int64_t free_bytes() const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_HOST_BUFFERS_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_STAGING_H_
#define SINKWATCH_WORKER_EXECUTOR_STAGING_H_

#include <array>
#include <cstdint>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "c10/core/Event.h"
#include "c10/core/Stream.h"
#include "worker/checkpoint/checkpoint.h"

namespace sinkwatch::executor {

// The way of weights from files to a device: each thread has two chunks of
// pinned memory, of which one is filled while the other is copied, on a stream
// that is not the one that computes. LibTorch keeps pinned memory for the next
// user, so that a process pays for it once. Speaks to the device through
// LibTorch's neutral interface: a worker does not link CUDA.
//
// Begin, End and Drain are called by the thread that computes, Copy by the
// threads that read, in between.
class Staging {
 public:
  Staging(at::Device device, int threads);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // How many rows are copied at a time; at least one.
  static int64_t RowsOfChunk(int64_t row_bytes);

  // Copies wait for what the current stream has under way: the memory that they
  // go to may still be in use there.
  void Begin();
  // Reads the rows, at most RowsOfChunk, and starts their copy to where they
  // belong in `to` (dense, of the reader's type, on the device).
  absl::Status Copy(const checkpoint::RowsReader& reader,
                    checkpoint::RowRange rows, const at::Tensor& to,
                    int thread);
  // The current stream waits for all copies.
  void End();
  // Waits, here, for all copies.
  void Drain();

 private:
  struct Chunk {
    explicit Chunk(at::DeviceType type) : copied(type) {}
    at::Tensor memory;  // bytes, pinned
    c10::Event copied;
  };
  struct Lane {  // of one thread
    explicit Lane(at::DeviceType type) : chunks{Chunk(type), Chunk(type)} {}
    std::array<Chunk, 2> chunks;
    int next = 0;
  };

  const at::Device device_;
  const c10::Stream stream_;
  c10::Event ready_;
  c10::Event landed_;
  std::vector<Lane> lanes_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_STAGING_H_

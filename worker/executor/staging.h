#ifndef SINKWATCH_WORKER_EXECUTOR_STAGING_H_
#define SINKWATCH_WORKER_EXECUTOR_STAGING_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "c10/core/Event.h"
#include "c10/core/Stream.h"
#include "worker/checkpoint/checkpoint.h"

namespace sinkwatch::executor {

// The way of weights from files to a device: each thread has four chunks of
// pinned memory, of which one is filled while the others are copied, on a
// stream that is not the one that computes. LibTorch keeps pinned memory for
// the next user, so that a process pays for it once. Speaks to the device
// through LibTorch's neutral interface: a worker does not link CUDA.
//
// Begin, Land and Drain are called by the thread that computes, Copy and End by
// the threads that read, in between.
class Staging {
 public:
  Staging(at::Device device, int threads);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // How many rows are copied at a time; at least one.
  static int64_t RowsOfChunk(int64_t row_bytes);

  // The copies of one part.
  struct Transfer {
    explicit Transfer(at::DeviceType type) : ready(type), landed(type) {}
    c10::Event ready;  // the memory that they go to may be written
    std::once_flag waits;
    c10::Event landed;
  };

  // Its copies wait for what the current stream has under way now: the memory
  // that they go to may still be in use there.
  std::unique_ptr<Transfer> Begin();
  // Reads the rows, at most RowsOfChunk, and starts their copy to where they
  // belong in `to` (dense, of the reader's type, on the device).
  absl::Status Copy(Transfer& transfer, const checkpoint::RowsReader& reader,
                    checkpoint::RowRange rows, const at::Tensor& to,
                    int thread);
  // After the last copy was started.
  void End(Transfer& transfer);
  // The current stream waits for a transfer that was ended.
  void Land(Transfer& transfer);
  // Waits, here, for all copies.
  void Drain();

 private:
  struct Chunk {
    explicit Chunk(at::DeviceType type) : copied(type) {}
    at::Tensor memory;  // bytes, pinned
    c10::Event copied;
  };
  struct Lane {  // of one thread
    explicit Lane(at::DeviceType type)
        : chunks{Chunk(type), Chunk(type), Chunk(type), Chunk(type)} {}
    std::array<Chunk, 4> chunks;
    int next = 0;
  };

  const at::Device device_;
  const c10::Stream stream_;
  std::vector<Lane> lanes_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_STAGING_H_

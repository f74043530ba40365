#ifndef SINKWATCH_WORKER_EXECUTOR_STAGING_H_
#define SINKWATCH_WORKER_EXECUTOR_STAGING_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "ATen/core/Tensor.h"
#include "c10/core/Event.h"
#include "c10/core/Stream.h"
#include "worker/executor/turn_ring.h"

namespace sinkwatch::executor {

// The way of weights from files to a device: a ring of chunks of pinned memory.
// A chunk is filled by several threads, part by part, and copied at once, on a
// stream that is not the one that computes, while the others are filled.
// LibTorch keeps pinned memory for the next user, so that a process pays for it
// once. Speaks to the device through LibTorch's neutral interface: a worker
// does not link CUDA.
//
// Begin, Enqueue, Land and Drain are called by the thread that computes, the
// others by the threads that read, in between.
class Staging {
 public:
  explicit Staging(at::Device device);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // What a copy has at most, but for parts that are longer.
  static constexpr int64_t kCopyBytes = 8 << 20;

  // Of a run of memory on the device, one after the other.
  struct Copy {
    int64_t at = 0;  // its first byte there
    int64_t bytes = 0;
    std::atomic<int64_t> parts_left{0};
    int64_t turn = -1;
  };

  // The copies to one run of memory.
  struct Transfer {
    Transfer(at::DeviceType type, at::Tensor to)
        : to(std::move(to)), ready(type), landed(type) {}
    const at::Tensor to;  // bytes, on the device
    c10::Event ready;     // they may be written
    std::once_flag waits;
    c10::Event landed;
  };

  // Its copies wait for what the current stream has under way now: the memory
  // that they go to may still be in use there.
  std::unique_ptr<Transfer> Begin(at::Tensor to);
  // Before any of its parts is read. Parts must be begun in this order, and
  // every one must be finished.
  void Enqueue(Copy& copy) { copy.turn = next_turn_++; }
  // Waits for a chunk; where byte `at` of the transfer's memory is to be read
  // to.
  char* MemoryFor(const Copy& copy, int64_t at);
  // The last part of a copy starts it; not if it is not `complete`, because
  // another part could not be read.
  void FinishPart(Transfer& transfer, Copy& copy, bool complete);
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

  void Start(Transfer& transfer, const Copy& copy);

  const at::Device device_;
  const c10::Stream stream_;
  int64_t next_turn_ = 0;
  std::deque<Chunk> chunks_;
  TurnRing ring_;  // of chunks_
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_STAGING_H_

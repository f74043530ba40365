#include "worker/executor/staging.h"

#include <algorithm>
#include <utility>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/empty.h"
#include "absl/cleanup/cleanup.h"
#include "c10/core/StreamGuard.h"
#include "c10/core/impl/VirtualGuardImpl.h"

namespace sinkwatch::executor {
namespace {

// Together they lie in the last cache of a server: a chunk is then written by
// cores and read by the bus without a way through memory. On an H200 with 16
// cores 1 MiB at a time, which is one part, brings 47 GB/s over the bus, 8 MiB
// 54, as much as it takes; 96 MiB of chunks 36.
constexpr size_t kChunks = 6;

c10::impl::VirtualGuardImpl DeviceOf(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type());
}

// The kernels' library has one that costs a card less memory.
c10::Stream CopyStreamOf(at::Device device) {
  static const auto op = c10::Dispatcher::singleton().findSchema(
      {"sinkwatch::cuda_copy_stream", ""});
  if (!op || !device.is_cuda()) {
    return DeviceOf(device).getStreamFromGlobalPool(device);
  }
  static const auto typed = op->typed<int64_t(int64_t)>();
  return c10::Stream(c10::Stream::UNSAFE, device, typed.call(device.index()));
}

at::Tensor PinnedBytes(int64_t bytes) {
  return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
}

// Starts the copy of the first `bytes` of pinned memory to byte `at` of `to`,
// on the current stream. By the kernels' library where that is loaded.
void StartCopy(const at::Tensor& to, int64_t at, const at::Tensor& pinned,
               int64_t bytes) {
  static const auto op =
      c10::Dispatcher::singleton().findSchema({"sinkwatch::copy_pinned_", ""});
  if (op) {
    static const auto typed = op->typed<void(const at::Tensor&, int64_t,
                                             const at::Tensor&, int64_t)>();
    return typed.call(to, at, pinned, bytes);
  }
  to.narrow(0, at, bytes)
      .copy_(pinned.narrow(0, 0, bytes), /*non_blocking=*/true);
}

}  // namespace

Staging::Staging(at::Device device)
    : device_(device), stream_(CopyStreamOf(device)), ring_(kChunks) {
  for (size_t i = 0; i < kChunks; ++i) chunks_.emplace_back(device.type());
}

std::unique_ptr<Staging::Transfer> Staging::Begin(at::Tensor to) {
  auto transfer = std::make_unique<Transfer>(device_.type(), std::move(to));
  transfer->ready.record(DeviceOf(device_).getStream(device_));
  return transfer;
}

char* Staging::MemoryFor(const Copy& copy, int64_t at) {
  Chunk& chunk = chunks_[ring_.SlotOf(copy.turn)];
  ring_.Enter(copy.turn, [&] {
    chunk.copied.synchronize();
    if (!chunk.memory.defined() || chunk.memory.numel() < copy.bytes) {
      chunk.memory = PinnedBytes(std::max(copy.bytes, kCopyBytes));
    }
  });
  return static_cast<char*>(chunk.memory.mutable_data_ptr()) + (at - copy.at);
}

void Staging::FinishPart(Transfer& transfer, Copy& copy, bool complete) {
  if (--copy.parts_left > 0) return;
  const absl::Cleanup finish = [&] { ring_.Finish(copy.turn); };
  if (complete) Start(transfer, copy);
}

void Staging::Start(Transfer& transfer, const Copy& copy) {
  Chunk& chunk = chunks_[ring_.SlotOf(copy.turn)];
  const c10::StreamGuard guard(stream_);
  // Only now: copies of the transfer before may have come in between.
  std::call_once(transfer.waits, [&] { transfer.ready.block(stream_); });
  StartCopy(transfer.to, copy.at, chunk.memory, copy.bytes);
  chunk.copied.record(stream_);
}

void Staging::End(Transfer& transfer) { transfer.landed.record(stream_); }

void Staging::Land(Transfer& transfer) {
  transfer.landed.block(DeviceOf(device_).getStream(device_));
}

void Staging::Drain() {
  c10::Event drained(device_.type());
  drained.record(stream_);
  drained.synchronize();
}

}  // namespace sinkwatch::executor

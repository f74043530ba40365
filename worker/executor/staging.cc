#include "worker/executor/staging.h"

#include <algorithm>

#include "ATen/core/dispatch/Dispatcher.h"
#include "ATen/ops/empty.h"
#include "c10/core/StreamGuard.h"
#include "c10/core/impl/VirtualGuardImpl.h"
#include "worker/checkpoint/checked_tensor.h"

namespace sinkwatch::executor {
namespace {

// Small enough that the chunks of all threads lie in the last cache together: a
// chunk is then written by a core and read by the bus without a way through
// memory. On an H200 with 14 threads 8 MiB took 480 ms for 14 GB, 2 MiB 372, 1
// MiB 361.
constexpr int64_t kChunkBytes = 1 << 20;

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
// on the current stream. By the kernels' library where that is loaded: a dozen
// threads start thousands of copies.
void StartCopy(const at::Tensor& to, int64_t at, const at::Tensor& pinned,
               int64_t bytes) {
  static const auto op =
      c10::Dispatcher::singleton().findSchema({"sinkwatch::copy_pinned_", ""});
  if (op) {
    static const auto typed = op->typed<void(const at::Tensor&, int64_t,
                                             const at::Tensor&, int64_t)>();
    return typed.call(to, at, pinned, bytes);
  }
  to.view({-1})
      .view(at::kByte)
      .narrow(0, at, bytes)
      .copy_(pinned.narrow(0, 0, bytes), /*non_blocking=*/true);
}

}  // namespace

Staging::Staging(at::Device device, int threads)
    : device_(device), stream_(CopyStreamOf(device)) {
  for (int i = 0; i < threads; ++i) lanes_.emplace_back(device.type());
}

int64_t Staging::RowsOfChunk(int64_t row_bytes) {
  return std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_bytes));
}

std::unique_ptr<Staging::Transfer> Staging::Begin() {
  auto transfer = std::make_unique<Transfer>(device_.type());
  transfer->ready.record(DeviceOf(device_).getStream(device_));
  return transfer;
}

absl::Status Staging::Copy(Transfer& transfer,
                           const checkpoint::RowsReader& reader,
                           checkpoint::RowRange rows, const at::Tensor& to,
                           int thread) {
  Lane& lane = lanes_[thread];
  Chunk& chunk = lane.chunks[lane.next];
  lane.next = (lane.next + 1) % static_cast<int>(lane.chunks.size());
  chunk.copied.synchronize();
  const int64_t row_bytes = reader.row_bytes();
  const int64_t bytes = rows.count * row_bytes;
  if (!chunk.memory.defined() || chunk.memory.numel() < bytes) {
    chunk.memory = PinnedBytes(std::max(bytes, kChunkBytes));
  }
  char* const out = static_cast<char*>(chunk.memory.mutable_data_ptr());
  const int64_t step = checkpoint::RowsOfPart(row_bytes);
  for (int64_t row = 0; row < rows.count; row += step) {
    absl::Status read =
        reader.Read({rows.first + row, std::min(step, rows.count - row)},
                    out + row * row_bytes);
    if (!read.ok()) return read;
  }
  const c10::StreamGuard guard(stream_);
  // Only now: copies of the part before may have come in between.
  std::call_once(transfer.waits, [&] { transfer.ready.block(stream_); });
  StartCopy(to, rows.first * row_bytes, chunk.memory, bytes);
  chunk.copied.record(stream_);
  return absl::OkStatus();
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

#include "worker/executor/staging.h"

#include <algorithm>

#include "ATen/ops/empty.h"
#include "c10/core/StreamGuard.h"
#include "c10/core/impl/VirtualGuardImpl.h"
#include "worker/checkpoint/checked_tensor.h"

namespace sinkwatch::executor {
namespace {

// Copies of this size take the whole bus (H200: 55 GB/s), and there are few
// enough that threads do not wait for each other in the driver.
constexpr int64_t kChunkBytes = 8 << 20;

c10::impl::VirtualGuardImpl DeviceOf(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type());
}

at::Tensor PinnedBytes(int64_t bytes) {
  return at::empty({bytes}, at::TensorOptions(at::kByte).pinned_memory(true));
}

at::Tensor BytesOf(const at::Tensor& tensor) {
  return tensor.view({-1}).view(at::kByte);
}

}  // namespace

Staging::Staging(at::Device device, int threads)
    : device_(device),
      stream_(DeviceOf(device).getStreamFromGlobalPool(device)),
      ready_(device.type()),
      landed_(device.type()) {
  for (int i = 0; i < threads; ++i) lanes_.emplace_back(device.type());
}

int64_t Staging::RowsOfChunk(int64_t row_bytes) {
  return std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_bytes));
}

void Staging::Begin() {
  ready_.record(DeviceOf(device_).getStream(device_));
  ready_.block(stream_);
}

absl::Status Staging::Copy(const checkpoint::RowsReader& reader,
                           checkpoint::RowRange rows, const at::Tensor& to,
                           int thread) {
  Lane& lane = lanes_[thread];
  Chunk& chunk = lane.chunks[lane.next];
  lane.next = 1 - lane.next;
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
  BytesOf(to)
      .narrow(0, rows.first * row_bytes, bytes)
      .copy_(chunk.memory.narrow(0, 0, bytes), /*non_blocking=*/true);
  chunk.copied.record(stream_);
  return absl::OkStatus();
}

void Staging::End() {
  landed_.record(stream_);
  landed_.block(DeviceOf(device_).getStream(device_));
}

void Staging::Drain() {
  landed_.record(stream_);
  landed_.synchronize();
}

}  // namespace sinkwatch::executor

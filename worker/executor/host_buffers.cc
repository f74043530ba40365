#include "worker/executor/host_buffers.h"

#include <sys/mman.h>

#include <cstdlib>
#include <map>
#include <new>

#include "ATen/ops/from_blob.h"
#include "absl/base/thread_annotations.h"
#include "c10/util/accumulate.h"
#include "proto/base/mutex.h"

namespace sinkwatch::executor {
namespace {

constexpr size_t kHugePage = 2 << 20;
constexpr size_t kSmallPage = 4 << 10;

size_t RoundUp(size_t bytes) {
  return (bytes + kSmallPage - 1) / kSmallPage * kSmallPage;
}

void* Allocate(size_t bytes) {
  const bool large = bytes >= 2 * kHugePage;
  void* block = nullptr;
  if (::posix_memalign(&block, large ? kHugePage : kSmallPage, bytes) != 0) {
    throw std::bad_alloc();
  }
  // A wish: where it is not granted, pages are small.
  if (large) ::madvise(block, bytes, MADV_HUGEPAGE);
  return block;
}

}  // namespace

struct HostBuffers::State {
  ~State() { GiveBack(); }

  void* Take(size_t bytes) {
    {
      const base::MutexLock lock(mutex);
      const auto found = free.find(bytes);
      if (found != free.end()) {
        void* const block = found->second;
        free.erase(found);
        return block;
      }
    }
    GiveBack();
    return Allocate(bytes);
  }

  void Put(void* block, size_t bytes) {
    const base::MutexLock lock(mutex);
    free.emplace(bytes, block);
  }

  void GiveBack() {
    const base::MutexLock lock(mutex);
    for (const auto& [bytes, block] : free) std::free(block);
    free.clear();
  }

  base::Mutex mutex;
  std::multimap<size_t, void*> free ABSL_GUARDED_BY(mutex);  // by bytes
};

HostBuffers::HostBuffers() : state_(std::make_shared<State>()) {}
HostBuffers::~HostBuffers() { state_->GiveBack(); }

at::Tensor HostBuffers::Empty(at::IntArrayRef shape, at::ScalarType type) {
  const size_t bytes =
      RoundUp(c10::multiply_integers(shape) * c10::elementSize(type) + 1);
  void* const block = state_->Take(bytes);
  return at::from_blob(
      block, shape,
      [state = state_, bytes](void* data) { state->Put(data, bytes); },
      at::TensorOptions(type));
}

int64_t HostBuffers::free_bytes() const {
  const base::MutexLock lock(state_->mutex);
  int64_t sum = 0;
  for (const auto& [bytes, block] : state_->free) sum += bytes;
  return sum;
}

}  // namespace sinkwatch::executor

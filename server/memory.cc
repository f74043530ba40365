#include "server/memory.h"

#include <malloc.h>
#include <pthread.h>

#include <cstddef>

namespace sinkwatch::server {
namespace {

constexpr int kArenas = 2;
constexpr size_t kStackBytes = size_t{2} << 20;
// Larger ones are mapped by themselves, and go back when they are freed.
constexpr int kMappedBytes = 1 << 20;
constexpr size_t kMuch = size_t{32} << 20;

}  // namespace

void BoundMemory() {
  mallopt(M_ARENA_MAX, kArenas);
  // Said, it does not grow with the blocks that come.
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

void ReturnMemory() {
  if (mallinfo2().fordblks > kMuch) malloc_trim(0);
}

}  // namespace sinkwatch::server

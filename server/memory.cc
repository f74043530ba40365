#include "server/memory.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <fstream>

namespace sinkwatch::server {
namespace {

constexpr int kArenas = 2;
constexpr size_t kStackBytes = size_t{2} << 20;
// Larger ones are mapped by themselves, and go back when they are freed.
constexpr int kMappedBytes = 1 << 20;
constexpr size_t kMuch = size_t{32} << 20;
constexpr size_t kLittle = size_t{4} << 20;
constexpr int kMaxWait = 16;

// What the process takes of the machine's memory.
size_t Resident() {
  std::ifstream file("/proc/self/statm");
  size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

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

bool UnusedMemory::Return() {
  const size_t before = Resident();
  if (++calls_ < wait_ && before < resident_ + kMuch) return false;
  malloc_trim(0);
  resident_ = Resident();
  wait_ = before > resident_ + kLittle ? 1 : std::min(2 * wait_, kMaxWait);
  calls_ = 0;
  return true;
}

}  // namespace sinkwatch::server

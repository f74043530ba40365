#include "server/discovery/hanging_folder_testing.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>

#include <cstdarg>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::discovery {
namespace {

struct Hanging {
  base::Mutex mutex;
  base::CondVar changed;
  std::string path ABSL_GUARDED_BY(mutex);
  int waiting ABSL_GUARDED_BY(mutex) = 0;
};

// Outlives every thread that may still wait.
Hanging& State() {
  static auto* const state = new Hanging;
  return *state;
}

void WaitIfHanging(const std::string& path) {
  Hanging& state = State();
  base::MutexLock lock(state.mutex);
  if (state.path != path) return;
  ++state.waiting;
  state.changed.NotifyAll();
  while (state.path == path) state.changed.Wait(state.mutex);
  --state.waiting;
}

void SetPath(const std::string& path) {
  Hanging& state = State();
  base::MutexLock lock(state.mutex);
  state.path = path;
  state.changed.NotifyAll();
}

}  // namespace

HangingFolder::HangingFolder(const std::string& path) { SetPath(path); }

HangingFolder::~HangingFolder() { SetPath(""); }

void HangingFolder::AwaitWaiting(int count) {
  Hanging& state = State();
  base::MutexLock lock(state.mutex);
  while (state.waiting < count) state.changed.Wait(state.mutex);
}

}  // namespace sinkwatch::discovery

// Of the last argument, which not every call has, nothing is read that is not
// handed on to be ignored.
extern "C" int open(const char* name, int flags, ...) {
  sinkwatch::discovery::WaitIfHanging(name);
  static auto* const real = reinterpret_cast<int (*)(const char*, int, ...)>(
      dlsym(RTLD_NEXT, "open"));
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return real(name, flags, mode);
}

extern "C" DIR* opendir(const char* name) {
  sinkwatch::discovery::WaitIfHanging(name);
  static auto* const real =
      reinterpret_cast<DIR* (*)(const char*)>(dlsym(RTLD_NEXT, "opendir"));
  return real(name);
}

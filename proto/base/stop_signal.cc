#include "proto/base/stop_signal.h"

#include <pthread.h>

#include <utility>

namespace sinkwatch::base {

StopSignal::StopSignal(std::initializer_list<int> others) {
  sigemptyset(&signals_);
  for (int signal : {SIGTERM, SIGINT}) sigaddset(&signals_, signal);
  for (int signal : others) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

StopSignal::~StopSignal() {
  if (!thread_.joinable()) return;
  ended_ = true;
  // Wakes the thread, if it still waits.
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

int StopSignal::Wait() {
  int signal = 0;
  while (sigwait(&signals_, &signal) != 0) {
  }
  return signal;
}

void StopSignal::CallOnStop(std::function<void()> stop) {
  thread_ = std::thread([this, stop = std::move(stop)] {
    Wait();
    if (!ended_) stop();
  });
}

}  // namespace sinkwatch::base

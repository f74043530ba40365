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

int StopSignal::Wait() {
  int signal = 0;
  while (sigwait(&signals_, &signal) != 0) {
  }
  return signal;
}

StopListener::StopListener(StopSignal& signals, std::function<void()> stop)
    : thread_([this, &signals, stop = std::move(stop)] {
        signals.Wait();
        if (!ended_) stop();
      }) {}

StopListener::~StopListener() {
  ended_ = true;
  // Wakes the thread, if it still waits.
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

}  // namespace sinkwatch::base

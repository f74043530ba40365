#ifndef SINKWATCH_PROTO_BASE_STOP_SIGNAL_H_
#define SINKWATCH_PROTO_BASE_STOP_SIGNAL_H_

#include <atomic>
#include <csignal>
#include <functional>
#include <initializer_list>
#include <thread>

namespace sinkwatch::base {

// SIGTERM and SIGINT of a process, heard in one place, by an ordinary thread
// and not in a signal handler: what is done about them may lock and log.
//
// Construct it before any thread is started, since threads inherit which
// signals are blocked. What is sent before someone listens is kept. The signals
// stay blocked for good. At most one object a process.
class StopSignal {
 public:
  // Hears `others`, such as SIGHUP, besides.
  explicit StopSignal(std::initializer_list<int> others = {});

  // Blocks until the next signal, and returns its number. One thread at a time.
  int Wait();

 private:
  sigset_t signals_;
};

// Calls `stop` at the first signal, on a thread of its own, unless it is
// destroyed before; the destructor waits for a call that is under way.
class StopListener {
 public:
  // `signals` must outlive it; nobody else may wait for them meanwhile.
  StopListener(StopSignal& signals, std::function<void()> stop);
  ~StopListener();
  StopListener(const StopListener&) = delete;
  StopListener& operator=(const StopListener&) = delete;

 private:
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_STOP_SIGNAL_H_

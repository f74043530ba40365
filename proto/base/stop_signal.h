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
// stay blocked for good. At most one object a process; not thread-safe.
class StopSignal {
 public:
  // Hears `others`, such as SIGHUP, besides.
  explicit StopSignal(std::initializer_list<int> others = {});
  // Ends the thread of CallOnStop.
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // Blocks until the next signal, and returns its number.
  int Wait();

  // Calls `stop` at the first signal, on a thread of this object. In place of
  // Wait, and once.
  void CallOnStop(std::function<void()> stop);

 private:
  sigset_t signals_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_STOP_SIGNAL_H_

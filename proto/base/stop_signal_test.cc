#include "proto/base/stop_signal.h"

#include <unistd.h>

#include <future>

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

TEST(StopSignal, WaitHearsWhatWasSentBefore) {
  StopSignal signals({SIGHUP});
  kill(getpid(), SIGHUP);
  EXPECT_EQ(signals.Wait(), SIGHUP);
  kill(getpid(), SIGTERM);
  EXPECT_EQ(signals.Wait(), SIGTERM);
}

TEST(StopListener, CallsOnAThreadOfItsOwn) {
  StopSignal signals;
  for (int signal : {SIGTERM, SIGINT}) {
    std::promise<std::thread::id> called;
    const StopListener listener(
        signals, [&] { called.set_value(std::this_thread::get_id()); });
    kill(getpid(), signal);
    EXPECT_NE(called.get_future().get(), std::this_thread::get_id());
  }
}

TEST(StopListener, HearsWhatWasSentBefore) {
  StopSignal signals;
  kill(getpid(), SIGTERM);
  std::promise<void> called;
  const StopListener listener(signals, [&] { called.set_value(); });
  called.get_future().get();
}

TEST(StopListener, EndsWithoutASignal) {
  StopSignal signals;
  bool called = false;
  {
    const StopListener listener(signals, [&] { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace sinkwatch::base

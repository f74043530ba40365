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

TEST(StopSignal, CallsOnAThreadOfItsOwn) {
  for (int signal : {SIGTERM, SIGINT}) {
    StopSignal signals;
    std::promise<std::thread::id> called;
    signals.CallOnStop([&] { called.set_value(std::this_thread::get_id()); });
    kill(getpid(), signal);
    EXPECT_NE(called.get_future().get(), std::this_thread::get_id());
  }
}

TEST(StopSignal, EndsWithoutASignal) {
  bool called = false;
  {
    StopSignal signals;
    signals.CallOnStop([&] { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace sinkwatch::base

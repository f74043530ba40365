#include "proto/base/mutex.h"

#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

struct Shared {
  Mutex mutex;
  CondVar changed;
  int turns ABSL_GUARDED_BY(mutex) = 0;
};

TEST(MutexTest, OneThreadAtATimeIsInside) {
  Shared shared;
  const auto count = [&shared] {
    for (int turn = 0; turn < 20000; ++turn) {
      MutexLock lock(shared.mutex);
      ++shared.turns;
    }
  };
  std::thread other(count);
  count();
  other.join();
  MutexLock lock(shared.mutex);
  EXPECT_EQ(shared.turns, 40000);
}

TEST(MutexTest, AnUnlockedLockLetsOthersIn) {
  Shared shared;
  MutexLock lock(shared.mutex);
  lock.Unlock();
  std::thread([&shared] {
    MutexLock other(shared.mutex);
    ++shared.turns;
  }).join();
  MutexLock again(shared.mutex);
  EXPECT_EQ(shared.turns, 1);
}

// The waiter holds the mutex before and after its wait, and not during it.
TEST(CondVarTest, AWaiterSeesWhatTheOtherThreadDid) {
  Shared shared;
  std::thread other([&shared] {
    MutexLock lock(shared.mutex);
    shared.turns = 1;
    shared.changed.NotifyAll();
    while (shared.turns == 1) shared.changed.Wait(shared.mutex);
    shared.turns = 3;
    shared.changed.NotifyOne();
  });
  {
    MutexLock lock(shared.mutex);
    while (shared.turns != 1) shared.changed.Wait(shared.mutex);
    shared.turns = 2;
    shared.changed.NotifyAll();
    while (shared.turns != 3) shared.changed.Wait(shared.mutex);
  }
  other.join();
}

TEST(CondVarTest, AWaitEndsWithItsTime) {
  Shared shared;
  MutexLock lock(shared.mutex);
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  while (shared.changed.WaitUntil(shared.mutex, deadline)) {
  }
  EXPECT_GE(std::chrono::steady_clock::now(), deadline);
  ++shared.turns;  // still held: Unlock would be undefined otherwise
  lock.Unlock();
}

}  // namespace
}  // namespace sinkwatch::base

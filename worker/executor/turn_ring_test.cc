#include "worker/executor/turn_ring.h"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

// Threads take parts of turns in order, as readers do. Each slot counts the
// parts that are in it: more than those of one turn are those of two.
TEST(TurnRingTest, ASlotHoldsOneTurnAtATime) {
  constexpr int kSlots = 3, kParts = 4, kTurns = 500, kThreads = 8;
  TurnRing ring(kSlots);
  std::atomic<int> next{0}, opened{0}, wrong{0};
  std::vector<std::atomic<int>> left(kTurns);
  std::vector<std::atomic<int>> holder(kSlots);
  for (auto& parts : left) parts = kParts;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int part; (part = next++) < kTurns * kParts;) {
        const int turn = part / kParts;
        std::atomic<int>& held = holder[ring.SlotOf(turn)];
        ring.Enter(turn, [&] {
          ++opened;
          held = turn;
        });
        wrong += held != turn;
        std::this_thread::yield();
        wrong += held != turn;
        if (--left[turn] == 0) ring.Finish(turn);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened.load(), kTurns);
  EXPECT_EQ(wrong.load(), 0);
}

TEST(TurnRingTest, ATurnThatNobodyEnteredIsFinishedToo) {
  TurnRing ring(2);
  ring.Finish(0);
  bool opened = false;
  ring.Enter(2, [&] { opened = true; });
  EXPECT_TRUE(opened);
}

// Parts that need not be read any more are through before those of a turn
// before them, whose slot it still is.
TEST(TurnRingTest, ATurnThatIsFinishedEarlyWaitsForTheOnesBefore) {
  TurnRing ring(1);
  ring.Finish(1);
  ring.Finish(2);
  std::vector<int> opened;
  ring.Enter(0, [&] { opened.push_back(0); });
  ring.Enter(0, [&] { opened.push_back(-1); });
  ring.Finish(0);
  ring.Enter(3, [&] { opened.push_back(3); });
  EXPECT_EQ(opened, (std::vector<int>{0, 3}));
}

TEST(TurnRingTest, WhereOpeningFailsTheNextOpens) {
  TurnRing ring(1);
  EXPECT_THROW(ring.Enter(0, [] { throw std::runtime_error("no memory"); }),
               std::runtime_error);
  int opened = 0;
  ring.Enter(0, [&] { ++opened; });
  ring.Enter(0, [&] { ++opened; });
  EXPECT_EQ(opened, 1);
}

}  // namespace
}  // namespace sinkwatch::executor

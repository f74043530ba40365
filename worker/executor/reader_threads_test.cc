#include "worker/executor/reader_threads.h"

#include <atomic>
#include <vector>

#include "gtest/gtest.h"
#include "proto/base/mutex.h"

namespace sinkwatch::executor {
namespace {

TEST(ReaderThreadsTest, EachPieceIsDoneOnceByOneOfTheThreads) {
  ReaderThreads threads(4);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::atomic<int>> calls(37);
    threads.Add(calls.size(), [&](size_t piece) { ++calls[piece]; });
    threads.WaitForFirst();
    for (const auto& count : calls) EXPECT_EQ(count.load(), 1);
  }
}

TEST(ReaderThreadsTest, OneThreadDoesWorksInTheirOrder) {
  ReaderThreads threads(1);
  std::vector<int> order;
  threads.Add(2, [&](size_t piece) { order.push_back(0 + piece); });
  threads.Add(2, [&](size_t piece) { order.push_back(10 + piece); });
  threads.WaitForFirst();
  threads.WaitForFirst();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 10, 11}));
}

// Two pieces, the second of which waits for the next work's: only a thread that
// goes on while its neighbour is not done brings it to an end.
TEST(ReaderThreadsTest, AThreadGoesOnWithTheNextWorkWhileAnotherIsBusy) {
  ReaderThreads threads(2);
  base::Mutex mutex;
  base::CondVar changed;
  bool next_began = false;
  threads.Add(2, [&](size_t piece) {
    if (piece == 0) return;
    const base::MutexLock lock(mutex);
    while (!next_began) changed.Wait(mutex);
  });
  threads.Add(1, [&](size_t) {
    const base::MutexLock lock(mutex);
    next_began = true;
    changed.NotifyAll();
  });
  threads.WaitForFirst();
  threads.WaitForFirst();
  EXPECT_TRUE(next_began);
}

TEST(ReaderThreadsTest, WorkWithoutPiecesIsDone) {
  ReaderThreads threads(2);
  threads.Add(0, [](size_t) { FAIL(); });
  threads.WaitForFirst();
}

TEST(ReaderThreadsTest, WhatNobodyHasBegunIsDroppedAtTheEnd) {
  std::atomic<int> begun{0}, ended{0};
  {
    ReaderThreads threads(3);
    threads.Add(1000000, [&](size_t) {
      ++begun;
      ++ended;
    });
  }
  EXPECT_EQ(begun.load(), ended.load());
}

TEST(ReaderThreadsTest, ThereIsAtLeastOne) {
  ReaderThreads threads(0);
  EXPECT_EQ(threads.count(), 1);
}

}  // namespace
}  // namespace sinkwatch::executor

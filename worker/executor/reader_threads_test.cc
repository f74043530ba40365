#include "worker/executor/reader_threads.h"

#include <atomic>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

TEST(ReaderThreadsTest, EachThreadWorksOnceARound) {
  ReaderThreads threads(4);
  std::vector<std::atomic<int>> calls(4);
  for (int round = 1; round <= 50; ++round) {
    threads.Start([&](int thread) { ++calls[thread]; });
    threads.Wait();
    for (const auto& count : calls) EXPECT_EQ(count.load(), round);
  }
}

TEST(ReaderThreadsTest, WaitsForWorkUnderWayWhenItGoes) {
  std::atomic<int> calls{0};
  {
    ReaderThreads threads(3);
    threads.Start([&](int) { ++calls; });
  }
  EXPECT_EQ(calls.load(), 3);
}

TEST(ReaderThreadsTest, ThereIsAtLeastOne) {
  ReaderThreads threads(0);
  EXPECT_EQ(threads.count(), 1);
  threads.Wait();
}

}  // namespace
}  // namespace sinkwatch::executor

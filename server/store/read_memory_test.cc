// Many large reads at once, where there is memory for a few of them.
#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/store/series.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SINKWATCH_SHADOWED 1  // address space is what a sanitizer makes of it
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SINKWATCH_SHADOWED 1
#endif
#endif

namespace sinkwatch::store {
namespace {

constexpr int kSteps = 100;
constexpr int kReaders = 24;
constexpr Shape kShape{64, 128, 1, 1};  // 6.5 MB in a series of kSteps

// Address space that is taken, and so much more, is all there is.
void BoundAddressSpace(int64_t more) {
#ifndef SINKWATCH_SHADOWED
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages;
  const auto bytes = static_cast<rlim_t>(pages * 4096 + more);
  const rlimit limit{bytes, RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
#else
  static_cast<void>(more);
#endif
}

class ReadMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    mallopt(M_ARENA_MAX, 1);
    StoreOptions options;
    options.path = ":memory:";
    options.max_read_cells = 2 * int64_t{64} * 128 * kSteps;
    options.read_patience = absl::ZeroDuration();
    store_ = *Store::Open(options);
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
      const auto job =
          store_->Lease(JobOfStep(*store_, step), "w", LeaseLimits(), 5);
      ASSERT_TRUE(job.ok());
      ASSERT_TRUE(store_
                      ->Commit({{job->job.id(), job->token,
                                 MeasurementOf(job->job, 1, kShape)}})[0]
                      .ok());
    }
    query_.run = "toy";
    query_.metric = "metric0";
    query_.domain = "domain0";
  }

  std::unique_ptr<Store> store_;
  SeriesQuery query_;
};

TEST_F(ReadMemoryTest, ManyLargeReadsAtOnceAreRefusedAndNotKilled) {
  std::atomic<int> started{0}, read{0}, refused{0}, done{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      ++started;
      while (!go) std::this_thread::yield();
      const auto series = store_->ReadSeries(query_);
      read += series.ok();
      refused += absl::IsResourceExhausted(series.status());
      ++done;
      while (done < kReaders) std::this_thread::yield();  // all are held
    });
  }
  while (started < kReaders) std::this_thread::yield();
  BoundAddressSpace(int64_t{64} << 20);
  go = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(read, 2);
  EXPECT_EQ(refused, kReaders - 2);
  const auto again = store_->ReadSeries(query_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->values.size(), size_t{64} * 128 * kSteps);
}

}  // namespace
}  // namespace sinkwatch::store

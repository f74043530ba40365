#include "server/store/commit_queue.h"

#include <atomic>
#include <future>

#include "gtest/gtest.h"
#include "server/store/test_store.h"

namespace sinkwatch::store {
namespace {

Store::CommitRequest Ready(TestStore& store, int64_t step) {
  EXPECT_TRUE(store->Observe({Seen(step)}).ok());
  const auto job = store->Lease(JobOfStep(*store, step), "w", {}, 5).value();
  return {job.job.id(), job.token, MeasurementOf(job.job, 1)};
}

TEST(CommitQueue, CommitsEverythingBeforeItStops) {
  TestStore store;
  std::atomic<int> committed{0};
  CommitQueue queue(&*store, {});
  for (int step = 0; step < 20; ++step) {
    queue.Submit(Ready(store, step), [&](absl::StatusOr<CommitResult> result) {
      committed += result.ok() ? 1 : 0;
    });
  }
  queue.Stop();
  EXPECT_EQ(committed, 20);
  EXPECT_EQ(store->revision(), 20);
}

// The first commit's callback holds the committing thread, so that what is
// submitted meanwhile has to wait and goes into one transaction.
TEST(CommitQueue, GroupsWhatWaitsAndRefusesWhatIsBeyondTheBound) {
  TestStore store;
  std::vector<Store::CommitRequest> ready;
  for (int step = 0; step < 4; ++step) ready.push_back(Ready(store, step));
  std::vector<int> groups;
  CommitQueueOptions options;
  options.max_bytes = 2 * ready[1].measurement.ByteSizeLong() + 1;
  options.on_commit = [&](absl::Duration, int size, int64_t, bool) {
    groups.push_back(size);
  };
  CommitQueue queue(&*store, options);
  std::promise<void> entered, release;
  queue.Submit(ready[0], [&](absl::StatusOr<CommitResult>) {
    entered.set_value();
    release.get_future().wait();
  });
  entered.get_future().wait();
  std::atomic<int> committed{0};
  const auto count = [&](absl::StatusOr<CommitResult> result) {
    committed += result.ok() ? 1 : 0;
  };
  queue.Submit(ready[1], count);
  queue.Submit(ready[2], count);
  absl::Status refused;
  queue.Submit(ready[3], [&](absl::StatusOr<CommitResult> result) {
    refused = result.status();
  });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  release.set_value();
  queue.Stop();
  EXPECT_EQ(committed, 2);
  EXPECT_EQ(groups, (std::vector<int>{1, 2}));
}

TEST(CommitQueue, RefusesAfterStop) {
  TestStore store;
  CommitQueue queue(&*store, {});
  queue.Stop();
  absl::Status refused;
  queue.Submit({}, [&](absl::StatusOr<CommitResult> result) {
    refused = result.status();
  });
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sinkwatch::store

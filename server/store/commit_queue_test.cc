#include "server/store/commit_queue.h"

#include <atomic>
#include <filesystem>
#include <future>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/store/store_testing.h"

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
  options.on_commit = [&](const CommitReport& report) {
    groups.push_back(report.measurements);
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

// What was std::terminate: a callback, or who is told of a commit, that throws.
TEST(CommitQueue, WhatItsCallersThrowIsTheirs) {
  TestStore store;
  std::vector<Store::CommitRequest> ready;
  for (int step = 0; step < 3; ++step) ready.push_back(Ready(store, step));
  CommitQueueOptions options;
  options.on_commit = [](const CommitReport&) { throw std::bad_alloc(); };
  CommitQueue queue(&*store, options);
  queue.Submit(ready[0], [](absl::StatusOr<CommitResult> result) {
    EXPECT_TRUE(result.ok()) << result.status();
    throw std::runtime_error("no more");
  });
  std::atomic<int> committed{0};
  for (int i : {1, 2}) {
    queue.Submit(ready[i], [&](absl::StatusOr<CommitResult> result) {
      committed += result.ok() ? 1 : 0;
    });
  }
  queue.Stop();
  EXPECT_EQ(committed, 2);
  EXPECT_EQ(store->revision(), 3);
}

// What a queue reports of `requests`, one transaction or several; times aside.
CommitReport ReportOf(TestStore& store,
                      const std::vector<Store::CommitRequest>& requests) {
  CommitReport sum;
  CommitQueueOptions options;
  options.on_commit = [&](const CommitReport& report) {
    sum.measurements += report.measurements;
    sum.values += report.values;
    sum.status.Update(report.status);
  };
  CommitQueue queue(&*store, options);
  for (const Store::CommitRequest& request : requests) {
    queue.Submit(request, [](absl::StatusOr<CommitResult>) {});
  }
  queue.Stop();
  return sum;
}

TEST(CommitQueue, ReportsOnlyWhatWasWritten) {
  TestStore store;
  const Store::CommitRequest good = Ready(store, 1);
  Store::CommitRequest late = Ready(store, 2);
  late.token -= 1;
  const CommitReport report = ReportOf(store, {good, good, late});
  EXPECT_EQ(report.measurements, 1);
  EXPECT_EQ(report.values, 6);  // 2 layers of 3 heads
  EXPECT_TRUE(report.status.ok()) << report.status;
}

TEST(CommitQueue, ARefusalIsNoFailedTransaction) {
  TestStore store;
  Store::CommitRequest unknown = Ready(store, 1);
  unknown.job_id = 1000;
  CommitReport report = ReportOf(store, {unknown});
  EXPECT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(report.measurements, 0);
  Store::CommitRequest misshapen = Ready(store, 2);
  misshapen.measurement.mutable_vectors(0)->add_values(1);
  report = ReportOf(store, {misshapen});
  EXPECT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(report.values, 0);
}

TEST(CommitQueue, ReportsATransactionThatFailed) {
  const std::string path = testing::TempDir() + "/commit_queue_full.db";
  std::filesystem::remove(path);
  TestStore store(path, /*max_pages=*/60);
  Store::CommitRequest large = Ready(store, 1);
  Shape shape;
  shape.heads = 500;
  shape.metrics = 40;
  v1::Job job = store->GetJob(large.job_id)->job;
  large.measurement = MeasurementOf(job, 1, shape);
  const CommitReport report = ReportOf(store, {large});
  EXPECT_EQ(report.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(report.measurements, 0);
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

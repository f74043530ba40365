// A disk that takes no more bytes.
#include <signal.h>
#include <sys/resource.h>

#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

std::string FreshFile(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name + ".db";
  for (const char* end : {"", "-wal", "-shm"}) {
    std::remove((path + end).c_str());
  }
  return path;
}

JobRecord LeaseStep(TestStore& store, int64_t step) {
  EXPECT_TRUE(store->Observe({Seen(step)}).ok());
  return store->Lease(JobOfStep(*store, step), "w", {}, 100).value();
}

absl::Status CommitLarge(TestStore& store, const JobRecord& job) {
  Shape shape;
  shape.metrics = 40;
  shape.heads = 500;
  return store
      ->Commit({{job.job.id(), job.token, MeasurementOf(job.job, 1, shape)}})[0]
      .status();
}

// Limits the size of any file that this process writes; lifts it at the end.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

TEST(DiskFullTest, SaysWhenItCannotBeWrittenAndWhenItCanAgain) {
  TestStore store(FreshFile("probe"));
  EXPECT_TRUE(store->CheckWritable().ok());
  {
    FileSizeLimit limit(1000);
    EXPECT_EQ(store->CheckWritable().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(store->CheckWritable().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(store->CheckWritable().ok());
}

TEST(DiskFullTest, FollowsItsRunsAgainWithoutAWrite) {
  TestStore store(FreshFile("runs"));
  v1::RunConfig run;
  run.set_name("a");
  const auto follow = [&] {
    return store->ReplaceRuns({}, {run}, RunOrigin::kConfigured);
  };
  ASSERT_TRUE(follow().ok());
  FileSizeLimit limit(1000);
  EXPECT_TRUE(follow().ok());
  run.set_root("/elsewhere");
  EXPECT_FALSE(follow().ok());
}

TEST(DiskFullTest, IsUnavailableOnAWriteErrorAndWorksAgainAfterIt) {
  TestStore store(FreshFile("write_error"));
  const JobRecord job = LeaseStep(store, 1);
  {
    FileSizeLimit limit(100000);
    EXPECT_EQ(CommitLarge(store, job).code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(store->GetJob(job.job.id())->state, v1::JOB_STATE_LEASED);
    EXPECT_EQ(store->revision(), 0);
  }
  EXPECT_TRUE(CommitLarge(store, job).ok());
  EXPECT_EQ(store->GetJob(job.job.id())->state, v1::JOB_STATE_DONE);
}

TEST(DiskFullTest, IsExhaustedWhenFullAndWorksAgainWithMoreSpace) {
  const std::string path = FreshFile("full");
  JobRecord job;
  {
    TestStore store(path, 60);
    job = LeaseStep(store, 1);
    EXPECT_EQ(CommitLarge(store, job).code(),
              absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(store->GetJob(job.job.id())->state, v1::JOB_STATE_LEASED);
    EXPECT_TRUE(store->Observe({Seen(2)}).ok());
  }
  TestStore store(path);
  EXPECT_TRUE(CommitLarge(store, job).ok());
}

}  // namespace
}  // namespace sinkwatch::store

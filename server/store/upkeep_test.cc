#include <cstdint>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

class StoreUpkeepTest : public testing::Test {
 protected:
  StoreUpkeepTest()
      : path_(testing::TempDir() + "/upkeep.db"), store_(New(path_)) {}
  static std::string New(const std::string& path) {
    std::filesystem::remove(path);
    return path;
  }
  // A megabyte of values.
  void MeasureStep(int64_t step) {
    ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
    const auto lease =
        store_->Lease(JobOfStep(*store_, step), "w", LeaseLimits(), 5);
    ASSERT_TRUE(lease.ok()) << lease.status();
    const Shape shape{8, 128, 128, 1};
    const auto results = store_->Commit(
        {{lease->job.id(), lease->token, MeasurementOf(lease->job, 1, shape)}});
    ASSERT_TRUE(results[0].ok()) << results[0].status();
  }

  const std::string path_;
  TestStore store_;
};

TEST_F(StoreUpkeepTest, AStoreThatIsIdleForAMinuteKeepsNothingInMemory) {
  for (int64_t step = 1; step <= 8; ++step) MeasureStep(step);
  ASSERT_TRUE(store_->CheckpointIfIdle().ok());
  const int64_t kept = sqlite3_memory_used();
  ASSERT_GT(kept, 4 << 20) << "it was asked for a lot just now";
  for (int look = 1; look < 6; ++look) {
    ASSERT_TRUE(store_->CheckWritable().ok());  // as every five seconds
    ASSERT_TRUE(store_->CheckpointIfIdle().ok());
  }
  EXPECT_GT(sqlite3_memory_used(), kept / 2);
  ASSERT_TRUE(store_->CheckpointIfIdle().ok());
  EXPECT_LT(sqlite3_memory_used(), kept / 4);
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(8);
  EXPECT_TRUE(store_->GetMeasurement(request).ok());
}

}  // namespace
}  // namespace sinkwatch::store

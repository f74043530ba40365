// Backups of a store that is at work, and putting them back.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "proto/base/sha256.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

namespace fs = std::filesystem;

std::string Folder() {
  const std::string folder =
      testing::TempDir() + "/" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

void MeasureStep(TestStore& store, int64_t step) {
  ASSERT_TRUE(store->Observe({Seen(step)}).ok());
  const auto lease =
      store->Lease(JobOfStep(*store, step), "w", LeaseLimits(), 5);
  ASSERT_TRUE(lease.ok()) << lease.status();
  Shape shape;
  shape.metrics = 4;
  shape.heads = 64;
  const auto results = store->Commit(
      {{lease->job.id(), lease->token,
        MeasurementOf(lease->job, static_cast<float>(step), shape)}});
  ASSERT_TRUE(results[0].ok()) << results[0].status();
}

v1::Measurement Get(TestStore& store, int64_t step) {
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(step);
  return store->GetMeasurement(request).value();
}

TEST(Backup, IsOneFileThatHoldsEverything) {
  const std::string folder = Folder();
  TestStore store(folder + "/a.db");
  for (int64_t step = 1; step <= 5; ++step) MeasureStep(store, step);
  const std::string copy = folder + "/copy.db";
  const auto report = store->Backup(copy);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->measurements, 5);
  EXPECT_EQ(report->bytes, static_cast<int64_t>(fs::file_size(copy)));
  std::stringstream bytes;
  bytes << std::ifstream(copy, std::ios::binary).rdbuf();
  EXPECT_EQ(report->sha256, base::Sha256Hex(bytes.str()));
  // Nothing else was left beside it.
  for (const char* part : {".partial", "-wal", "-journal", "-shm"}) {
    EXPECT_FALSE(fs::exists(copy + part)) << part;
  }
}

// The restore drill: work, a backup, more work, the file is lost.
TEST(Backup, PutInItsPlaceIsTheStoreAsItWas) {
  const std::string folder = Folder();
  const std::string path = folder + "/sinkwatch.db";
  const std::string copy = folder + "/monday.db";
  v1::Measurement before;
  {
    TestStore store(path);
    for (int64_t step = 1; step <= 3; ++step) MeasureStep(store, step);
    ASSERT_TRUE(store->Observe({Seen(7)}).ok());
    before = Get(store, 3);
    ASSERT_TRUE(store->Backup(copy).ok());
    MeasureStep(store, 4);
  }
  for (const char* part : {"", "-wal", "-shm"}) fs::remove(path + part);
  fs::copy_file(copy, path);
  TestStore restored(path);
  EXPECT_EQ(restored->Check()->measurements, 3);
  EXPECT_EQ(restored->Check()->total_damage, 0);
  EXPECT_EQ(Get(restored, 3).SerializeAsString(), before.SerializeAsString());
  // What waited waits, and what came later is found and measured again.
  EXPECT_NE(JobOfStep(*restored, 7), 0);
  MeasureStep(restored, 4);
  EXPECT_EQ(restored->Check()->measurements, 4);
}

TEST(Backup, OfAStoreThatIsWrittenMeanwhileIsOneMoment) {
  const std::string folder = Folder();
  TestStore store(folder + "/a.db");
  for (int64_t step = 1; step <= 30; ++step) MeasureStep(store, step);
  std::atomic<bool> ended{false};
  std::thread writer([&] {
    for (int64_t step = 31; !ended; ++step) MeasureStep(store, step);
  });
  const auto report = store->Backup(folder + "/copy.db");
  ended = true;
  writer.join();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GE(report->measurements, 30);
  TestStore copy(folder + "/copy.db");
  EXPECT_EQ(copy->Check()->measurements, report->measurements);
  EXPECT_EQ(copy->Check()->blobs, 4 * report->measurements);
  EXPECT_EQ(copy->Check()->total_damage, 0);
}

TEST(Backup, ReplacesNothingAndLeavesNothingHalf) {
  const std::string folder = Folder();
  TestStore store(folder + "/a.db");
  MeasureStep(store, 1);
  std::ofstream(folder + "/there") << "mine";
  EXPECT_EQ(store->Backup(folder + "/there").status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(fs::file_size(folder + "/there"), 4u);
  EXPECT_EQ(store->Backup(folder + "/none/copy").status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(store->Check()->total_damage, 0);
}

TEST(Backup, OfAStoreThatIsNotSoundThereIsNone) {
  const std::string folder = Folder();
  const std::string path = folder + "/a.db";
  {
    TestStore store(path);
    MeasureStep(store, 1);
  }
  // An index is forgotten: its pages are nobody's.
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "PRAGMA writable_schema = ON; DELETE FROM "
                         "sqlite_schema WHERE name = 'measurement_by_stage'",
                         nullptr, nullptr, nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(database);
  ASSERT_EQ(sqlite3_changes(database), 1);
  sqlite3_close(database);
  TestStore store(path);
  const absl::Status status = store->Backup(folder + "/copy.db").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_TRUE(absl::StrContains(status.message(),
                                "see `sinkctl store check --whole-file`"))
      << status;
  EXPECT_FALSE(fs::exists(folder + "/copy.db"));
  EXPECT_FALSE(fs::exists(folder + "/copy.db.partial"));
}

// A copy of the file alone, as a backup program makes one.
TEST(Backup, AnIdleStoresFileAloneIsWhole) {
  const std::string folder = Folder();
  TestStore store(folder + "/a.db");
  MeasureStep(store, 1);
  ASSERT_TRUE(store->CheckpointIfIdle().ok());  // it was written just now
  ASSERT_TRUE(store->CheckpointIfIdle().ok());
  fs::copy_file(folder + "/a.db", folder + "/b.db");
  TestStore copy(folder + "/b.db");
  EXPECT_EQ(copy->Check()->measurements, 1);
}

}  // namespace
}  // namespace sinkwatch::store

// What Store::Open takes and what it refuses.
#include <fstream>

#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

std::string FreshFile(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name + ".db";
  for (const char* end : {"", "-wal", "-shm"}) {
    std::remove((path + end).c_str());
  }
  return path;
}

absl::StatusCode CodeOfOpening(const std::string& path) {
  StoreOptions options;
  options.path = path;
  return Store::Open(options).status().code();
}

void Execute(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
}

TEST(OpenTest, KeepsWhatWasWritten) {
  const std::string path = FreshFile("keeps");
  { ASSERT_TRUE(TestStore(path)->Observe({Seen(7)}).ok()); }
  TestStore again(path);
  EXPECT_NE(JobOfStep(*again, 7), 0);
}

TEST(OpenTest, RefusesAFileThatIsHeld) {
  const std::string path = FreshFile("held");
  TestStore holder(path);
  EXPECT_EQ(CodeOfOpening(path), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenTest, RefusesAFileThatIsNoDatabase) {
  const std::string path = FreshFile("text");
  std::ofstream(path) << std::string(5000, 'x');
  EXPECT_EQ(CodeOfOpening(path), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenTest, RefusesTheDatabaseOfAnotherProgram) {
  const std::string path = FreshFile("foreign");
  Execute(path, "CREATE TABLE other (x)");
  EXPECT_EQ(CodeOfOpening(path), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenTest, RefusesANewerSchema) {
  const std::string path = FreshFile("newer");
  { TestStore store(path); }
  Execute(path, "PRAGMA user_version = 999");
  EXPECT_EQ(CodeOfOpening(path), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenTest, UpgradesAFileThatKeptNoReasonsYet) {
  const std::string path = FreshFile("older");
  {
    TestStore store(path);
    ASSERT_TRUE(store->Observe({Seen(7)}).ok());
    const auto job = store->Lease(JobOfStep(*store, 7), "w", {}, 5).value();
    v1::Measurement measurement = MeasurementOf(job.job, 1);
    measurement.set_implausible(true);
    ASSERT_TRUE(
        store->Commit({{job.job.id(), job.token, measurement}})[0].ok());
  }
  Execute(path,
          "ALTER TABLE measurement DROP COLUMN implausible_reason;"
          "PRAGMA user_version = 2");
  TestStore upgraded(path);
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(7);
  const auto found = upgraded->GetMeasurement(request);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->implausible());
  EXPECT_EQ(found->implausible_reason(), "");
}

TEST(OpenTest, RefusesAFolderThatIsNotThere) {
  EXPECT_EQ(CodeOfOpening("/nowhere/at/all.db"),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sinkwatch::store

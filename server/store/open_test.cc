// What Store::Open takes and what it refuses.
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/migrations.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

namespace fs = std::filesystem;

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

void Execute(const std::string& path, const std::string& sql) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
}

TEST(OpenTest, KeepsWhatWasWritten) {
  const std::string path = FreshFile("keeps");
  { ASSERT_TRUE(TestStore(path)->Observe({Seen(7)}).ok()); }
  TestStore again(path);
  EXPECT_NE(JobOfStep(*again, 7), 0);
}

// To whoever reads it, also after a kill, what is written counts and no more.
TEST(OpenTest, TheLogHasItsLengthFromTheStart) {
  constexpr int64_t kBytes = (int64_t{3} << 20) + 1000;
  const std::string path = FreshFile("log"), copy = FreshFile("log_copy");
  StoreOptions options;
  options.path = path;
  options.log_bytes = kBytes;
  const auto store = Store::Open(options).value();
  const auto reads = [&] {
    for (const char* end : {"", "-wal"}) {
      fs::copy_file(path + end, copy + end,
                    fs::copy_options::overwrite_existing);
    }
    return JobsOf(*Store::Open({copy}).value(), "toy", {}).size();
  };
  EXPECT_EQ(fs::file_size(path + "-wal"), kBytes);
  EXPECT_EQ(reads(), 0u);
  ASSERT_TRUE(store->Observe({Seen(1), Seen(2)}).ok());
  EXPECT_EQ(reads(), 2u);
  // Once to see that it is idle, and once to bring the log into the file.
  ASSERT_TRUE(store->CheckpointIfIdle().ok());
  ASSERT_TRUE(store->CheckpointIfIdle().ok());
  ASSERT_TRUE(store->Observe({Seen(3)}).ok());
  EXPECT_EQ(reads(), 3u);
  EXPECT_EQ(fs::file_size(path + "-wal"), kBytes);
}

// What is written to a file that has no name any more is gone with the process.
TEST(OpenTest, WritesNothingOnceItsFilesHaveBeenTakenAway) {
  const std::string path = FreshFile("away");
  TestStore store(path);
  ASSERT_TRUE(store->Observe({Seen(1)}).ok());
  for (const std::string end : {"", "-wal"}) {
    const std::string file = path + end;
    ASSERT_EQ(std::rename(file.c_str(), (path + ".kept").c_str()), 0);
    for (const absl::Status& status :
         {store->Observe({Seen(2)}), store->CheckWritable()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
      EXPECT_TRUE(absl::StrContains(status.message(), "away.db" + end + " was"))
          << status;
    }
    EXPECT_EQ(JobOfStep(*store, 2), 0);
    ASSERT_EQ(std::rename((path + ".kept").c_str(), file.c_str()), 0);
    EXPECT_TRUE(store->CheckWritable().ok());
  }
  // Another one in its place is not ours.
  std::ofstream(path + ".other") << "another";
  ASSERT_EQ(std::rename((path + ".other").c_str(), path.c_str()), 0);
  EXPECT_FALSE(store->Observe({Seen(2)}).ok());
}

// A store of a server of other definitions: no worker of ours gets its jobs.
TEST(OpenTest, SupersedesOpenJobsOfOtherVersionsOfTheDefinitions) {
  const std::string path = FreshFile("versions");
  {
    TestStore before(path);
    Observation old = Seen(7);
    old.spec_version = kSpecVersion - 1;
    ASSERT_TRUE(before->Observe({old, Seen(8)}).ok());
  }
  TestStore again(path);
  EXPECT_EQ(JobOfStep(*again, 7), 0);
  EXPECT_NE(JobOfStep(*again, 7, v1::JOB_STATE_SUPERSEDED), 0);
  EXPECT_NE(JobOfStep(*again, 8), 0);
  ASSERT_TRUE(again->Observe({Seen(7)}).ok());
  EXPECT_NE(JobOfStep(*again, 7), 0);
}

TEST(OpenTest, KeepsWhichFoldersCheckpointsLieIn) {
  const std::string path = FreshFile("folders");
  const std::map<std::string, std::string> folders = {{"/a", "1:2"},
                                                      {"/a/b", "1:3"}};
  {
    TestStore before(path);
    v1::RunConfig run;
    run.set_name("toy");
    ASSERT_TRUE(before->PutRun(run).ok());
    ASSERT_TRUE(before->PutFolders("toy", {{"/old", "1:1"}}).ok());
    ASSERT_TRUE(before->PutFolders("toy", folders).ok());
  }
  TestStore again(path);
  EXPECT_EQ(*again->FoldersOf("toy"), folders);
  EXPECT_TRUE(again->FoldersOf("other")->empty());
  ASSERT_TRUE(again->RemoveRun("toy").ok());
  EXPECT_TRUE(again->FoldersOf("toy")->empty());
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

// It ended the process.
TEST(OpenTest, RefusesASchemaThatNoProgramWrites) {
  const std::string path = FreshFile("negative");
  { TestStore store(path); }
  Execute(path, "PRAGMA user_version = -1");
  EXPECT_EQ(CodeOfOpening(path), absl::StatusCode::kFailedPrecondition);
}

TEST(OpenTest, RefusesANewerSchema) {
  const std::string path = FreshFile("newer");
  { TestStore store(path); }
  Execute(path, "PRAGMA user_version = 999");
  EXPECT_EQ(CodeOfOpening(path), absl::StatusCode::kFailedPrecondition);
}

// What a program of schema version `version` wrote: one measurement.
void WriteOldFile(const std::string& path, size_t version) {
  Execute(path, "PRAGMA application_id = 1397313099");  // "SINK"
  for (size_t i = 0; i < version; ++i) Execute(path, Migrations()[i]);
  Execute(path, absl::StrCat(
                    "PRAGMA user_version = ", version,
                    "; INSERT INTO job (id, run, stage, step, fingerprint, "
                    "probe_digest, spec_version, tokens, path, probe_name, "
                    "probe_path, dtype, metrics, state, updated) VALUES (1, "
                    "'toy', '', 7, 'f', 'p', 1, 0, '', '', '', 'float32', '', "
                    "5, 0);"
                    "INSERT INTO measurement (job_id, run, stage, step, "
                    "tokens, fingerprint, probe_digest, series, header, "
                    "content_digest, committed, implausible, is_current) "
                    "VALUES (1, 'toy', '', 7, 0, 'f', 'p', 's', '', 'digest', "
                    "0, 1, 1)"));
}

TEST(OpenTest, UpgradesAFileOfEachEarlierVersion) {
  for (size_t version = 1; version < Migrations().size(); ++version) {
    const std::string path = FreshFile(absl::StrCat("version", version));
    WriteOldFile(path, version);
    TestStore upgraded(path);
    v1::GetMeasurementRequest request;
    request.set_run("toy");
    request.set_step(7);
    const auto found = upgraded->GetMeasurement(request);
    ASSERT_TRUE(found.ok()) << version << ": " << found.status();
    EXPECT_EQ(found->content_digest(), "digest");
    EXPECT_TRUE(found->implausible());
    EXPECT_EQ(found->implausible_reason(), "");
  }
}

// As somebody who may do nothing that permissions do not allow, root or not.
absl::Status OpenWithoutPrivileges(const std::string& path) {
  absl::Status status;
  std::thread([&] {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2] = {};
    EXPECT_EQ(syscall(SYS_capset, &header, none), 0);
    StoreOptions options;
    options.path = path;
    status = Store::Open(std::move(options)).status();
  }).join();
  return status;
}

// It used to be "held by another process".
TEST(OpenTest, SaysOfAFolderThatCannotBeWrittenThatItCannot) {
  const std::string folder = testing::TempDir() + "/read_only";
  const std::string path = folder + "/sinkwatch.db";
  mkdir(folder.c_str(), 0755);
  { TestStore written(path); }
  const auto expect = [&](const std::string& named, mode_t file, mode_t of) {
    ASSERT_EQ(chmod(path.c_str(), file), 0);
    ASSERT_EQ(chmod(folder.c_str(), of), 0);
    const absl::Status status = OpenWithoutPrivileges(path);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(absl::StrContains(status.message(),
                                  named + " cannot be written (Permission"))
        << status;
  };
  expect(path, 0444, 0555);
  expect(folder, 0644, 0555);
  ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
  EXPECT_TRUE(OpenWithoutPrivileges(path).ok());
}

TEST(OpenTest, RefusesAFolderThatIsNotThere) {
  EXPECT_EQ(CodeOfOpening("/nowhere/at/all.db"),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sinkwatch::store

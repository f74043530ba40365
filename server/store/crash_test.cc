// What was reported as committed survives kill -9 at any moment.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

constexpr int kRounds = 20;
constexpr int kStepsOfRound = 400;

// The child: commits step after step and tells each once it is on disk.
[[noreturn]] void CommitUntilKilled(const std::string& path, int64_t first,
                                    int out) {
  TestStore store(path);
  std::vector<Observation> seen;
  for (int64_t step = first; step < first + kStepsOfRound; ++step) {
    seen.push_back(Seen(step));
  }
  if (!store->Observe(seen).ok()) _exit(1);
  CheckpointQuery queued;
  queued.run = "toy";
  queued.states = {v1::JOB_STATE_QUEUED};
  queued.page.size = kStepsOfRound;
  const auto page = store->Checkpoints(queued);
  if (!page.ok()) _exit(1);
  for (const JobRecord& job : page->jobs) {
    const auto lease = store->Lease(job.job.id(), "w", {}, 100).value();
    const auto result = store->Commit(
        {{lease.job.id(), lease.token, MeasurementOf(lease.job, 1)}});
    const int64_t step = lease.job.checkpoint().step();
    if (!result[0].ok() || write(out, &step, sizeof step) != sizeof step) {
      _exit(1);
    }
  }
  while (true) pause();
}

// Kills the child some microseconds after its `acks`-th report.
std::vector<int64_t> RunAndKill(const std::string& path, int64_t first,
                                int acks, int delay_us) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) CommitUntilKilled(path, first, ends[1]);
  close(ends[1]);
  std::vector<int64_t> acknowledged;
  int64_t step = 0;
  while (read(ends[0], &step, sizeof step) == sizeof step) {
    acknowledged.push_back(step);
    if (static_cast<int>(acknowledged.size()) == acks) {
      usleep(delay_us);
      kill(child, SIGKILL);
    }
  }
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return acknowledged;
}

std::string Ask(const std::string& path, const char* sql) {
  sqlite3* database = nullptr;
  sqlite3_stmt* statement = nullptr;
  std::string answer;
  sqlite3_open(path.c_str(), &database);
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW) {
    answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return answer;
}

TEST(CrashTest, KeepsEveryAcknowledgedMeasurementOnce) {
  const std::string path = testing::TempDir() + "/crash.db";
  for (const char* end : {"", "-wal", "-shm"}) {
    std::remove((path + end).c_str());
  }
  std::mt19937 random(1);
  for (int round = 0; round < kRounds; ++round) {
    const auto acknowledged =
        RunAndKill(path, round * 1000, 1 + static_cast<int>(random() % 60),
                   static_cast<int>(random() % 3000));
    ASSERT_FALSE(acknowledged.empty());
    {
      TestStore store(path);
      v1::GetMeasurementRequest request;
      request.set_run("toy");
      for (int64_t step : acknowledged) {
        request.set_step(step);
        EXPECT_TRUE(store->GetMeasurement(request).ok()) << step;
      }
    }
    EXPECT_EQ(Ask(path, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(Ask(path,
                  "SELECT count(*) - count(DISTINCT step) FROM "
                  "measurement"),
              "0");
    EXPECT_EQ(Ask(path, absl::StrCat(
                            "SELECT (SELECT count(*) FROM job WHERE state = ",
                            v1::JOB_STATE_DONE,
                            ") - (SELECT count(*) FROM measurement)")
                            .c_str()),
              "0");
  }
}

}  // namespace
}  // namespace sinkwatch::store

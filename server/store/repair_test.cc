// Stores that were spoilt: found, named, set aside, measured again.
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/store/cancel_scope.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

class RepairTest : public ::testing::Test {
 protected:
  RepairTest()
      : path_(testing::TempDir() + "/" +
              testing::UnitTest::GetInstance()->current_test_info()->name() +
              ".db") {
    std::filesystem::remove(path_);
    store_ = std::make_unique<TestStore>(path_);
    v1::RunConfig run;
    run.set_name("toy");
    run.set_root("/runs/toy");
    EXPECT_TRUE(Db().PutRun(run).ok());
    for (int64_t step : {10, 20, 30}) {
      EXPECT_TRUE(Db().Observe({Seen(step)}).ok());
      EXPECT_TRUE(Measure(step).ok());
    }
  }

  Store& Db() { return **store_; }

  // Leases and commits a step that is queued.
  absl::Status Measure(int64_t step, float base = 100) {
    const auto lease = Db().Lease(JobOfStep(Db(), step), "w", LeaseLimits(), 5);
    if (!lease.ok()) return lease.status();
    Shape shape;
    shape.metrics = 2;
    const auto results =
        Db().Commit({{lease->job.id(), lease->token,
                      MeasurementOf(lease->job, base, shape)}});
    return results[0].status();
  }

  // Changes the file behind the store's back and opens it again.
  void Spoil(const std::string& sql) {
    store_.reset();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr),
              SQLITE_OK)
        << sqlite3_errmsg(database);
    ASSERT_GT(sqlite3_changes(database), 0) << sql;
    sqlite3_close(database);
    store_ = std::make_unique<TestStore>(path_);
  }
  void SpoilBlob(const std::string& metric, int64_t step) {
    // One byte of a value.
    Spoil(absl::StrCat(
        "UPDATE metric_values SET data = CAST(substr(data, 1, 40) || x'55' || "
        "substr(data, 42) AS BLOB) WHERE metric = '",
        metric,
        "' AND measurement_id = (SELECT id FROM measurement WHERE step = ",
        step, ")"));
  }

  absl::StatusOr<Series> ReadSeries(const std::string& metric) {
    SeriesQuery query;
    query.run = "toy";
    query.metric = metric;
    query.domain = "domain0";
    return Db().ReadSeries(query);
  }
  absl::StatusOr<v1::Measurement> Get(int64_t step) {
    v1::GetMeasurementRequest request;
    request.set_run("toy");
    request.set_step(step);
    return Db().GetMeasurement(request);
  }

  const std::string path_;
  std::unique_ptr<TestStore> store_;
};

TEST_F(RepairTest, ASoundStoreIsSound) {
  const auto report = Db().Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->measurements, 3);
  EXPECT_EQ(report->blobs, 6);
  EXPECT_EQ(report->total_damage, 0);
  EXPECT_TRUE(Db().CheckFile(path_ + ".check").value().empty());
  EXPECT_FALSE(std::filesystem::exists(path_ + ".check.partial"));
  const auto repaired = Db().Repair();
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(repaired->set_aside, 0);
}

TEST_F(RepairTest, ASpoiltBlobIsNamedAndCostsItself) {
  SpoilBlob("metric0", 20);
  const auto report = Db().Check();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->total_damage, 1);
  const Store::Damage& damage = report->damage[0];
  EXPECT_EQ(damage.run, "toy");
  EXPECT_EQ(damage.step, 20);
  EXPECT_EQ(damage.metric, "metric0");
  EXPECT_EQ(damage.domain, "domain0");
  EXPECT_TRUE(absl::StrContains(damage.what, "checksum")) << damage.what;

  const auto series = ReadSeries("metric0");
  ASSERT_TRUE(series.ok()) << series.status();
  EXPECT_EQ(series->steps, (std::vector<int64_t>{10, 30}));
  EXPECT_EQ(series->damaged.count(20), 1u);
  EXPECT_EQ(ReadSeries("metric1")->steps.size(), 3u);
  const absl::Status whole = Get(20).status();
  EXPECT_EQ(whole.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::StrContains(whole.message(), "step 20, metric \"metric0\""))
      << whole;
}

TEST_F(RepairTest, WhatIsSetAsideIsMeasuredAgainAndTheRestIsShownMeanwhile) {
  SpoilBlob("metric0", 20);
  const auto report = Db().Repair();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->set_aside, 1);
  ASSERT_EQ(report->mended.size(), 1u);
  EXPECT_TRUE(report->left.empty());
  EXPECT_EQ(Db().Check()->total_damage, 0);
  EXPECT_EQ(ReadSeries("metric1")->steps.size(), 3u);

  ASSERT_TRUE(Measure(20, 500).ok());
  const auto series = ReadSeries("metric0");
  ASSERT_EQ(series->steps, (std::vector<int64_t>{10, 20, 30}));
  EXPECT_EQ(series->value(1, 0), 500);
  EXPECT_EQ(ReadSeries("metric1")->value(1, 0), 500);
  EXPECT_EQ(Get(20)->vectors(0).values(0), 500);
  // And stays so.
  store_.reset();
  store_ = std::make_unique<TestStore>(path_);
  EXPECT_EQ(Db().Check()->total_damage, 0);
  EXPECT_EQ(Get(20)->vectors(0).values(0), 500);
}

TEST_F(RepairTest, AMeasurementWithoutAHeaderIsTakenOutAsAWhole) {
  Spoil("UPDATE measurement SET header = x'ffff' WHERE step = 30");
  v1::ListRunsResponse runs = Db().ListRuns({}).value();
  ASSERT_EQ(runs.runs_size(), 1);
  EXPECT_EQ(runs.runs(0).latest_step(), 30);
  EXPECT_EQ(Db().Check()->total_damage, 1);
  EXPECT_EQ(Db().Repair()->set_aside, 1);
  EXPECT_EQ(ReadSeries("metric0")->steps.size(), 2u);
  ASSERT_TRUE(Measure(30).ok());
  EXPECT_EQ(ReadSeries("metric0")->steps.size(), 3u);
}

TEST_F(RepairTest, ADefinitionComesAgainWithItsLatestMeasurement) {
  Spoil("UPDATE metric SET descriptor = x'ffff' WHERE name = 'metric1'");
  EXPECT_EQ(Db().ListMetrics({}).value().metrics_size(), 1);
  EXPECT_TRUE(Get(30).ok());
  EXPECT_EQ(Db().Repair()->set_aside, 1);
  ASSERT_TRUE(Measure(30).ok());
  EXPECT_EQ(Db().ListMetrics({}).value().metrics_size(), 2);
  EXPECT_EQ(ReadSeries("metric1")->steps.size(), 3u);
  EXPECT_EQ(Db().Check()->total_damage, 0);
}

TEST_F(RepairTest, ARunWithoutAConfigurationKeepsItsNameAndSaysSo) {
  Spoil("UPDATE run SET config = x'ffff'");
  const auto runs = Db().Runs();
  ASSERT_TRUE(runs.ok()) << runs.status();
  ASSERT_EQ(runs->size(), 1u);
  EXPECT_EQ((*runs)[0].name(), "toy");
  EXPECT_EQ(Db().ListRuns({}).value().runs_size(), 1);
  const auto report = Db().Repair();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->left.size(), 1u);
  EXPECT_TRUE(absl::StrContains(report->left[0].what, "update-run"));
}

TEST_F(RepairTest, NobodyWaitsForACheckThatWasCancelled) {
  const CancelScope scope([] { return true; });
  EXPECT_EQ(Db().Check().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Db().Backup(path_ + ".copy").status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".copy"));
}

}  // namespace
}  // namespace sinkwatch::store

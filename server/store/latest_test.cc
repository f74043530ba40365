#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

void MeasureAt(TestStore& store, int64_t step, const std::string& stage = "",
               bool implausible = false) {
  Observation seen = Seen(step);
  seen.checkpoint.set_stage(stage);
  ASSERT_TRUE(store->Observe({seen}).ok());
  const int64_t id = JobOfStep(*store, step);
  ASSERT_NE(id, 0);
  const auto lease = store->Lease(id, "w", LeaseLimits(), 5);
  ASSERT_TRUE(lease.ok()) << lease.status();
  Store::CommitRequest request;
  request.job_id = id;
  request.token = lease->token;
  Shape shape;
  shape.metrics = 2;
  request.measurement = MeasurementOf(lease->job, 100.f, shape);
  request.measurement.set_implausible(implausible);
  const auto results = store->Commit({request});
  ASSERT_TRUE(results[0].ok()) << results[0].status();
}

void Follow(TestStore& store) {
  v1::RunConfig run;
  run.set_name("toy");
  ASSERT_TRUE(store->PutRun(run).ok());
}

TEST(LatestTest, IsTheHighestPlausibleStepOfEachStage) {
  TestStore store;
  Follow(store);
  MeasureAt(store, 20);
  MeasureAt(store, 10);
  MeasureAt(store, 30, "", /*implausible=*/true);
  MeasureAt(store, 5, "anneal");
  const auto keys = store->LatestKeys();
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].stage, "");
  EXPECT_EQ((*keys)[0].step, 20);
  EXPECT_EQ((*keys)[1].stage, "anneal");
  EXPECT_EQ((*keys)[1].step, 5);
}

TEST(LatestTest, RunsWhoseNewestIsImplausibleAreTold) {
  TestStore store;
  Follow(store);
  MeasureAt(store, 10, "", /*implausible=*/true);
  EXPECT_EQ(store->ImplausibleRuns().value(), std::vector<std::string>{"toy"});
  MeasureAt(store, 20);
  EXPECT_TRUE(store->ImplausibleRuns().value().empty());
  MeasureAt(store, 5, "anneal", /*implausible=*/true);
  EXPECT_EQ(store->ImplausibleRuns().value(), std::vector<std::string>{"toy"});
}

TEST(LatestTest, RunsThatNobodyFollowsHaveNone) {
  TestStore store;
  Follow(store);
  MeasureAt(store, 10);
  ASSERT_TRUE(store->RemoveRun("toy").ok());
  const auto keys = store->LatestKeys();
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_TRUE(keys->empty());
}

TEST(LatestTest, ReadsTheMetricsAskedForInTheirOrder) {
  TestStore store;
  Follow(store);
  MeasureAt(store, 10);
  const int64_t id = (*store->LatestKeys())[0].measurement;
  const auto facts = store->MeasurementFacts(id);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_EQ(facts->header().metrics_size(), 2);
  EXPECT_EQ(facts->vectors_size(), 0);
  const auto read = store->ReadMetrics(id, {"metric1", "none", "metric0"});
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->vectors.size(), 4u);
  EXPECT_EQ(read->vectors[0].metric(), "metric1");
  EXPECT_EQ(read->vectors[3].metric(), "metric0");
  EXPECT_EQ(read->vectors[3].values_size(), 3);
  EXPECT_EQ(read->vectors[3].standard_errors_size(), 0);
  EXPECT_TRUE(read->damaged.empty());
}

// What was one flipped bit and no server any more.
TEST(LatestTest, ASpoiltBlobCostsItselfAndIsNamed) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/spoilt";
  {
    TestStore store(path);
    Follow(store);
    MeasureAt(store, 10);
  }
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "UPDATE metric_values SET data = zeroblob(40) WHERE "
                         "metric = 'metric0'",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  TestStore store(path);
  const auto keys = store->LatestKeys();
  ASSERT_TRUE(keys.ok()) << keys.status();
  const auto read =
      store->ReadMetrics((*keys)[0].measurement, {"metric0", "metric1"});
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->vectors.size(), 2u);
  EXPECT_EQ(read->vectors[0].metric(), "metric1");
  ASSERT_EQ(read->damaged.size(), 1u);
  EXPECT_TRUE(absl::StrContains(read->damaged[0], "metric0"));
}

}  // namespace
}  // namespace sinkwatch::store

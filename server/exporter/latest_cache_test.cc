#include "server/exporter/latest_cache.h"

#include <cstdlib>
#include <string>

#include "gtest/gtest.h"
#include "server/exporter/measured_store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::exporter {
namespace {

void MeasureRun(store::Store* store, const std::string& run, int64_t step) {
  const absl::Status status = Measure(store, run, step, Shape());
  ASSERT_TRUE(status.ok()) << status;
}

TEST(LatestCacheTest, ACommitRereadsItsOwnRunOnly) {
  const auto store = MakeStore();
  MeasureRun(store.get(), "a", 100);
  MeasureRun(store.get(), "b", 100);
  LatestCache cache(store.get(), {});
  ASSERT_TRUE(cache.Update().ok());
  const auto before = cache.latest();
  ASSERT_EQ(before.size(), 2u);
  MeasureRun(store.get(), "b", 200);
  ASSERT_TRUE(cache.Update().ok());
  const auto& after = cache.latest();
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[0], before[0]) << "a was read again";
  EXPECT_NE(after[1], before[1]);
  EXPECT_EQ(after[1]->header().checkpoint().step(), 200);
}

TEST(LatestCacheTest, KeepsWhatIsShownAndNoStandardErrors) {
  const auto store = MakeStore();
  MeasureRun(store.get(), "a", 100);
  LatestCache cache(store.get(), {"probe_loss", "sink_attention"});
  ASSERT_TRUE(cache.Update().ok());
  const v1::Measurement& kept = *cache.latest()[0];
  ASSERT_EQ(kept.header().metrics_size(), 2);
  EXPECT_EQ(kept.header().metrics(0).name(), "probe_loss");
  ASSERT_EQ(kept.vectors_size(), 3);
  for (const v1::MetricVector& vector : kept.vectors()) {
    EXPECT_EQ(vector.standard_errors_size(), 0);
  }
}

TEST(LatestCacheTest, RunsThatComeBackAreThereWithoutACommit) {
  const auto store = MakeStore();
  MeasureRun(store.get(), "a", 100);
  LatestCache cache(store.get(), {});
  ASSERT_TRUE(store->RemoveRun("a").ok());
  ASSERT_TRUE(cache.Update().ok());
  EXPECT_TRUE(cache.latest().empty());
  v1::RunConfig run;
  run.set_name("a");
  ASSERT_TRUE(store->PutRun(run).ok());
  ASSERT_TRUE(cache.Update().ok());
  EXPECT_EQ(cache.latest().size(), 1u);
}

// One flipped bit in one blob kept the server from starting.
TEST(LatestCacheTest, WhatCannotBeReadCostsItselfAndIsCounted) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/spoilt";
  {
    const auto store = MakeStore(path);
    MeasureRun(store.get(), "a", 100);
    MeasureRun(store.get(), "b", 100);
  }
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "UPDATE metric_values SET data = zeroblob(40) WHERE "
                         "metric = 'sink_attention' AND measurement_id = 1; "
                         "UPDATE measurement SET header = x'ff' WHERE id = 2",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  const auto store = MakeStore(path);
  MeasureRun(store.get(), "c", 100);
  LatestCache cache(store.get(), {});
  ASSERT_TRUE(cache.Update().ok());
  ASSERT_EQ(cache.latest().size(), 2u);
  EXPECT_EQ(cache.latest()[0]->header().checkpoint().run(), "a");
  for (const v1::MetricVector& vector : cache.latest()[0]->vectors()) {
    EXPECT_NE(vector.metric(), "sink_attention");
  }
  EXPECT_EQ(cache.latest()[1]->header().checkpoint().run(), "c");
  EXPECT_EQ(cache.unreadable(),
            (std::map<std::string, int64_t>{{"a", 1}, {"b", 1}}));
}

}  // namespace
}  // namespace sinkwatch::exporter

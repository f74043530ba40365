// What lists and series answer.
#include "gtest/gtest.h"
#include "server/store/cancel_scope.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

class QueriesTest : public testing::Test {
 protected:
  QueriesTest() {
    v1::RunConfig toy;
    toy.set_name("toy");
    toy.set_root("/runs/toy");
    EXPECT_TRUE(store_->PutRun(toy).ok());
  }

  void See(int64_t step, const std::string& stage,
           v1::JobState state = v1::JOB_STATE_QUEUED) {
    Observation seen = Seen(step, "first", state);
    seen.checkpoint.set_stage(stage);
    ASSERT_TRUE(store_->Observe({seen}).ok());
  }
  void Measure(int64_t step, bool implausible = false) {
    ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
    CheckpointQuery query;
    query.run = "toy";
    query.states = {v1::JOB_STATE_QUEUED};
    const int64_t id = store_->Checkpoints(query)->jobs[0].job.id();
    const JobRecord job = store_->Lease(id, "a", {}, 5).value();
    v1::Measurement measurement =
        MeasurementOf(job.job, static_cast<float>(step));
    measurement.set_implausible(implausible);
    ASSERT_TRUE(
        store_->Commit({{job.job.id(), job.token, measurement}})[0].ok());
  }
  // "stage:step" of every page of two.
  std::vector<std::string> Pages(CheckpointQuery query) {
    query.run = "toy";
    query.page.size = 2;
    std::vector<std::string> places;
    do {
      const auto page = store_->Checkpoints(query).value();
      for (const JobRecord& job : page.jobs) {
        places.push_back(job.job.checkpoint().stage() + ":" +
                         std::to_string(job.job.checkpoint().step()));
      }
      query.page.token = page.next_page_token;
    } while (!query.page.token.empty());
    return places;
  }
  SeriesQuery OfToy() {
    SeriesQuery query;
    query.run = "toy";
    query.metric = "metric0";
    query.domain = "domain0";
    return query;
  }

  TestStore store_;
};

using Places = std::vector<std::string>;

TEST_F(QueriesTest, DescribesOneRunAsTheListDoes) {
  See(1, "b", v1::JOB_STATE_WAITING);
  Measure(7);
  See(2, "a");
  const auto run = store_->Run("toy");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->root(), "/runs/toy");
  EXPECT_EQ(run->latest_step(), 7);
  EXPECT_EQ(run->stages_size(), 3);
  ASSERT_EQ(run->states_size(), 3);
  EXPECT_EQ(run->states(1).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(run->states(1).count(), 1);
  EXPECT_EQ(run->domains(0), "domain0");
  EXPECT_EQ(run->SerializeAsString(),
            store_->ListRuns({}).value().runs(0).SerializeAsString());
}

TEST_F(QueriesTest, ListsDomainsInTheOrderOfTheProbe) {
  See(1, "");
  const JobRecord job =
      store_->Lease(JobOfStep(*store_, 1), "a", {}, 5).value();
  v1::Measurement measurement = MeasurementOf(job.job, 0, {2, 3, 2, 2});
  for (v1::MetricVector& vector : *measurement.mutable_vectors()) {
    vector.set_domain(vector.domain() == "domain0" ? "wiki" : "code");
  }
  ASSERT_TRUE(store_->Commit({{job.job.id(), job.token, measurement}})[0].ok());
  const v1::RunStatus run = store_->Run("toy").value();
  EXPECT_EQ(Places(run.domains().begin(), run.domains().end()),
            (Places{"wiki", "code"}));
}

TEST_F(QueriesTest, KnowsNoRunThatIsNotFollowed) {
  EXPECT_EQ(store_->Run("other").status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(store_->RemoveRun("toy").ok());
  EXPECT_EQ(store_->Run("toy").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store_->RunNames()->empty());
}

TEST_F(QueriesTest, ListsCheckpointsInBothDirections) {
  for (int64_t step : {3, 1, 2}) See(step, "a");
  See(1, "b");
  EXPECT_EQ(Pages({}), (Places{"a:1", "a:2", "a:3", "b:1"}));
  CheckpointQuery newest;
  newest.newest_first = true;
  EXPECT_EQ(Pages(newest), (Places{"b:1", "a:3", "a:2", "a:1"}));
}

TEST_F(QueriesTest, MergesTheStatesOfAListInItsOrder) {
  for (int64_t step : {1, 4}) See(step, "", v1::JOB_STATE_QUEUED);
  for (int64_t step : {2, 5}) See(step, "", v1::JOB_STATE_WAITING);
  for (int64_t step : {3, 6}) See(step, "", v1::JOB_STATE_SKIPPED);
  CheckpointQuery query;
  query.states = {v1::JOB_STATE_WAITING, v1::JOB_STATE_QUEUED};
  query.stage = "";
  query.newest_first = true;
  EXPECT_EQ(Pages(query), (Places{":5", ":4", ":2", ":1"}));
  query.run = "toy";
  EXPECT_EQ(*store_->CountCheckpoints(query), 4);
  query.states.clear();
  EXPECT_EQ(*store_->CountCheckpoints(query), 6);
  query.stage = "b";
  EXPECT_EQ(*store_->CountCheckpoints(query), 0);
}

TEST_F(QueriesTest, CutsASeriesAtTheEndThatIsAskedFor) {
  for (int64_t step : {1, 2, 3, 4}) Measure(step);
  SeriesQuery query = OfToy();
  query.max_steps = 2;
  auto series = store_->ReadSeries(query).value();
  EXPECT_EQ(series.steps, (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(series.cut);
  query.newest = true;
  series = store_->ReadSeries(query).value();
  EXPECT_EQ(series.steps, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(series.value(0, 0), 3);
  EXPECT_TRUE(series.cut);
  query.max_steps = 4;
  EXPECT_FALSE(store_->ReadSeries(query).value().cut);
  query.first_step = 2;
  query.last_step = 3;
  EXPECT_EQ(store_->ReadSeries(query).value().steps,
            (std::vector<int64_t>{2, 3}));
}

TEST_F(QueriesTest, ReadsAcrossTheBatchesOfALongSeries) {
  for (int64_t step = 0; step < 1500; ++step) Measure(step);
  for (const bool newest : {false, true}) {
    SeriesQuery query = OfToy();
    query.newest = newest;
    query.layers = {1};
    query.heads = {2};
    const auto series = store_->ReadSeries(query).value();
    ASSERT_EQ(series.steps.size(), 1500u);
    for (int64_t step = 0; step < 1500; ++step) {
      ASSERT_EQ(series.steps[step], step);
      ASSERT_EQ(series.value(step, 0), static_cast<float>(step + 12));
    }
  }
}

TEST_F(QueriesTest, EndsAQueryThatNobodyWaitsFor) {
  Measure(1);
  bool gone = true;
  const CancelScope scope([&gone] { return gone; });
  EXPECT_EQ(store_->ReadSeries(OfToy()).status().code(),
            absl::StatusCode::kCancelled);
  gone = false;
  EXPECT_TRUE(store_->ReadSeries(OfToy()).ok());
}

TEST_F(QueriesTest, SaysWhatASeriesLacks) {
  EXPECT_EQ(store_->ReadSeries(OfToy()).status().code(),
            absl::StatusCode::kNotFound);
  Measure(1, true);
  SeriesQuery query = OfToy();
  EXPECT_TRUE(store_->ReadSeries(query)->steps.empty());
  query.include_implausible = true;
  EXPECT_EQ(store_->ReadSeries(query)->steps.size(), 1u);
  query.metric = "other";
  EXPECT_EQ(store_->ReadSeries(query).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sinkwatch::store

// What is committed, and how it is read again.
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

class MeasurementTest : public testing::Test {
 protected:
  JobRecord Lease(int64_t step, const std::string& fingerprint = "first") {
    EXPECT_TRUE(store_->Observe({Seen(step, fingerprint)}).ok());
    return store_->Lease(JobOfStep(*store_, step), "a", {}, 5).value();
  }
  absl::StatusOr<CommitResult> Commit(const JobRecord& job,
                                      const v1::Measurement& measurement) {
    return store_->Commit({{job.job.id(), job.token, measurement}})[0];
  }
  void Measure(int64_t step, float base, bool implausible = false,
               const std::string& fingerprint = "first") {
    const JobRecord job = Lease(step, fingerprint);
    v1::Measurement measurement = MeasurementOf(job.job, base);
    measurement.set_implausible(implausible);
    ASSERT_TRUE(Commit(job, measurement).ok());
  }
  SeriesQuery Query() {
    SeriesQuery query;
    query.run = "toy";
    query.metric = "metric0";
    query.domain = "domain0";
    return query;
  }

  TestStore store_;
};

TEST_F(MeasurementTest, GivesBackWhatWasCommitted) {
  const JobRecord job = Lease(1);
  const v1::Measurement sent = MeasurementOf(job.job, 0.25);
  ASSERT_TRUE(Commit(job, sent).ok());
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(1);
  const auto read = store_->GetMeasurement(request);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->vectors_size(), sent.vectors_size());
  for (int i = 0; i < sent.vectors_size(); ++i) {
    EXPECT_EQ(read->vectors(i).SerializeAsString(),
              sent.vectors(i).SerializeAsString());
  }
  EXPECT_EQ(read->header().metrics(0).name(), "metric0");
}

TEST_F(MeasurementTest, RefusesLayersOfUnequalWidthAndWritesNothing) {
  const JobRecord job = Lease(1);
  v1::Measurement ragged = MeasurementOf(job.job, 0);
  ragged.mutable_vectors(1)->add_values(1);
  ragged.mutable_vectors(1)->add_standard_errors(1);
  EXPECT_EQ(Commit(job, ragged).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->GetJob(job.job.id())->state, v1::JOB_STATE_LEASED);
}

TEST_F(MeasurementTest, RefusesValuesWithoutTheirStandardErrors) {
  const JobRecord job = Lease(1);
  v1::Measurement bare = MeasurementOf(job.job, 0);
  bare.mutable_vectors(0)->clear_standard_errors();
  EXPECT_EQ(Commit(job, bare).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(MeasurementTest, CommitsTheOthersOfAGroupWhenOneIsRefused) {
  const JobRecord first = Lease(1), second = Lease(2);
  const auto results = store_->Commit(
      {{first.job.id(), first.token + 1, MeasurementOf(first.job, 0)},
       {second.job.id(), second.token, MeasurementOf(second.job, 0)}});
  EXPECT_EQ(results[0].status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(*results[1], CommitResult::kCommitted);
}

TEST_F(MeasurementTest, ShowsTheNewestMeasuredContentOfAStep) {
  Measure(1, 100, false, "first");
  Measure(1, 200, false, "second");
  const auto series = store_->ReadSeries(Query());
  ASSERT_EQ(series->steps.size(), 1u);
  EXPECT_EQ(series->value(0, 0), 200);
}

TEST_F(MeasurementTest, ShowsAContentThatCameBackAndWasMeasuredLast) {
  ASSERT_TRUE(store_->Observe({Seen(1, "first")}).ok());
  Measure(1, 200, false, "second");  // supersedes the first
  Measure(1, 100, false, "first");   // which is there again
  const auto series = store_->ReadSeries(Query());
  ASSERT_EQ(series->steps.size(), 1u);
  EXPECT_EQ(series->value(0, 0), 100);
}

// Values that are not comparable never share a series: the latest kind is
// shown.
TEST_F(MeasurementTest, KeepsKindsOfMeasurementApart) {
  using Change = void (*)(v1::MeasurementHeader&);
  const Change changes[] = {
      [](v1::MeasurementHeader& header) { header.set_dtype("bfloat16"); },
      [](v1::MeasurementHeader& header) { header.set_sequence_length(7); },
      [](v1::MeasurementHeader& header) { header.set_bos_policy("prepend"); },
      [](v1::MeasurementHeader& header) {
        header.set_spec_version(kSpecVersion + 1);
      }};
  int64_t step = 0;
  for (const Change change : changes) {
    Measure(++step, 100);
    const JobRecord job = Lease(++step);
    v1::Measurement other = MeasurementOf(job.job, 200);
    change(*other.mutable_header());
    ASSERT_TRUE(Commit(job, other).ok());
    const auto series = store_->ReadSeries(Query());
    ASSERT_TRUE(series.ok()) << series.status();
    ASSERT_EQ(series->steps.size(), 1u) << "change " << step / 2;
    EXPECT_EQ(series->steps[0], step);
  }
}

TEST_F(MeasurementTest, KeepsWhyItIsImplausible) {
  const JobRecord job = Lease(1);
  v1::Measurement sent = MeasurementOf(job.job, 0);
  sent.set_implausible(true);
  sent.set_implausible_reason("probe loss 99");
  ASSERT_TRUE(Commit(job, sent).ok());
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(1);
  const auto found = store_->GetMeasurement(request);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->implausible());
  EXPECT_EQ(found->implausible_reason(), "probe loss 99");
}

TEST_F(MeasurementTest, KeepsWhatItTookAndTheDigestsOfItsTensors) {
  const JobRecord job = Lease(1);
  v1::Measurement sent = MeasurementOf(job.job, 0);
  sent.set_load_seconds(1.5);
  sent.set_compute_seconds(20);
  sent.mutable_header()->set_device("cpu");
  for (const char* name : {"a", "b"}) {
    v1::TensorDigest& tensor = *sent.add_tensors();
    tensor.set_name(name);
    tensor.set_digest(std::string("0123456789\0bcdef", 16));
  }
  sent.add_notes("3 heads were left out");
  sent.add_sinks()->set_token(13);
  ASSERT_TRUE(Commit(job, sent).ok());
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(1);
  const auto found = store_->GetMeasurement(request);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->load_seconds(), 1.5);
  EXPECT_EQ(found->compute_seconds(), 20);
  ASSERT_EQ(found->tensors_size(), 2);
  EXPECT_EQ(found->tensors(1).SerializeAsString(),
            sent.tensors(1).SerializeAsString());
  ASSERT_EQ(found->notes_size(), 1);
  EXPECT_EQ(found->notes(0), "3 heads were left out");
  ASSERT_EQ(found->sinks_size(), 1);
  EXPECT_EQ(found->sinks(0).token(), 13);
  CheckpointQuery list;
  list.run = "toy";
  const auto cost = store_->Checkpoints(list)->costs.at(0);
  ASSERT_TRUE(cost.has_value());
  EXPECT_EQ(cost->load_seconds, 1.5);
  EXPECT_EQ(cost->compute_seconds, 20);
  EXPECT_EQ(cost->device, "cpu");
}

TEST_F(MeasurementTest, RefusesAMetricOfAnotherScopeThanItsSeries) {
  Measure(1, 0);
  const JobRecord job = Lease(2);
  v1::Measurement other = MeasurementOf(job.job, 0);
  other.mutable_header()->mutable_metrics(0)->set_scope(v1::SCOPE_KV_HEAD);
  EXPECT_EQ(Commit(job, other).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->GetJob(job.job.id())->state, v1::JOB_STATE_LEASED);
  // Another version of the definitions is another series.
  other.mutable_header()->set_spec_version(99);
  EXPECT_TRUE(Commit(job, other).ok());
}

TEST_F(MeasurementTest, ListsAMetricAsItsShownSeriesDescribesIt) {
  const auto measure = [this](int64_t step, int32_t version,
                              const std::string& meaning) {
    const JobRecord job = Lease(step);
    v1::Measurement measurement = MeasurementOf(job.job, 0, {2, 3, 2, 1});
    measurement.mutable_header()->set_spec_version(version);
    measurement.mutable_header()->mutable_metrics(0)->set_meaning(meaning);
    ASSERT_TRUE(Commit(job, measurement).ok());
    store_.Advance(absl::Seconds(1));
  };
  measure(1, 2, "of version 2");
  measure(2, 1, "of version 1");
  v1::ListMetricsRequest request;
  request.set_page_size(1);
  for (const char* run : {"toy", ""}) {
    request.set_run(run);
    request.clear_page_token();
    const auto first = store_->ListMetrics(request).value();
    ASSERT_EQ(first.metrics_size(), 1);
    EXPECT_EQ(first.metrics(0).meaning(), "of version 1");
    request.set_page_token(first.next_page_token());
    const auto second = store_->ListMetrics(request).value();
    ASSERT_EQ(second.metrics_size(), 1);
    EXPECT_EQ(second.metrics(0).name(), "metric1");
    EXPECT_EQ(second.next_page_token(), "");
  }
}

TEST_F(MeasurementTest, LeavesImplausibleStepsOutUnlessAskedFor) {
  Measure(1, 0);
  Measure(2, 0, true);
  SeriesQuery query = Query();
  EXPECT_EQ(store_->ReadSeries(query)->steps.size(), 1u);
  query.include_implausible = true;
  EXPECT_EQ(store_->ReadSeries(query)->steps.size(), 2u);
}

TEST_F(MeasurementTest, CutsASeriesWithoutGapOrRepetition) {
  for (int step : {5, 1, 4, 2, 3}) Measure(step, 0);
  SeriesQuery query = Query();
  query.max_steps = 2;
  std::vector<int64_t> steps;
  bool cut = true;
  while (cut) {
    const Series part = store_->ReadSeries(query).value();
    ASSERT_FALSE(part.steps.empty());
    steps.insert(steps.end(), part.steps.begin(), part.steps.end());
    query.first_step = part.steps.back() + 1;
    cut = part.cut;
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5}));
}

TEST_F(MeasurementTest, PagesCheckpointsWithoutGapOrRepetition) {
  for (int step = 0; step < 5; ++step) {
    ASSERT_TRUE(store_->Observe({Seen(step)}).ok());
  }
  CheckpointQuery query;
  query.run = "toy";
  query.page.size = 2;
  std::vector<int64_t> steps;
  do {
    const auto page = store_->Checkpoints(query).value();
    for (const JobRecord& job : page.jobs) {
      steps.push_back(job.job.checkpoint().step());
    }
    query.page.token = page.next_page_token;
  } while (!query.page.token.empty());
  EXPECT_EQ(steps, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST_F(MeasurementTest, RefusesAPageTokenOfAnotherList) {
  CheckpointQuery query;
  query.page.token = "x";
  EXPECT_EQ(store_->Checkpoints(query).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(MeasurementTest, SelectsLayersAndHeads) {
  Measure(1, 0);
  SeriesQuery query = Query();
  query.layers = {1};
  query.heads = {2};
  const auto series = store_->ReadSeries(query);
  ASSERT_EQ(series->columns, (std::vector<SeriesColumn>{{1, 2}}));
  EXPECT_EQ(series->value(0, 0), 12);
}

}  // namespace
}  // namespace sinkwatch::store

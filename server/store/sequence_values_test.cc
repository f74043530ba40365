// What single sequences gave, and the protocol that a measurement follows.
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"
#include "sqlite3.h"

namespace sinkwatch::store {
namespace {

constexpr int kSequences = 5;

// Of head h in layer l at a step: base + 10 l + h + i / 10; one is missing.
float ValueOf(float base, int layer, int head, int sequence) {
  if (sequence == 3) return NAN;
  return base + 10.F * layer + head + .1F * sequence;
}

class SequenceValuesTest : public testing::Test {
 protected:
  JobRecord Lease(int64_t step) {
    Observation seen = Seen(step);
    seen.protocol = protocol_;
    EXPECT_TRUE(store_->Observe({seen}).ok());
    return store_->Lease(JobOfStep(*store_, step), "a", {}, 5).value();
  }
  absl::StatusOr<CommitResult> Commit(const JobRecord& job,
                                      const v1::Measurement& measurement) {
    return store_->Commit({{job.job.id(), job.token, measurement}})[0];
  }
  v1::Measurement BySequence(const JobRecord& job, float base) {
    v1::Measurement measurement = MeasurementOf(job.job, base);
    measurement.mutable_header()->set_protocol(job.job.protocol());
    measurement.mutable_header()->mutable_metrics(0)->set_by_sequence(true);
    for (v1::MetricVector& vector : *measurement.mutable_vectors()) {
      for (int h = 0; h < vector.values_size(); ++h) {
        for (int i = 0; i < kSequences; ++i) {
          vector.add_sequence_values(ValueOf(base, vector.layer(), h, i));
        }
      }
    }
    return measurement;
  }
  void Measure(int64_t step, float base) {
    const JobRecord job = Lease(step);
    ASSERT_TRUE(Commit(job, BySequence(job, base)).ok());
  }
  absl::StatusOr<v1::Measurement> Get(int64_t step) {
    v1::GetMeasurementRequest request;
    request.set_run("toy");
    request.set_step(step);
    return store_->GetMeasurement(request);
  }
  SequenceQuery Query() {
    SequenceQuery query;
    query.run = "toy";
    query.metric = "metric0";
    query.domain = "domain0";
    query.layer = 1;
    return query;
  }
  // The steps that are told, each with the second sequence of its last head.
  std::vector<std::pair<int64_t, float>> Told(const SequenceQuery& query) {
    std::vector<std::pair<int64_t, float>> told;
    const absl::Status status = store_->ReadSequences(
        query, [&](int64_t step, const SequenceBlob& blob) {
          EXPECT_EQ(blob.width, 3);
          EXPECT_EQ(blob.sequences, kSequences);
          told.emplace_back(step, blob.values[2 * kSequences + 1]);
        });
    EXPECT_TRUE(status.ok()) << status;
    return told;
  }

  std::string protocol_;
  TestStore store_;
};

TEST_F(SequenceValuesTest, AreGivenBackWithTheMeasurement) {
  const JobRecord job = Lease(1);
  const v1::Measurement sent = BySequence(job, .25);
  ASSERT_TRUE(Commit(job, sent).ok());
  const auto read = Get(1);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->vectors_size(), sent.vectors_size());
  for (int i = 0; i < sent.vectors_size(); ++i) {
    EXPECT_EQ(read->vectors(i).SerializeAsString(),
              sent.vectors(i).SerializeAsString());
  }
}

TEST_F(SequenceValuesTest, OfALayerAreToldStepByStep) {
  for (int step : {3, 1, 2}) Measure(step, static_cast<float>(step));
  const auto at = [](float base) { return ValueOf(base, 1, 2, 1); };
  using Steps = std::vector<std::pair<int64_t, float>>;
  EXPECT_EQ(Told(Query()), (Steps{{1, at(1)}, {2, at(2)}, {3, at(3)}}));
  SequenceQuery one = Query();
  one.first_step = one.last_step = 2;
  EXPECT_EQ(Told(one), (Steps{{2, at(2)}}));
  one.layer = 7;
  EXPECT_TRUE(Told(one).empty());
  one.run = "other";
  EXPECT_EQ(store_->ReadSequences(one, nullptr).code(),
            absl::StatusCode::kNotFound);
}

// More than is read in one turn (4 MiB).
TEST_F(SequenceValuesTest, OfManyStepsAreToldOnceEach) {
  for (int step = 0; step < 6; ++step) {
    const JobRecord job = Lease(step);
    v1::Measurement large = MeasurementOf(job.job, 0);
    large.mutable_vectors(1)->mutable_sequence_values()->Resize(
        3 * 100'000, static_cast<float>(step));
    ASSERT_TRUE(Commit(job, large).ok());
  }
  std::vector<int64_t> told;
  const absl::Status status = store_->ReadSequences(
      Query(), [&](int64_t step, const SequenceBlob& blob) {
        told.push_back(step);
        EXPECT_EQ(blob.values.back(), static_cast<float>(step));
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(told, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
}

TEST_F(SequenceValuesTest, ThatAreNotEquallyManyAreRefused) {
  const JobRecord job = Lease(1);
  v1::Measurement ragged = BySequence(job, 0);
  ragged.mutable_vectors(0)->add_sequence_values(0);
  EXPECT_EQ(Commit(job, ragged).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->GetJob(job.job.id())->state, v1::JOB_STATE_LEASED);
}

TEST_F(SequenceValuesTest, MassiveDimensionsAreKept) {
  const JobRecord job = Lease(1);
  v1::Measurement sent = MeasurementOf(job.job, 0);
  sent.add_massive_dimensions()->set_dimension(1415);
  sent.mutable_massive_dimensions(0)->set_value(-2500);
  ASSERT_TRUE(Commit(job, sent).ok());
  const auto read = Get(1);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->massive_dimensions_size(), 1);
  EXPECT_EQ(read->massive_dimensions(0).SerializeAsString(),
            sent.massive_dimensions(0).SerializeAsString());
}

// As with dtypes: what was measured by another protocol is another series.
TEST_F(SequenceValuesTest, ASeriesIsOfOneProtocol) {
  Measure(1, 0);
  protocol_ = "gu";
  Measure(2, 0);
  Measure(3, 0);
  SeriesQuery query;
  query.run = "toy";
  query.metric = "metric0";
  query.domain = "domain0";
  EXPECT_EQ(store_->ReadSeries(query)->steps, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(Get(2)->header().protocol(), "gu");
  EXPECT_EQ(Get(1)->header().protocol(), "");
}

TEST_F(SequenceValuesTest, AJobKnowsItsProtocolAndWaitsWithTheNewestOne) {
  protocol_ = "gu";
  EXPECT_EQ(Lease(1).job.protocol(), "gu");
  Observation seen = Seen(2);
  seen.protocol = "gu";
  ASSERT_TRUE(store_->Observe({seen}).ok());
  seen.protocol = "sun";
  ASSERT_TRUE(store_->Observe({seen}).ok());
  const int64_t id = JobOfStep(*store_, 2);
  EXPECT_EQ(store_->GetJob(id)->job.protocol(), "sun");
}

class SpoiltSequencesTest : public SequenceValuesTest {
 protected:
  SpoiltSequencesTest() : path_(testing::TempDir() + "/spoilt_sequences.db") {
    std::filesystem::remove(path_);
    store_ = TestStore(path_);
  }
  const std::string path_;
};

TEST_F(SpoiltSequencesTest, CostThemselvesAndAreMeasuredAgain) {
  for (int step : {1, 2}) Measure(step, 0);
  store_ = TestStore();
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database,
                         "UPDATE sequence_values SET data = zeroblob(40) WHERE "
                         "layer = 1 AND measurement_id = (SELECT id FROM "
                         "measurement WHERE step = 2)",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  ASSERT_EQ(sqlite3_changes(database), 1);
  sqlite3_close(database);
  store_ = TestStore(path_);
  EXPECT_EQ(Told(Query()).size(), 1u);
  EXPECT_EQ(Get(2).status().code(), absl::StatusCode::kDataLoss);
  const auto report = store_->Check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->blobs, 6);  // of each: all values, two layers of sequences
  ASSERT_EQ(report->total_damage, 1);
  EXPECT_EQ(report->damage[0].step, 2);
  EXPECT_EQ(report->damage[0].metric, "metric0");
  EXPECT_TRUE(absl::StrContains(report->damage[0].what, "checksum"));
  EXPECT_EQ(store_->Repair()->set_aside, 1);
  EXPECT_TRUE(Get(2).ok());
  EXPECT_GT(JobOfStep(*store_, 2), 0);
  EXPECT_EQ(store_->Check()->total_damage, 0);
}

}  // namespace
}  // namespace sinkwatch::store

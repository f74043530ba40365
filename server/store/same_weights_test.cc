// Steps that share weights, wholly or in part.
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/store/store.h"
#include "server/store/store_testing.h"

namespace sinkwatch::store {
namespace {

// A model of 6 layers with 2 matrices and a norm each. `weights` says, for each
// layer, at which step its matrices were as they are; norms never change.
using Weights = std::vector<int>;

class SameWeightsTest : public testing::Test {
 protected:
  // Measures a step; returns its job.
  int64_t Measure(int64_t step, const Weights& weights,
                  const std::string& stage = "",
                  const std::string& fingerprint = "first") {
    Observation seen = Seen(step, fingerprint);
    seen.checkpoint.set_stage(stage);
    EXPECT_TRUE(store_->Observe({seen}).ok());
    const int64_t id = FindQueued(step, stage);
    const JobRecord job = store_->Lease(id, "a", {}, 5).value();
    v1::Measurement measurement = MeasurementOf(job.job, 0);
    std::string whole;
    for (size_t layer = 0; layer < weights.size(); ++layer) {
      Add(measurement, absl::StrCat("layers.", layer, ".q.weight"),
          weights[layer]);
      Add(measurement, absl::StrCat("layers.", layer, ".mlp.weight"),
          weights[layer]);
      Add(measurement, absl::StrCat("layers.", layer, ".norm.weight"), 0);
      absl::StrAppend(&whole, weights[layer], ",");
    }
    measurement.set_content_digest(whole);
    EXPECT_TRUE(store_->Commit({{id, job.token, measurement}})[0].ok());
    return id;
  }

  // "2000 all", "stage1:3000 4/12": what is said of the measurement of a job.
  std::string SaidOf(int64_t job) {
    CheckpointQuery query;
    query.run = "toy";
    const CheckpointPage page = store_->Checkpoints(query).value();
    std::string said;
    for (size_t i = 0; i < page.jobs.size(); ++i) {
      if (page.jobs[i].job.id() != job) continue;
      for (const v1::SameWeights& same : page.weights[i].same) {
        absl::StrAppend(
            &said, said.empty() ? "" : " ",
            same.stage().empty() ? "" : same.stage() + ":", same.step(), "=",
            same.identical() ? "all"
                             : absl::StrCat(same.tensors(), "/", same.of()));
      }
    }
    return said;
  }

  TestStore store_;

 private:
  int64_t FindQueued(int64_t step, const std::string& stage) {
    CheckpointQuery query;
    query.run = "toy";
    query.stage = stage;
    query.states = {v1::JOB_STATE_QUEUED};
    const CheckpointPage page = store_->Checkpoints(query).value();
    for (const JobRecord& job : page.jobs) {
      if (job.job.checkpoint().step() == step) return job.job.id();
    }
    return 0;
  }
  static void Add(v1::Measurement& measurement, const std::string& name,
                  int of) {
    v1::TensorDigest& tensor = *measurement.add_tensors();
    tensor.set_name(name);
    tensor.set_digest(absl::StrCat("bytes of ", of));
  }
};

TEST_F(SameWeightsTest, NamesBothStepsOfIdenticalWeights) {
  const int64_t first = Measure(1000, {1, 1, 1, 1, 1, 1});
  const int64_t other = Measure(2000, {2, 2, 2, 2, 2, 2});
  const int64_t again = Measure(3000, {1, 1, 1, 1, 1, 1});
  EXPECT_EQ(SaidOf(first), "3000=all");
  EXPECT_EQ(SaidOf(again), "1000=all");
  EXPECT_EQ(SaidOf(other), "");
  EXPECT_EQ(store_->StepsOfSameWeights("toy", "").value(),
            (std::vector<int64_t>{1000, 3000}));
  EXPECT_EQ(store_->CountSameWeights().value()["toy"], 2);
}

TEST_F(SameWeightsTest, NamesTheStepThatAShardIsOf) {
  const int64_t first = Measure(1000, {1, 1, 1, 1, 1, 1});
  const int64_t mixed = Measure(2000, {2, 2, 2, 2, 1, 1});
  EXPECT_EQ(SaidOf(first), "2000=4/12");
  EXPECT_EQ(SaidOf(mixed), "1000=4/12");
  EXPECT_EQ(store_->StepsOfSameWeights("toy", "").value().size(), 2u);
}

TEST_F(SameWeightsTest, SaysNothingOfNormsAndOneMatrixThatStayAsTheyAre) {
  Measure(1000, {1, 1, 1, 1, 1, 1});
  EXPECT_EQ(SaidOf(Measure(2000, {2, 2, 2, 2, 2, 2})), "");
  EXPECT_TRUE(store_->CountSameWeights().value().empty());
}

TEST_F(SameWeightsTest, TakesWhatMostStepsShareForFrozen) {
  std::vector<int64_t> jobs;
  for (int step = 1; step <= 12; ++step) {
    jobs.push_back(Measure(step, {0, 0, step, step, step, step}));
  }
  // Told while it could be a shard, and taken back.
  for (int64_t job : jobs) EXPECT_EQ(SaidOf(job), "") << job;
  // A shard of another step beside what is frozen.
  EXPECT_EQ(SaidOf(Measure(13, {0, 0, 13, 13, 13, 5})), "5=2/12");
}

TEST_F(SameWeightsTest, ComparesStagesAsAWholeOnly) {
  Measure(1000, {1, 1, 1, 1, 1, 1}, "stage1");
  EXPECT_EQ(SaidOf(Measure(0, {1, 1, 1, 1, 1, 1}, "stage2")),
            "stage1:1000=all");
  EXPECT_EQ(SaidOf(Measure(0, {1, 1, 1, 1, 1, 9}, "stage3")), "");
  // The last of a stage is the first of the next: no series is false by it.
  EXPECT_TRUE(store_->StepsOfSameWeights("toy", "stage2").value().empty());
}

TEST_F(SameWeightsTest, SaysWhichOfTwoMeasurementsOfAStepCounts) {
  const int64_t before = Measure(1000, {1, 1, 1, 1, 1, 1});
  const int64_t after = Measure(1000, {1, 1, 1, 1, 1, 1}, "", "copied");
  CheckpointQuery query;
  query.run = "toy";
  const CheckpointPage page = store_->Checkpoints(query).value();
  ASSERT_EQ(page.jobs.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(page.weights[i].measurements, 2);
    EXPECT_EQ(page.weights[i].counts, page.jobs[i].job.id() == after);
  }
  // One step is no two.
  EXPECT_EQ(SaidOf(before), "");
  EXPECT_TRUE(store_->CountSameWeights().value().empty());
}

TEST_F(SameWeightsTest, ForgetsWhatWasMeasuredAgainWithOtherWeights) {
  const int64_t first = Measure(1000, {1, 1, 1, 1, 1, 1});
  Measure(3000, {1, 1, 1, 1, 1, 1});
  Measure(3000, {3, 3, 3, 3, 3, 3}, "", "rewritten");
  EXPECT_EQ(SaidOf(first), "");
  EXPECT_TRUE(store_->StepsOfSameWeights("toy", "").value().empty());
}

}  // namespace
}  // namespace sinkwatch::store

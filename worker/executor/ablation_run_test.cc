// Streams of changed heads through the executor: how they are cut, bounded and
// told of. That their values are right: //worker/measure:ablation_test.
#include "worker/executor/ablation_run.h"

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/executor.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {
namespace {

using metrics::MetricVector;
using Values =
    std::map<std::tuple<std::string, std::string, int>, MetricVector>;

class AblationRunTest : public ::testing::Test {
 protected:
  struct Done {
    Values values;
    ExecuteSummary summary;
    int ablation_parts = 0;
  };

  ExecuteOptions Options(const std::string& heads, double budget = 0,
                         const std::vector<std::string>& modes = {}) const {
    ExecuteOptions options;
    options.ablation.policy = *base::ReadAblationPolicy(heads, modes, budget);
    options.ablation.seconds = [] { return 0.0; };
    return options;
  }

  Done Run(const ExecuteOptions& options,
           const std::function<bool()>& cancelled = nullptr) {
    auto checkpoint = *checkpoint::Checkpoint::Open(run_.checkpoint());
    const auto architecture = model::CreateFrom(checkpoint->config().json());
    const auto corpus = *probe::Corpus::Read(run_.probe());
    Done done;
    ExecuteCallbacks callbacks;
    callbacks.cancelled = cancelled;
    callbacks.on_values = [&](const std::vector<MetricVector>& vectors) {
      bool ablated = false;
      for (const MetricVector& vector : vectors) {
        if (!absl::StrContains(vector.metric, "ablation")) continue;
        ablated = true;
        done.values[{vector.domain, vector.metric, *vector.layer}] = vector;
      }
      done.ablation_parts += ablated;
      return absl::OkStatus();
    };
    auto summary =
        Execute(*architecture, *checkpoint, corpus, options, callbacks);
    status_ = summary.status();
    if (summary.ok()) done.summary = *std::move(summary);
    return done;
  }

  // NaN-safe, to the rounding of losses around 5 in float32.
  static void ExpectSame(const Values& expected, const Values& actual) {
    ASSERT_EQ(expected.size(), actual.size());
    for (const auto& [key, vector] : expected) {
      const MetricVector& other = actual.at(key);
      EXPECT_EQ(vector.count, other.count);
      for (size_t i = 0; i < vector.values.size(); ++i) {
        const float want = vector.values[i], got = other.values[i];
        EXPECT_EQ(std::isnan(want), std::isnan(got)) << i;
        if (std::isnan(want)) continue;
        EXPECT_TRUE(std::fabs(want - got) <= 3e-6) << want << " " << got;
      }
    }
  }

  TinyRun run_;
  absl::Status status_;
};

TEST_F(AblationRunTest, HeadsThatWereNotChangedAreNaNAndAllComeLast) {
  const Done done = Run(Options("1.2,0.0,0.3"));
  ASSERT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(done.ablation_parts, 1);
  // Three modes, two layers; a domain, and another with two classes.
  EXPECT_EQ(done.values.size(), 3u * 2 * 4);
  for (const auto& [key, vector] : done.values) {
    const int layer = std::get<2>(key);
    ASSERT_EQ(vector.values.size(), 4u);
    for (int head = 0; head < 4; ++head) {
      const bool changed = layer == 1 ? head == 2 : head == 0 || head == 3;
      EXPECT_EQ(!std::isnan(vector.values[head]), changed);
    }
  }
  const MetricVector& all =
      done.values.at({"plain", "head_ablation_delta_loss_zero", 1});
  EXPECT_EQ(all.count, kTinySequences * (kTinyTokens - 1));
  EXPECT_GT(all.standard_error[2], 0);
}

TEST_F(AblationRunTest, NothingElseChanges) {
  std::vector<std::vector<MetricVector>> parts;
  for (const char* heads : {"none", "all"}) {
    auto checkpoint = *checkpoint::Checkpoint::Open(run_.checkpoint());
    const auto architecture = model::CreateFrom(checkpoint->config().json());
    const auto corpus = *probe::Corpus::Read(run_.probe());
    std::vector<MetricVector> all;
    ExecuteCallbacks callbacks;
    callbacks.on_values = [&](const std::vector<MetricVector>& vectors) {
      for (const MetricVector& vector : vectors) {
        if (!absl::StrContains(vector.metric, "ablation")) {
          all.push_back(vector);
        }
      }
      return absl::OkStatus();
    };
    ExecuteOptions options = Options(heads);
    options.metrics = {"sink_attention"};
    ASSERT_TRUE(
        Execute(*architecture, *checkpoint, corpus, options, callbacks).ok());
    parts.push_back(std::move(all));
  }
  ASSERT_EQ(parts[0].size(), parts[1].size());
  for (size_t i = 0; i < parts[0].size(); ++i) {
    EXPECT_EQ(parts[0][i].metric, parts[1][i].metric);
    EXPECT_EQ(parts[0][i].values, parts[1][i].values);
  }
}

TEST_F(AblationRunTest, ValuesDoNotDependOnHowStreamsAreCut) {
  ExecuteOptions options = Options("0.*,1.*,layers");
  const Done whole = Run(options);
  options.tokens_per_batch = 2 * kTinyTokens;
  const Done cut = Run(options);
  ASSERT_FALSE(whole.values.empty());
  ExpectSame(whole.values, cut.values);
}

TEST_F(AblationRunTest, WhatHasNoRoomComesInFurtherPasses) {
  ExecuteOptions options = Options("0.*,1.*,layers");
  const Done whole = Run(options);
  EXPECT_EQ(whole.summary.notes.size(), 1u);
  EXPECT_FALSE(absl::StrContains(whole.summary.notes[0], "passes"));
  // Room for two streams of seven sequences of 13 x 16 float32.
  options.ablation.max_bytes = 2 * 7 * 13 * 16 * 4;
  const Done bounded = Run(options);
  ASSERT_TRUE(status_.ok()) << status_;
  EXPECT_TRUE(absl::StrContains(bounded.summary.notes[0], "passes"))
      << bounded.summary.notes[0];
  ExpectSame(whole.values, bounded.values);
  EXPECT_EQ(whole.summary.content_digest, bounded.summary.content_digest);
}

TEST_F(AblationRunTest, ABudgetTakesFewerSequencesThenFewerHeads) {
  const std::vector<std::string> all = {"zero", "to_sink", "no_sink"};
  // Two sequences of a domain are the fewest; then they are too dear for all.
  const Done some = Run(Options("0.*,1.0,1.1", /*budget=*/5.0, all));
  ASSERT_TRUE(status_.ok()) << status_;
  const MetricVector& plain =
      some.values.at({"plain", "head_ablation_delta_loss_zero", 0});
  EXPECT_EQ(plain.count, 2 * (kTinyTokens - 1)) << "2 of 5 sequences";
  const Done few = Run(Options("0.*,1.0,1.1", /*budget=*/2.0, all));
  ASSERT_EQ(few.summary.notes.size(), 2u);
  EXPECT_TRUE(absl::StrContains(few.summary.notes[1], "left out"));
  EXPECT_TRUE(absl::StrContains(few.summary.notes[1], "work"));
  EXPECT_FALSE(few.values.empty());
  EXPECT_EQ(few.values.count({"plain", "head_ablation_delta_loss_zero", 1}),
            0u);
}

TEST_F(AblationRunTest, ABudgetThatIsTooShortForAllModesTakesTheFirst) {
  const Done all = Run(Options("1.0,1.1", /*budget=*/8));
  EXPECT_EQ(all.values.count({"plain", "head_ablation_delta_loss_no_sink", 1}),
            1u);
  const Done zero = Run(Options("1.0,1.1", /*budget=*/1.5));
  EXPECT_EQ(zero.values.count({"plain", "head_ablation_delta_loss_no_sink", 1}),
            0u);
  const MetricVector& delta =
      zero.values.at({"plain", "head_ablation_delta_loss_zero", 1});
  EXPECT_FALSE(std::isnan(delta.values[0]) || std::isnan(delta.values[1]));
}

TEST_F(AblationRunTest, ABudgetThatBuysNothingLeavesAllOut) {
  const Done done = Run(Options("0.*", /*budget=*/0.001));
  ASSERT_TRUE(status_.ok()) << status_;
  EXPECT_TRUE(done.values.empty());
  EXPECT_TRUE(absl::StrContains(done.summary.notes[1], "4 left out"))
      << done.summary.notes[1];
}

TEST_F(AblationRunTest, TheYoungestStreamsEndWhereTimeIsShort) {
  ExecuteOptions options = Options("0.*,1.*", /*budget=*/20);
  // A clock that runs away: what comes later takes far longer.
  auto looks = std::make_shared<int>(0);
  options.ablation.seconds = [looks] { return std::pow(++*looks, 10.0); };
  const Done done = Run(options);
  ASSERT_TRUE(status_.ok()) << status_;
  const std::string notes = done.summary.notes.back();
  EXPECT_TRUE(absl::StrContains(notes, "time")) << notes;
}

TEST_F(AblationRunTest, IsCancelledBetweenStreams) {
  int looks = 0;
  Run(Options("all"), [&] { return ++looks > 6; });
  EXPECT_EQ(status_.code(), absl::StatusCode::kCancelled);
}

TEST_F(AblationRunTest, StatesAreThereForTheNextCheckpoint) {
  ExecuteOptions options = Options("auto");
  options.metrics = {"sink_attention"};  // the signs come all the same
  const Done done = Run(options);
  ASSERT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(done.summary.head_states.size(), 2u * 2);
  EXPECT_EQ(done.summary.head_states.at({"plain", 1}).size(), 4u);
}

TEST_F(AblationRunTest, AListThatTheModelDoesNotHaveIsRefusedFirst) {
  Run(Options("2.0"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kInvalidArgument);
  Run(Options("1.4"));
  EXPECT_EQ(status_.code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sinkwatch::executor

// What is new is found by a glance, which costs little however many folders
// there are.
#include <optional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/discovery/many_steps_testing.h"
#include "server/discovery/run_scan_testing.h"

namespace sinkwatch::discovery {
namespace {

constexpr int kFolders = ManySteps::kSteps;

class GlanceTest : public RunScanTest {
 protected:
  // As found by a look some time after the last change.
  void Settle() {
    steps_.emplace(folder_, "root/stage1");
    LookLongAfter();
    ASSERT_EQ(LookLongAfter(), static_cast<size_t>(kFolders)) << status_;
  }
  size_t LookLongAfter() {
    folder_.SetTime("root/stage1", absl::Now() - absl::Seconds(10));
    folder_.SetTime("root", absl::Now() - absl::Seconds(10));
    return Look(kQuiescence + 1).size();
  }
  // The states of the steps that it tells of; none if only a look tells.
  using States = std::map<int64_t, v1::JobState>;
  std::optional<States> Glance(double seconds = 0,
                               const std::vector<StepKey>& but = {}) {
    now_ += absl::Seconds(seconds);
    folders_ = 0;
    const auto glimpse = scan_->Glance(but, now_, [this] {
      ++folders_;
      return absl::OkStatus();
    });
    EXPECT_TRUE(glimpse.ok()) << glimpse.status();
    if (!glimpse.ok() || !glimpse->has_value()) return std::nullopt;
    has_news_ = (*glimpse)->has_news;
    States states;
    for (const Observation& seen : (*glimpse)->seen) {
      states[seen.checkpoint.step()] = seen.state;
    }
    return states;
  }
  bool WantsLook() { return !scan_->IsStill(now_).value(); }

  std::optional<ManySteps> steps_;
  int folders_ = 0;  // that the last glance went into
  bool has_news_ = false;
};

TEST_F(GlanceTest, ACheckpointThatComesIsFoundAndSettlesWithoutALook) {
  Settle();
  EXPECT_EQ(Glance(), States());
  EXPECT_FALSE(has_news_);
  folder_.WriteCheckpoint("root/stage1/step1000");
  EXPECT_EQ(Glance(), (States{{1000, v1::JOB_STATE_WAITING}}));
  EXPECT_TRUE(has_news_);
  EXPECT_LE(folders_, 3);
  EXPECT_EQ(Glance(kQuiescence + 1), (States{{1000, v1::JOB_STATE_QUEUED}}));
  EXPECT_EQ(Glance(), States());
  folder_.SetTime("root/stage1", absl::Now() - absl::Seconds(10));
  EXPECT_EQ(Glance(), States());
  EXPECT_FALSE(WantsLook());
  // What was told is left out of the next look, too.
  const std::vector<StepKey> none;
  EXPECT_TRUE(scan_->Look(now_, {}, &none).value().empty());
}

TEST_F(GlanceTest, AStageThatBeginsIsFollowed) {
  Settle();
  folder_.WriteCheckpoint("root/stage2/step5");
  EXPECT_EQ(Glance(), (States{{5, v1::JOB_STATE_WAITING}}));
  folder_.WriteCheckpoint("root/stage2/step6");
  EXPECT_EQ(Glance(),
            (States{{5, v1::JOB_STATE_WAITING}, {6, v1::JOB_STATE_WAITING}}));
  EXPECT_EQ(Glance(kQuiescence + 1),
            (States{{5, v1::JOB_STATE_QUEUED}, {6, v1::JOB_STATE_QUEUED}}));
}

TEST_F(GlanceTest, WhatIsBeingWrittenWaitsUntilItIsWholeAndStays) {
  Settle();
  folder_.Write("root/stage1/step1000/config.json", "{}");
  EXPECT_EQ(Glance(), (States{{1000, v1::JOB_STATE_WAITING}}));
  EXPECT_EQ(Glance(kQuiescence + 1), (States{{1000, v1::JOB_STATE_WAITING}}))
      << "it stands still and is not whole";
  folder_.WriteCheckpoint("root/stage1/step1000");
  EXPECT_EQ(Glance(), (States{{1000, v1::JOB_STATE_WAITING}}));
  folder_.Write("root/stage1/step1000/model.safetensors", "others");
  EXPECT_EQ(Glance(kQuiescence + 1), (States{{1000, v1::JOB_STATE_WAITING}}))
      << "it has changed since";
  EXPECT_EQ(Glance(kQuiescence + 1), (States{{1000, v1::JOB_STATE_QUEUED}}));
}

TEST_F(GlanceTest, AnEmptyFolderThatIsFilledIsACheckpoint) {
  Settle();
  folder_.MakeFolder("root/stage1/1000");
  Glance();
  folder_.WriteCheckpoint("root/stage1/1000");
  EXPECT_EQ(Glance(), (States{{1000, v1::JOB_STATE_WAITING}}));
  EXPECT_EQ(Glance(kQuiescence + 1), (States{{1000, v1::JOB_STATE_QUEUED}}));
}

TEST_F(GlanceTest, WhatItCannotSortIsLeftToALook) {
  Settle();
  const auto wants_look = [&] {
    folder_.SetTime("root/stage1", absl::Now() - absl::Seconds(10));
    EXPECT_EQ(Glance(), States());
    const bool wants = WantsLook();
    LookLongAfter();
    LookLongAfter();
    EXPECT_FALSE(WantsLook());
    return wants;
  };
  EXPECT_FALSE(wants_look()) << "nothing";
  folder_.MakeFolder("root/stage1/step2000-tmp");
  EXPECT_FALSE(wants_look()) << "under way";
  folder_.Delete("root/stage1/step7");
  EXPECT_TRUE(wants_look()) << "gone";
  folder_.WriteCheckpoint("root/stage1/step8-unsharded");
  EXPECT_TRUE(wants_look()) << "a second folder of a step";
  folder_.Link("step9", "root/stage1/latest");
  EXPECT_TRUE(wants_look()) << "a link";
  folder_.Write("root/stage1/step3000.pt", "weights");
  EXPECT_TRUE(wants_look()) << "a file";
}

TEST_F(GlanceTest, WhatTheConfigurationNamesIsForALook) {
  Settle();
  folder_.Write("probe/probe.json", R"({"name": "others"})");
  EXPECT_EQ(Glance(), std::nullopt);
  Look();
  EXPECT_EQ(Glance(), States());
  folder_.Delete("probe/probe.json");
  EXPECT_EQ(Glance(), std::nullopt);
}

TEST_F(GlanceTest, AFewFoldersAreForALook) {
  folder_.WriteCheckpoint("root/stage1/step1");
  Look();
  EXPECT_EQ(Glance(), std::nullopt);
}

TEST_F(GlanceTest, ThePolicyOfStepsTurnsOthers) {
  run_.mutable_steps()->set_latest(2);
  Settle();
  folder_.WriteCheckpoint("root/stage1/step1000");
  EXPECT_EQ(Glance(), (States{{598, v1::JOB_STATE_SKIPPED},
                              {1000, v1::JOB_STATE_WAITING}}));
}

TEST_F(GlanceTest, SaysAgainWhatIsAskedFor) {
  Settle();
  EXPECT_EQ(Glance(0, {{"stage1", 7}, {"stage1", 7000}}),
            (States{{7, v1::JOB_STATE_QUEUED}}));
  EXPECT_FALSE(has_news_);
}

// Room for what it finds is bounded; a look makes more.
TEST_F(GlanceTest, MoreThanItHasRoomForIsFoundByALook) {
  Settle();
  const int count = static_cast<int>(kMaxGlanced) + 100;
  for (int step = 1000; step < 1000 + count; ++step) {
    folder_.WriteCheckpoint(absl::StrCat("root/stage1/step", step));
  }
  EXPECT_LE(Glance()->size(), kMaxGlanced);
  EXPECT_TRUE(WantsLook());
  EXPECT_EQ(Look().size(), static_cast<size_t>(kFolders + count));
}

}  // namespace
}  // namespace sinkwatch::discovery

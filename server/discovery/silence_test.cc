// File systems that do not answer.
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/mutex.h"
#include "server/discovery/hanging_folder_testing.h"
#include "server/discovery/watched_folder_testing.h"
#include "server/discovery/watcher.h"
#include "server/store/store_testing.h"

namespace sinkwatch::discovery {
namespace {

class SilenceTest : public testing::Test {
 protected:
  SilenceTest() {
    options_.poll = absl::Milliseconds(1);
    options_.patience = absl::Milliseconds(20);
    options_.threads = 1;
    options_.on_look = [this](const std::string& run, const absl::Status&) {
      base::MutexLock lock(mutex_);
      ++looks_[run];
      looked_.NotifyAll();
    };
    options_.on_silence = [this](int silent) {
      base::MutexLock lock(mutex_);
      silent_ = silent;
      looked_.NotifyAll();
    };
  }

  v1::RunConfig Run(const std::string& name) {
    folder_.WriteCheckpoint(name + "/step5");
    const v1::RunConfig run = folder_.MakeRun(name, name);
    EXPECT_TRUE(store_->PutRun(run).ok());
    return run;
  }
  void Start(const std::vector<v1::RunConfig>& runs) {
    watcher_ = std::make_unique<Watcher>(store_.operator->(), options_);
    watcher_->SetRuns(runs);
    watcher_->Start();
  }
  void AwaitLooks(const std::string& run, int more) {
    base::MutexLock lock(mutex_);
    const int enough = looks_[run] + more;
    while (looks_[run] < enough) looked_.Wait(mutex_);
  }
  void AwaitSilent(int runs) {
    base::MutexLock lock(mutex_);
    while (silent_ != runs) looked_.Wait(mutex_);
  }
  int LooksAt(const std::string& run) {
    base::MutexLock lock(mutex_);
    return looks_[run];
  }
  v1::JobState StateOf(const std::string& run) {
    const auto jobs = store::JobsOf(*store_, run);
    return jobs.empty() ? v1::JOB_STATE_UNSPECIFIED : jobs[0].state;
  }

  const WatchedFolder folder_;
  store::TestStore store_;
  WatcherOptions options_;
  base::Mutex mutex_;
  base::CondVar looked_;
  std::map<std::string, int> looks_;
  int silent_ = 0;
  std::unique_ptr<Watcher> watcher_;
};

TEST_F(SilenceTest, ARunThatHangsSaysSoAndTheOthersGoOn) {
  const std::vector<v1::RunConfig> runs = {Run("hung"), Run("well")};
  auto hanging = std::make_unique<HangingFolder>(runs[0].root());
  Start(runs);
  AwaitSilent(1);
  AwaitLooks("well", 3);
  EXPECT_EQ(StateOf("well"), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(watcher_->ErrorOf("well"), "");
  EXPECT_TRUE(
      absl::StrContains(watcher_->ErrorOf("hung"), "has not answered for"))
      << watcher_->ErrorOf("hung");
  EXPECT_EQ(LooksAt("hung"), 0);

  hanging.reset();
  AwaitSilent(0);
  AwaitLooks("hung", 2);
  EXPECT_EQ(watcher_->ErrorOf("hung"), "");
  EXPECT_EQ(StateOf("hung"), v1::JOB_STATE_QUEUED);
}

TEST_F(SilenceTest, MoreRunsThatHangThanThereAreThreadsHoldNobodyUp) {
  std::vector<v1::RunConfig> runs = {Run("well")};
  for (int i = 0; i < 6; ++i) {
    runs.push_back(Run(absl::StrCat("hung", i)));
    runs.back().set_root(folder_.Path("hung0"));
  }
  const HangingFolder hanging(folder_.Path("hung0"));
  Start(runs);
  AwaitSilent(6);
  AwaitLooks("well", 3);
  watcher_->Stop(absl::ZeroDuration());
}

// Each of them would keep a thread for ten seconds.
TEST_F(SilenceTest, HundredsOfRunsThatHangHoldOthersUpForSecondsOnly) {
  options_.patience = absl::Seconds(10);
  options_.threads = 4;
  std::vector<v1::RunConfig> runs = {Run("well")};
  v1::RunConfig hung = Run("hung");
  for (int i = 0; i < 200; ++i) {
    hung.set_name(absl::StrCat("hung", i));
    EXPECT_TRUE(store_->PutRun(hung).ok());
    runs.push_back(hung);
  }
  const HangingFolder hanging(hung.root());
  const absl::Time start = absl::Now();
  Start(runs);
  AwaitLooks("well", 3);
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  watcher_->Stop(absl::ZeroDuration());
}

// The store, and all that a look touches but its own, are gone when the file
// system answers: nobody may use them (AddressSanitizer would tell).
TEST_F(SilenceTest, StopsWhileALookHangs) {
  auto hanging = std::make_unique<HangingFolder>(folder_.Path("hung"));
  {
    store::TestStore store;
    Watcher watcher(store.operator->(), options_);
    watcher.SetRuns({Run("hung")});
    watcher.Start();
    HangingFolder::AwaitWaiting(1);
    watcher.Stop(absl::ZeroDuration());
  }
  hanging.reset();
  EXPECT_EQ(LooksAt("hung"), 0);
}

TEST_F(SilenceTest, ARunThatIsNotFollowedAnyMoreTellsNothingWhenItIsAnswered) {
  const std::vector<v1::RunConfig> runs = {Run("hung"), Run("well")};
  auto hanging = std::make_unique<HangingFolder>(runs[0].root());
  Start(runs);
  HangingFolder::AwaitWaiting(1);
  watcher_->SetRuns({runs[1]});
  AwaitSilent(1);  // its thread still waits
  hanging.reset();
  AwaitSilent(0);
  AwaitLooks("well", 2);
  EXPECT_EQ(LooksAt("hung"), 0);
  EXPECT_EQ(StateOf("hung"), v1::JOB_STATE_UNSPECIFIED);
  EXPECT_EQ(watcher_->ErrorOf("hung"), "");
}

TEST_F(SilenceTest, ARunThatWasChangedIsLookedAtWhereItIsNow) {
  v1::RunConfig run = Run("hung");
  const HangingFolder hanging(run.root());
  Start({run});
  HangingFolder::AwaitWaiting(1);
  run.set_root(Run("elsewhere").root());
  watcher_->SetRuns({run});
  AwaitLooks("hung", 2);
  EXPECT_EQ(StateOf("hung"), v1::JOB_STATE_QUEUED);
  watcher_->Stop(absl::ZeroDuration());
}

// Whoever opens a FIFO waits for a writer.
TEST_F(SilenceTest, AFifoInPlaceOfTheProbeIsRefusedByName) {
  const v1::RunConfig run = Run("toy");
  folder_.Delete("probe/probe.json");
  ASSERT_EQ(mkfifo(folder_.Path("probe/probe.json").c_str(), 0600), 0);
  Start({run});
  AwaitLooks("toy", 2);
  EXPECT_TRUE(
      absl::StrContains(watcher_->ErrorOf("toy"), "probe.json is no file"))
      << watcher_->ErrorOf("toy");
}

}  // namespace
}  // namespace sinkwatch::discovery

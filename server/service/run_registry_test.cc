#include "server/service/run_registry.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "server/store/store_testing.h"

namespace sinkwatch::service {
namespace {

using Names = std::vector<std::string>;

v1::RunConfig Named(const std::string& name,
                    const std::string& root = "/runs") {
  v1::RunConfig run;
  run.set_name(name);
  run.set_root(root);
  return run;
}

class RunRegistryTest : public ::testing::Test {
 protected:
  RunRegistryTest() { Restart(); }

  // Another process over the same store.
  void Restart() {
    runs_ = std::make_unique<RunRegistry>(
        &*store_, [this](const std::vector<v1::RunConfig>& runs) {
          told_.clear();
          for (const v1::RunConfig& run : runs) told_.push_back(run.name());
        });
  }

  store::TestStore store_;
  std::unique_ptr<RunRegistry> runs_;
  Names told_;
};

TEST_F(RunRegistryTest, ConfiguredRunsComeFirstAndThenTheAddedOnes) {
  ASSERT_TRUE(runs_->Configure({Named("b"), Named("a")}).ok());
  ASSERT_TRUE(runs_->Add(Named("c")).ok());
  EXPECT_EQ(told_, (Names{"b", "a", "c"}));
  EXPECT_EQ(runs_->All().size(), 3u);
}

TEST_F(RunRegistryTest, AnAddedRunIsChangedAndRemovedAndOutlivesARestart) {
  ASSERT_TRUE(runs_->Configure({}).ok());
  ASSERT_TRUE(runs_->Add(Named("a")).ok());
  ASSERT_TRUE(runs_->Update(Named("a", "/elsewhere")).ok());
  Restart();
  ASSERT_TRUE(runs_->Configure({}).ok());
  ASSERT_EQ(runs_->All().size(), 1u);
  EXPECT_EQ(runs_->All()[0].root(), "/elsewhere");
  ASSERT_TRUE(runs_->Remove("a").ok());
  EXPECT_EQ(told_, Names{});
  Restart();
  ASSERT_TRUE(runs_->Configure({}).ok());
  EXPECT_EQ(told_, Names{});
}

TEST_F(RunRegistryTest, ARunThatLeavesTheConfigurationIsNotFollowed) {
  ASSERT_TRUE(runs_->Configure({Named("a"), Named("b")}).ok());
  ASSERT_TRUE(runs_->Configure({Named("a")}).ok());
  EXPECT_EQ(told_, Names{"a"});
  Restart();
  ASSERT_TRUE(runs_->Configure({}).ok());
  EXPECT_EQ(told_, Names{});
}

TEST_F(RunRegistryTest, TheConfigurationTakesOverAnAddedRun) {
  ASSERT_TRUE(runs_->Configure({}).ok());
  ASSERT_TRUE(runs_->Add(Named("a")).ok());
  ASSERT_TRUE(runs_->Configure({Named("a", "/configured")}).ok());
  EXPECT_EQ(told_, Names{"a"});
  EXPECT_EQ(runs_->All()[0].root(), "/configured");
  EXPECT_EQ(runs_->Remove("a").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(RunRegistryTest, MistakesAreToldApart) {
  ASSERT_TRUE(runs_->Configure({Named("a")}).ok());
  ASSERT_TRUE(runs_->Add(Named("b")).ok());
  for (const char* taken : {"a", "b"}) {
    EXPECT_EQ(runs_->Add(Named(taken)).code(),
              absl::StatusCode::kAlreadyExists);
  }
  EXPECT_EQ(runs_->Update(Named("a")).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(runs_->Update(Named("c")).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(runs_->CheckChangeable("c").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(runs_->Remove("c").code(), absl::StatusCode::kNotFound);
}

// Of a disk that is full in the middle of it, say.
TEST_F(RunRegistryTest, AnErrorOfTheStoreChangesNothing) {
  store::TestStore small(":memory:", /*max_pages=*/100);
  Names told;
  RunRegistry runs(&*small, [&](const std::vector<v1::RunConfig>& all) {
    told.clear();
    for (const v1::RunConfig& run : all) told.push_back(run.name());
  });
  ASSERT_TRUE(runs.Configure({Named("a"), Named("b")}).ok());
  const v1::RunConfig large = Named("d", std::string(1 << 20, 'x'));
  const absl::Status full = runs.Configure({Named("a"), Named("c"), large});
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_EQ(told, (Names{"a", "b"}));
  EXPECT_EQ(runs.All().size(), 2u);
  EXPECT_EQ(small->RunNames().value(), (Names{"a", "b"}));
  EXPECT_TRUE(runs.Configure({Named("a"), Named("c")}).ok());
  EXPECT_EQ(small->RunNames().value(), (Names{"a", "c"}));
}

v1::RunConfig Below(const std::string& parent, const std::string& name) {
  v1::RunConfig run = Named(parent + "." + name);
  run.set_found_below(parent);
  return run;
}

TEST_F(RunRegistryTest, FollowsWhatLiesBelowARunAsLongAsThatIsFollowed) {
  ASSERT_TRUE(runs_->Configure({Named("sweep")}).ok());
  ASSERT_TRUE(runs_->Found("sweep", {Below("sweep", "a")}).ok());
  EXPECT_EQ(told_, (Names{"sweep", "sweep.a"}));
  told_.clear();
  ASSERT_TRUE(runs_->Found("sweep", {Below("sweep", "a")}).ok());
  EXPECT_EQ(told_, Names{}) << "nothing is new";
  Restart();
  ASSERT_TRUE(runs_->Configure({Named("sweep")}).ok());
  EXPECT_EQ(told_, (Names{"sweep", "sweep.a"}));
  EXPECT_EQ(runs_->Remove("sweep.a").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(runs_->Add(Named("sweep.a")).code(),
            absl::StatusCode::kAlreadyExists);
  ASSERT_TRUE(runs_->Configure({}).ok());
  EXPECT_EQ(told_, Names{});
}

TEST_F(RunRegistryTest, ChangesWhatLiesBelowARunWithIt) {
  ASSERT_TRUE(runs_->Configure({}).ok());
  ASSERT_TRUE(runs_->Add(Named("sweep")).ok());
  ASSERT_TRUE(runs_->Found("sweep", {Below("sweep", "a")}).ok());
  v1::RunConfig changed = Below("sweep", "a");
  changed.set_dtype("bfloat16");
  ASSERT_TRUE(runs_->Found("sweep", {changed}).ok());
  EXPECT_EQ(runs_->All()[1].dtype(), "bfloat16");
  ASSERT_TRUE(runs_->Remove("sweep").ok());
  EXPECT_EQ(told_, Names{});
  // A look that was under way when its run was removed.
  ASSERT_TRUE(runs_->Found("sweep", {changed}).ok());
  EXPECT_TRUE(runs_->All().empty());
}

TEST_F(RunRegistryTest, TakesNoNameFromARunThatSomebodyNamed) {
  ASSERT_TRUE(runs_->Configure({Named("sweep"), Named("sweep.a")}).ok());
  ASSERT_TRUE(runs_->Found("sweep", {Below("sweep", "a")}).ok());
  EXPECT_EQ(told_, (Names{"sweep", "sweep.a"}));
  EXPECT_EQ(runs_->All()[1].found_below(), "");
}

}  // namespace
}  // namespace sinkwatch::service

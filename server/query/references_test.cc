#include "server/query/references.h"

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "server/answers/parse.h"
#include "server/query/planted_runs_testing.h"
#include "server/store/store_testing.h"

namespace sinkwatch::query {
namespace {

constexpr char kHeader[] =
    "metric,model,step,tokens,layer,head,value,citation\n";

class ReferencesTest : public testing::Test {
 protected:
  void SetUp() override {
    shelf_ = references::ReferenceShelf::Open("").value();
    PlantedRun run;
    run.layers = 2;
    run.heads = 3;
    run.noise = 0;
    run.jump = 0;
    run.steps = {0, 1000, 2000};
    ASSERT_TRUE(Plant(run, *store_).ok());
  }
  void Add(const std::string& rows) {
    const auto added = shelf_->Add("mine", kHeader + rows);
    ASSERT_TRUE(added.ok()) << added.status();
  }
  v1::CheckReferencesResponse Check(double relative = 0, double absolute = 0) {
    v1::CheckReferencesRequest request;
    request.set_run("planted");
    request.set_domain("wiki");
    request.set_reference("mine");
    request.set_relative(relative);
    request.set_absolute(absolute);
    auto checked = References(&queries_, shelf_.get()).Check(request);
    EXPECT_TRUE(checked.ok()) << checked.status();
    return checked.ok() ? *checked : v1::CheckReferencesResponse();
  }

  store::TestStore store_;
  Queries queries_{&*store_, nullptr};
  std::unique_ptr<references::ReferenceShelf> shelf_;
};

// The residual norm is 20 + .002 * step in every layer.
TEST_F(ReferencesTest, PassesWithinTheToleranceAndFailsBeyond) {
  Add("residual_norm_sink,m,1000,,0,,22,c\n"
      "residual_norm_sink,m,1000,,1,,23.1,c\n"
      "residual_norm_sink,m,1000,,1,,23.2,c\n");
  const auto checks = Check();
  ASSERT_EQ(checks.checks_size(), 3);
  EXPECT_EQ(checks.relative(), .05);
  EXPECT_EQ(checks.checks(0).value(), 22);
  EXPECT_EQ(checks.checks(0).step(), 1000);
  EXPECT_EQ(checks.checks(0).verdict(), v1::REFERENCE_VERDICT_PASS);
  EXPECT_EQ(checks.checks(1).verdict(), v1::REFERENCE_VERDICT_PASS);
  EXPECT_EQ(checks.checks(2).verdict(), v1::REFERENCE_VERDICT_FAIL);
  EXPECT_EQ(checks.passed(), 2);
  EXPECT_EQ(checks.failed(), 1);
  EXPECT_EQ(Check(0, 1).passed(), 1);
  EXPECT_EQ(Check(.05, 1).passed(), 3);
}

TEST_F(ReferencesTest, WithoutAStepTheNewestIsMeantWithoutALayerAll) {
  Add("residual_norm_sink,m,,,,,24,c\n");
  const auto checks = Check();
  EXPECT_EQ(checks.checks(0).step(), 2000);
  EXPECT_EQ(checks.checks(0).value(), 24);
}

TEST_F(ReferencesTest, AMisspeltMetricIsToldTheNearest) {
  Add("residual_norm_snik,m,1000,,0,,22,c\n");
  EXPECT_EQ(Check().checks(0).reason(),
            "the run has no such metric; did you mean residual_norm_sink?");
}

TEST_F(ReferencesTest, WithoutALayerTheTableSaysWhatTheValueIsOfThem) {
  ASSERT_TRUE(shelf_
                  ->Add("mine",
                        "metric,model,step,value,citation,over\n"
                        "sink_attention,m,2000,1,c,\n"
                        "sink_attention,m,2000,1,c,mean\n"
                        "sink_attention,m,2000,1,c,max\n"
                        "sink_attention,m,2000,1,c,min\n")
                  .ok());
  const auto checks = Check();
  ASSERT_EQ(checks.checks_size(), 4);
  EXPECT_EQ(checks.checks(0).value(), checks.checks(1).value());
  EXPECT_GT(checks.checks(2).value(), checks.checks(1).value());
  EXPECT_LT(checks.checks(3).value(), checks.checks(1).value());
}

TEST_F(ReferencesTest, WhatThereIsNotIsAbsentWithAReason) {
  Add("residual_norm_sink,m,1500,,0,,22,c\n"
      "residual_norm_sink,m,1000,,7,,22,c\n"
      "selectivity_first_share,m,1000,,,,.5,c\n"
      "residual_norm_sink,m,,900,,,22,c\n");
  const auto checks = Check();
  for (const v1::ReferenceCheck& check : checks.checks()) {
    EXPECT_EQ(check.verdict(), v1::REFERENCE_VERDICT_ABSENT);
    EXPECT_FALSE(check.reason().empty());
    EXPECT_FALSE(check.has_value());
  }
  EXPECT_EQ(checks.passed() + checks.failed(), 0);
}

TEST_F(ReferencesTest, ANegativeToleranceIsRefused) {
  Add("residual_norm_sink,m,1000,,0,,22,c\n");
  v1::CheckReferencesRequest request;
  request.set_run("planted");
  request.set_reference("mine");
  request.set_relative(-1);
  EXPECT_EQ(answers::RuleOf(
                References(&queries_, shelf_.get()).Check(request).status()),
            "out_of_range");
}

}  // namespace
}  // namespace sinkwatch::query

#include "proto/base/step_name.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

TEST(StepNameTest, ReadsTheNamesOfKnownTrainers) {
  struct Case {
    const char* name;
    const char* stage;
    int64_t step;
    int64_t tokens;
  };
  const Case cases[] = {
      {"step0", "", 0, 0},
      {"step1000", "", 1000, 0},
      {"step-1000", "", 1000, 0},
      {"step_1000", "", 1000, 0},
      {"step0001000", "", 1000, 0},
      {"step1000-tokens4B", "", 1000, 4000000000},
      {"step10-tokens512K", "", 10, 512000},
      {"step10-tokens5M", "", 10, 5000000},
      {"step900000-tokens2T", "", 900000, 2000000000000},
      {"checkpoint-1000", "", 1000, 0},
      {"stage1-step150-tokens1B", "stage1", 150, 1000000000},
      {"stage1-step-40000", "stage1", 40000, 0},
      {"stage2-ingredient1-step11931-tokens50B", "stage2-ingredient1", 11931,
       50000000000},
      {"stage2-ingredient1+2-step23842", "stage2-ingredient1+2", 23842, 0},
      {"ingredient3-step5", "ingredient3", 5, 0},
      {"ckpt_12", "", 12, 0},
      {"ckpt_356", "", 356, 0},
      {"step9223372036854775807", "", INT64_MAX, 0},
      // A count that does not fit is not known; the step is.
      {"step5-tokens9223372036854775807T", "", 5, 0},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseStepName(c.name);
    ASSERT_TRUE(parsed.has_value()) << c.name;
    EXPECT_EQ(parsed->stage, c.stage) << c.name;
    EXPECT_EQ(parsed->step, c.step) << c.name;
    EXPECT_EQ(parsed->tokens, c.tokens) << c.name;
    EXPECT_EQ(parsed->variant, "") << c.name;
    EXPECT_FALSE(parsed->unsharded || parsed->converted) << c.name;
  }
}

TEST(StepNameTest, LeavesEveryOtherNameAlone) {
  const std::string names[] = {"",
                               "step",
                               "step1000-tmp",
                               "tmp-step1000",
                               "tmp-checkpoint-1000",
                               "step1000.tmp",
                               "step1000.incomplete",
                               "step1000.part",
                               "step1000-unsharded-tmp",
                               "step1000-hf-tmp",
                               "step1000-hf-unsharded",
                               "step1000+",
                               "step1000-reshard",
                               "step1000-other",
                               "step1000 ",
                               " step1000",
                               "-step1000",
                               "Step1000",
                               "step-",
                               "step--5",
                               "step1.5",
                               "step1e3",
                               "step9223372036854775808",
                               "step1000-tokens",
                               "step1000-tokens4X",
                               "stage-step5",
                               "stage1step5",
                               "mystep5",
                               "olmo_checkpoint5_step9",
                               "latest",
                               "latest-unsharded",
                               "main",
                               "global_step",
                               "global_step5-tmp",
                               "..",
                               "step5/../step6",
                               "step5\n",
                               absl::StrCat("step", std::string(300, '0'))};
  for (const std::string& name : names) {
    EXPECT_FALSE(ParseStepName(name).has_value()) << name;
  }
}

TEST(StepNameTest, TellsFormsAndVariantsOfAStepApart) {
  struct Case {
    const char* name;
    NameForm form;
    const char* variant;
    bool unsharded;
    bool converted;
  };
  const Case cases[] = {
      {"step5", NameForm::kStep, "", false, false},
      {"checkpoint-5", NameForm::kCheckpoint, "", false, false},
      {"global_step5", NameForm::kGlobalStep, "", false, false},
      {"5", NameForm::kNumber, "", false, false},
      {"step5-unsharded", NameForm::kStep, "", true, false},
      {"step5-hf", NameForm::kStep, "", false, true},
      {"step5-unsharded-hf", NameForm::kStep, "", true, true},
      {"step5-nooptim", NameForm::kStep, "nooptim", false, false},
      {"step5+4+3", NameForm::kStep, "+4+3", false, false},
      {"step5+4+3-nooptim-reshard32", NameForm::kStep, "+4+3-nooptim-reshard32",
       false, false},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseStepName(c.name);
    ASSERT_TRUE(parsed.has_value()) << c.name;
    EXPECT_EQ(parsed->step, 5) << c.name;
    EXPECT_EQ(parsed->form, c.form) << c.name;
    EXPECT_EQ(parsed->variant, c.variant) << c.name;
    EXPECT_EQ(parsed->unsharded, c.unsharded) << c.name;
    EXPECT_EQ(parsed->converted, c.converted) << c.name;
  }
}

TEST(StageFolderTest, KnowsTheFoldersOfPublishedSeries) {
  for (const char* name :
       {"stage1", "stage2", "olmo-7b-1124_stage2_ingredient1", "ingredient2",
        "soup", "souped"}) {
    EXPECT_TRUE(IsStageFolder(name)) << name;
  }
  for (const char* name :
       {"logs", "stage", "stage1-tmp", ".stage1", "wandb", "soups", "train"}) {
    EXPECT_FALSE(IsStageFolder(name)) << name;
  }
}

}  // namespace
}  // namespace sinkwatch::base

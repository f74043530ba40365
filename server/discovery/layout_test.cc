#include "server/discovery/layout.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::discovery {
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
                               "step1000-hf",
                               "step1000-unsharded",
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
                               "latest",
                               "latest-unsharded",
                               "main",
                               "1000",
                               "..",
                               "step5/../step6",
                               "step5\n",
                               absl::StrCat("step", std::string(300, '0'))};
  for (const std::string& name : names) {
    EXPECT_FALSE(ParseStepName(name).has_value()) << name;
  }
}

Entry File(const std::string& name, int64_t size = 10, int64_t time = 1) {
  return {name, false, size, time};
}

Entry Folder(const std::string& name) { return {name, true, 0, 1}; }

TEST(CompletenessTest, TakesAWholeCheckpoint) {
  const Entry config = File("config.json");
  const Entry index = File("model.safetensors.index.json");
  const std::vector<Entry> cases[] = {
      {config, File("model.safetensors")},
      {File("model.safetensors"), config, File("trainer_state.json", 0)},
      {config, index, File("model-00001-of-00001.safetensors")},
      {config, index, File("model-00002-of-00002.safetensors"),
       File("model-00001-of-00002.safetensors")},
      {config, File("model.safetensors"), Folder("logs")},
  };
  for (const auto& entries : cases) EXPECT_EQ(WhyIncomplete(entries), "");
}

TEST(CompletenessTest, NamesWhatIsMissing) {
  const Entry config = File("config.json");
  const Entry index = File("model.safetensors.index.json");
  const Entry first = File("model-00001-of-00003.safetensors");
  struct Case {
    std::vector<Entry> entries;
    const char* why;
  };
  const Case cases[] = {
      {{}, "config.json is not there yet"},
      {{File("model.safetensors")}, "config.json is not there yet"},
      {{File("config.json", 0), File("model.safetensors")},
       "config.json is empty"},
      {{Folder("config.json"), File("model.safetensors")},
       "config.json is not there yet"},
      {{config}, "model.safetensors is not there yet"},
      {{config, File("model.safetensors", 0)}, "model.safetensors is empty"},
      {{config, first}, "model.safetensors.index.json is not there yet"},
      {{config, File("model.safetensors.index.json", 0), first},
       "model.safetensors.index.json is empty"},
      {{config, index},
       "model.safetensors.index.json has no shards beside it yet"},
      {{config, index, first}, "1 of 3 shards are there"},
      {{config, index, first, File("model-00002-of-00003.safetensors"),
        File("model-00003-of-00003.safetensors", 0)},
       "model-00003-of-00003.safetensors is empty"},
      // Three files, but one of them twice and none the third.
      {{config, index, first, File("model-0001-of-00003.safetensors"),
        File("model-00002-of-00003.safetensors")},
       "2 of 3 shards are there"},
      {{config, index, first, File("model-00002-of-00003.safetensors"),
        File("model-00004-of-00003.safetensors")},
       "2 of 3 shards are there"},
      {{config, index, first, File("model-00002-of-00003.safetensors"),
        Folder("model-00003-of-00003.safetensors")},
       "2 of 3 shards are there"},
      {{config, index, first, File("model-00001-of-00002.safetensors"),
        File("model-00002-of-00002.safetensors")},
       "shards of 3 and of 2 lie side by side"},
      // An index means shards, also beside an older single file.
      {{config, index, File("model.safetensors")},
       "model.safetensors.index.json has no shards beside it yet"},
  };
  for (const Case& c : cases) EXPECT_EQ(WhyIncomplete(c.entries), c.why);
}

TEST(CompletenessTest, WaitsForWhatIsUnderWayInside) {
  for (const char* name :
       {"model.safetensors.tmp", "optim-tmp", "tmp-model.safetensors",
        "model.safetensors.incomplete", "model.safetensors.part"}) {
    EXPECT_EQ(WhyIncomplete(
                  {File("config.json"), File("model.safetensors"), File(name)}),
              absl::StrCat(name, " is still being written"));
  }
}

TEST(FingerprintTest, ChangesWithNamesSizesAndTimes) {
  const Entry config = File("config.json");
  const std::string before = Fingerprint({config, File("model.safetensors")});
  EXPECT_EQ(before.size(), 64u);
  EXPECT_NE(before, Fingerprint({config}));
  EXPECT_NE(before, Fingerprint({config, File("model.safetensors", 11)}));
  EXPECT_NE(before, Fingerprint({config, File("model.safetensors", 10, 2)}));
  EXPECT_NE(before,
            Fingerprint({config, File("model-00001-of-00001.safetensors")}));
}

TEST(FingerprintTest, DoesNotDependOnTheOrderOfTheListing) {
  const Entry config = File("config.json");
  const Entry weights = File("model.safetensors");
  EXPECT_EQ(Fingerprint({config, weights}), Fingerprint({weights, config}));
}

TEST(FingerprintTest, IgnoresFilesThatAreNoPartOfTheCheckpoint) {
  const std::vector<Entry> plain = {File("config.json"),
                                    File("model.safetensors")};
  std::vector<Entry> more = plain;
  for (const char* name : {"optimizer.pt", "events.log", ".hidden"}) {
    more.push_back(File(name, 5, 99));
  }
  more.push_back(Folder("runs"));
  EXPECT_EQ(Fingerprint(plain), Fingerprint(more));
  EXPECT_EQ(LatestChange(more), 1);
}

TEST(LatestChangeTest, IsTheLatestTimeOrZero) {
  EXPECT_EQ(LatestChange({}), 0);
  EXPECT_EQ(LatestChange(
                {File("config.json", 1, 7), File("model.safetensors", 1, 9)}),
            9);
}

}  // namespace
}  // namespace sinkwatch::discovery

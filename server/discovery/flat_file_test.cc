#include "server/discovery/flat_file.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::discovery {
namespace {

Entry File(const std::string& name, int64_t size = 9) {
  Entry entry;
  entry.name = name;
  entry.size = size;
  entry.modified_ns = 5;
  return entry;
}

TEST(FlatFileTest, AFileOfLlama2cNeedsNoConfig) {
  EXPECT_EQ(JudgeFile("step5.bin", nullptr, false).kind,
            Verdict::Kind::kComplete);
}

TEST(FlatFileTest, WeightsWithAConfigBesideThemOrTheRunsAreWhole) {
  const Entry config = File("config.json");
  for (const char* name :
       {"step5.pt", "model_000100.pt", "step5.safetensors"}) {
    EXPECT_EQ(JudgeFile(name, &config, false).kind, Verdict::Kind::kComplete);
    EXPECT_EQ(JudgeFile(name, nullptr, true).kind, Verdict::Kind::kComplete);
  }
}

TEST(FlatFileTest, WithoutAConfigTheyAreDeadWithWhatToDo) {
  const Verdict verdict = JudgeFile("state_step001750.pt", nullptr, false);
  EXPECT_EQ(verdict.kind, Verdict::Kind::kUnsupported);
  EXPECT_EQ(verdict.code, "single-file");
  EXPECT_TRUE(absl::StrContains(verdict.why, "model_config")) << verdict.why;
}

TEST(FlatFileTest, AModelWaitsForItsMetaFileAndThenIsDead) {
  const Entry empty = File("meta_000100.json", 0);
  for (const Entry* config : {static_cast<const Entry*>(nullptr), &empty}) {
    const Verdict verdict = JudgeFile("model_000100.pt", config, false);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kWaiting);
    EXPECT_TRUE(absl::StrContains(verdict.why, "meta_000100.json"));
    EXPECT_EQ(verdict.later, Verdict::Kind::kUnsupported);
    EXPECT_TRUE(absl::StrContains(verdict.why_later, "model_config"));
  }
}

TEST(FlatFileTest, ItsOwnConfigComesBeforeOneThatAllShare) {
  std::vector<Entry> beside = {File("meta_000200.json"), File("config.json")};
  EXPECT_EQ(FindConfigOfFile("model_000100.pt", beside), &beside[1]);
  beside[0].name = "meta_000100.json";
  EXPECT_EQ(FindConfigOfFile("model_000100.pt", beside), &beside[0]);
  beside[0].is_folder = true;
  beside[1].broken = "is a link to nothing";
  EXPECT_EQ(FindConfigOfFile("model_000100.pt", beside), nullptr);
}

TEST(FlatFileTest, AnotherConfigMakesAnotherCheckpointOfIt) {
  const Entry file = File("model_000100.pt"), config = File("config.json");
  EXPECT_NE(FingerprintOfFile(file, nullptr), FingerprintOfFile(file, &config));
  EXPECT_EQ(FingerprintOfFile(file, &config), FingerprintOfFile(file, &config));
}

}  // namespace
}  // namespace sinkwatch::discovery

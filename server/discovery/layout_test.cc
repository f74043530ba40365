#include "server/discovery/layout.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::discovery {
namespace {

using Entries = std::vector<Entry>;

Entry File(const std::string& name, int64_t size = 10, int64_t time = 1) {
  return {name, false, size, time, "", ""};
}

Entry Folder(const std::string& name) { return {name, true, 0, 1, "", ""}; }

std::string WhyIncomplete(const Entries& entries) {
  const Subject subject{*base::ParseStepName("step5"), {entries, {}}, false};
  return Judge(*FindLayout(subject), subject).why;
}

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
      // The index of a single file, as mlx writes it.
      {config, index, File("model.safetensors")},
      {config, File("pytorch_model.bin.index.json"), File("pytorch_model.bin")},
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
       ""},  // one set is whole: which of them is listed the worker sees
      {{config, index, first, File("model-00001-of-00002.safetensors")},
       "1 of 2 shards are there, 1 of 3 shards are there"},
      {{config, File("model.safetensors.index.json", 0),
        File("model.safetensors")},
       "model.safetensors.index.json is empty"},
      {{config, index, File("model.safetensors", 0)},
       "model.safetensors is empty"},
      // Shards mean an index, also beside an older single file.
      {{config, first, File("model.safetensors")},
       "model.safetensors.index.json is not there yet"},
      {{config, index, first, File("model.safetensors")},
       "1 of 3 shards are there"},
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

TEST(BelongsToCheckpointTest, IsWhatSomeLayoutStates) {
  const struct {
    const char* folder;
    const char* name;
    bool counts;
  } cases[] = {
      {"", "config.json", true},
      {"", "config.yaml", true},
      {"model_and_optim", "config.json", false},
      {"", "model.safetensors", true},
      {"", "model.safetensors.index.json", true},
      {"", "model-00001-of-00003.safetensors", true},
      {"", "model-1-of-999999999.safetensors", true},
      {"", "model-1-of-1234567890.safetensors", false},
      {"", "model-a-of-00003.safetensors", false},
      {"", "model--of-00003.safetensors", false},
      {"", "model-00001-of-00003.safetensors.md5", false},
      {"", "a_model.safetensors", false},
      {"", "pytorch_model.bin", true},
      {"", "pytorch_model.bin.index.json", true},
      {"", "pytorch_model-00001-of-00003.bin", true},
      {"", "model.pt", true},
      {"", "optim.pt", false},
      {"", "rank0.pt", true},
      {"", "shard-00001-model-00001-of-00002.safetensors", true},
      {"", ".metadata", true},
      {"", ".metadata.json", false},
      {"", "__0_0.distcp", true},
      {"model_and_optim", ".metadata", true},
      {"model_and_optim", "__0_0.distcp", true},
      {"model_and_optim", "tmp0.distcp", false},
      {"model", "chunk-00000.safetensors", true},
      {"model", "rank0.pt", true},
      {"model", "optim.pt", false},
      {"train", "rank0.pt", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(BelongsToCheckpoint(c.folder, File(c.name)), c.counts)
        << c.folder << "/" << c.name;
  }
  EXPECT_FALSE(BelongsToCheckpoint("", Folder("model.pt")));
  EXPECT_EQ(CountedFolders(),
            (std::set<std::string>{"model", "model_and_optim"}));
}

TEST(FingerprintTest, ChangesWithNamesSizesAndTimes) {
  const Entry config = File("config.json");
  const std::string before =
      Fingerprint({{config, File("model.safetensors")}, {}});
  EXPECT_EQ(before.size(), 64u);
  EXPECT_NE(before, Fingerprint({{config}, {}}));
  EXPECT_NE(before, Fingerprint({{config, File("model.safetensors", 11)}, {}}));
  EXPECT_NE(before,
            Fingerprint({{config, File("model.safetensors", 10, 2)}, {}}));
  EXPECT_NE(
      before,
      Fingerprint({{config, File("model-00001-of-00001.safetensors")}, {}}));
}

TEST(FingerprintTest, DoesNotDependOnTheOrderOfTheListing) {
  const Entry config = File("config.json");
  const Entry weights = File("model.safetensors");
  EXPECT_EQ(Fingerprint({{config, weights}, {}}),
            Fingerprint({{weights, config}, {}}));
}

TEST(FingerprintTest, IgnoresFilesThatAreNoPartOfTheCheckpoint) {
  const std::vector<Entry> plain = {File("config.json"),
                                    File("model.safetensors")};
  std::vector<Entry> more = plain;
  for (const char* name : {"optimizer.pt", "events.log", ".hidden"}) {
    more.push_back(File(name, 5, 99));
  }
  more.push_back(Folder("runs"));
  EXPECT_EQ(Fingerprint({plain, {}}), Fingerprint({more, {}}));
  EXPECT_EQ(LatestChange({more, {}}), 1);
}

TEST(LatestChangeTest, IsTheLatestTimeOrZero) {
  EXPECT_EQ(LatestChange({}), 0);
  EXPECT_EQ(
      LatestChange(
          {{File("config.json", 1, 7), File("model.safetensors", 1, 9)}, {}}),
      9);
}

TEST(FingerprintTest, CoversSubFolders) {
  const Entries top = {File("config.json")};
  const auto with = [&](Entry data) {
    return Fingerprint({top, {{"model_and_optim", {std::move(data)}}}});
  };
  const std::string before = with(File("__0_0.distcp"));
  EXPECT_NE(before, Fingerprint({top, {}}));
  EXPECT_NE(before, with(File("__0_0.distcp", 11)));
  EXPECT_NE(before, with(File("__0_0.distcp", 10, 2)));
  EXPECT_EQ(with(File("tmp123.distcp")), Fingerprint({top, {}}));
  EXPECT_EQ(
      LatestChange({top, {{"model_and_optim", {File("__0_0.distcp", 1, 5)}}}}),
      5);
}

TEST(FingerprintTest, CoversTheRunsConfigurationWhereThereIsNoOther) {
  const Entry given = File("/elsewhere/config.json");
  const Entry changed = File("/elsewhere/config.json", 12);
  const Listing bare = {{File(".metadata")}, {}};
  EXPECT_NE(Fingerprint(bare, &given), Fingerprint(bare));
  EXPECT_NE(Fingerprint(bare, &given), Fingerprint(bare, &changed));
  const Listing own = {{File(".metadata"), File("config.json")}, {}};
  EXPECT_EQ(Fingerprint(own, &given), Fingerprint(own));
}

TEST(JudgeTest, WaitsForABrokenLinkToAFileThatCounts) {
  Entry link = File("model.safetensors");
  link.broken = "is a link to ../x, which is not there";
  EXPECT_EQ(WhyIncomplete({File("config.json"), link}),
            "model.safetensors is a link to ../x, which is not there");
  Entry other = File("notes.txt");
  other.broken = "is a link to /etc, which leaves the run's root";
  EXPECT_EQ(
      WhyIncomplete({File("config.json"), File("model.safetensors"), other}),
      "");
}

}  // namespace
}  // namespace sinkwatch::discovery

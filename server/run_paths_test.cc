#include "server/run_paths.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/discovery/hanging_folder_testing.h"

namespace sinkwatch::server {
namespace {

namespace fs = std::filesystem;

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
  return path;
}

v1::RunConfig GoodRun() {
  v1::RunConfig run;
  run.set_name("toy");
  run.set_root(testing::TempDir() + "/toy");
  fs::create_directories(run.root());
  run.set_probe(testing::TempDir() + "/probe");
  WriteFile("probe/probe.json", R"({"name":"toy"})");
  return run;
}

std::string ErrorsOf(const v1::RunConfig& run, bool allow_missing = false) {
  return absl::StrJoin(PathErrors(run, allow_missing), "; ");
}

TEST(PathErrorsTest, TakesARunWithAManifestAndAModelConfig) {
  v1::RunConfig run = GoodRun();
  EXPECT_EQ(ErrorsOf(run), "");
  run.set_manifest(
      WriteFile("good.csv", "Step,Checkpoint Directory\n1,a/step1\n"));
  run.set_model_config(WriteFile("model.json", "{}"));
  EXPECT_EQ(ErrorsOf(run), "");
}

TEST(PathErrorsTest, NamesTheLineOfABadManifest) {
  v1::RunConfig run = GoodRun();
  run.set_manifest(
      WriteFile("bad.csv", "Step,Checkpoint Directory\n1,a/step1\nx,a\n"));
  const std::string errors = ErrorsOf(run);
  EXPECT_TRUE(absl::StrContains(errors, "run \"toy\": manifest: ")) << errors;
  EXPECT_TRUE(absl::StrContains(errors, "bad.csv:3: \"x\" is no step"))
      << errors;
}

// Who may name a file would be told its first line.
TEST(PathErrorsTest, SaysNothingThatStandsInWhatIsNoManifest) {
  v1::RunConfig run = GoodRun();
  run.set_manifest(WriteFile("shadow", "root:secret:0:0\nmore:secret\n"));
  const std::string errors = ErrorsOf(run);
  EXPECT_TRUE(absl::StrContains(errors, "the header is none of")) << errors;
  EXPECT_FALSE(absl::StrContains(errors, "secret")) << errors;
}

TEST(CheckAllowedTest, EveryPathLiesBelowOneOfTheFolders) {
  std::vector<std::string> roots;
  v1::RunConfig run;
  run.set_name("toy");
  run.set_root("/runs/toy");
  run.set_probe("/probes");
  const auto is_allowed = [&] {
    const absl::Status status = CheckAllowed(run, roots);
    EXPECT_TRUE(status.ok() || absl::IsPermissionDenied(status)) << status;
    return status.ok();
  };
  EXPECT_TRUE(is_allowed()) << "any, where none is named";
  roots = {"/runs"};
  EXPECT_FALSE(is_allowed());
  roots = {"/runs", "/probes/"};
  EXPECT_TRUE(is_allowed());
  run.set_manifest("/runs2/list.csv");
  EXPECT_FALSE(is_allowed());
  run.set_manifest("/runs/list.csv");
  run.set_model_config("/etc/shadow");
  EXPECT_FALSE(is_allowed());
  roots = {"/"};
  EXPECT_TRUE(is_allowed());
}

TEST(PathErrorsTest, NamesEverythingThatIsNotThereAtOnce) {
  v1::RunConfig run = GoodRun();
  run.set_root("/nowhere/root");
  run.set_probe("/nowhere/probe");
  run.set_manifest("/nowhere/m.csv");
  run.set_model_config("/nowhere/c.json");
  const std::string errors = ErrorsOf(run);
  for (const char* words :
       {"run \"toy\": root: /nowhere/root is missing",
        "run \"toy\": probe: /nowhere/probe is missing", "/nowhere/m.csv",
        "run \"toy\": model_config: /nowhere/c.json is no file"}) {
    EXPECT_TRUE(absl::StrContains(errors, words)) << words << "\n" << errors;
  }
}

TEST(PathErrorsTest, AProbeIsReadAndARootIsAFolder) {
  v1::RunConfig run = GoodRun();
  run.set_root(WriteFile("file", ""));
  EXPECT_TRUE(absl::StrContains(ErrorsOf(run), "file is no folder"));
  run = GoodRun();
  run.set_probe(run.root());
  EXPECT_TRUE(absl::StrContains(ErrorsOf(run), "probe.json")) << ErrorsOf(run);
  WriteFile("spoilt/probe.json", "{");
  run.set_probe(testing::TempDir() + "/spoilt");
  EXPECT_TRUE(absl::StrContains(ErrorsOf(run), "probe.json")) << ErrorsOf(run);
}

TEST(PathErrorsTest, WhatMayBeMissingIsRootAndProbe) {
  v1::RunConfig run = GoodRun();
  run.set_root("/nowhere/root");
  run.set_probe("/nowhere/probe");
  EXPECT_EQ(ErrorsOf(run, /*allow_missing=*/true), "");
  run.set_manifest("/nowhere/m.csv");
  EXPECT_NE(ErrorsOf(run, /*allow_missing=*/true), "");
}

// Waits for the five seconds that a file system is given.
TEST(PathErrorsTest, AFileSystemThatDoesNotAnswerIsAsOneThatIsMissing) {
  const v1::RunConfig run = GoodRun();
  const discovery::HangingFolder hanging(run.root());
  v1::ServerConfig config;
  for (int i = 0; i < 3; ++i) *config.add_runs() = run;
  const auto errors = PathErrors(config, /*allow_missing=*/false);
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_TRUE(absl::StrContains(errors[0], "has not answered for 5 s"))
      << errors[0];
  EXPECT_TRUE(absl::StrContains(errors[0], run.root())) << errors[0];
}

TEST(CheckAnswersTest, SaysOfAFolderThatHangsThatItDoes) {
  const std::string folder = testing::TempDir() + "/backups";
  fs::create_directories(folder);
  EXPECT_TRUE(CheckAnswers(folder + "/new.db").ok());
  EXPECT_TRUE(CheckAnswers("/nowhere/new.db").ok());
  const discovery::HangingFolder hanging(folder);
  EXPECT_EQ(
      CheckAnswers(folder + "/new.db"),
      absl::UnavailableError(absl::StrCat("the file system of ", folder,
                                          "/new.db has not answered for 5 s")));
}

TEST(PathErrorsTest, RefusesAFifoInPlaceOfEachFile) {
  const std::string fifo = testing::TempDir() + "/fifo/probe.json";
  fs::create_directories(fs::path(fifo).parent_path());
  fs::remove(fifo);
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  v1::RunConfig run = GoodRun();
  run.set_probe(fs::path(fifo).parent_path());
  run.set_manifest(fifo);
  run.set_model_config(fifo);
  const std::string errors = ErrorsOf(run);
  for (const char* field : {"probe: ", "manifest: ", "model_config: "}) {
    EXPECT_TRUE(
        absl::StrContains(errors, absl::StrCat(field, fifo, " is no file")))
        << errors;
  }
}

TEST(PathErrorsTest, OfEveryRun) {
  v1::ServerConfig config;
  for (const char* name : {"a", "b"}) {
    v1::RunConfig& run = *config.add_runs();
    run = GoodRun();
    run.set_name(name);
    run.set_root("/nowhere");
  }
  EXPECT_EQ(PathErrors(config, false).size(), 2u);
}

}  // namespace
}  // namespace sinkwatch::server

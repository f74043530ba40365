#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/config.h"

namespace sinkwatch::server {
namespace {

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

v1::RunConfig GoodRun() {
  v1::RunConfig run;
  run.set_name("toy");
  run.set_root("/runs/toy");
  run.set_probe("/probes/toy");
  ApplyDefaults(run);
  return run;
}

std::string ErrorsOf(v1::RunConfig run) {
  ApplyDefaults(run);
  return absl::StrJoin(RunErrors(run), "; ");
}

TEST(RunFlagTest, ReadsEveryField) {
  const auto run = ParseRunFlag(
      "toy=/runs/toy,probe=/p,stage=s,dtype=bfloat16,manifest=/m.csv,"
      "model_config=/c.json");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->name(), "toy");
  EXPECT_EQ(run->root(), "/runs/toy");
  EXPECT_EQ(run->probe(), "/p");
  EXPECT_EQ(run->stage(), "s");
  EXPECT_EQ(run->dtype(), "bfloat16");
  EXPECT_EQ(run->manifest(), "/m.csv");
  EXPECT_EQ(run->model_config(), "/c.json");
  const absl::Status misspelt = ParseRunFlag("toy=/runs/toy,prob=/p").status();
  EXPECT_EQ(misspelt.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(misspelt.message(), "prob")) << misspelt;
}

TEST(RunErrorsTest, TakesARunWithAManifestAndAModelConfig) {
  v1::RunConfig run = GoodRun();
  EXPECT_EQ(ErrorsOf(run), "");
  run.set_manifest(
      WriteFile("good.csv", "Step,Checkpoint Directory\n1,a/step1\n"));
  run.set_model_config(WriteFile("model.json", "{}"));
  EXPECT_EQ(ErrorsOf(run), "");
}

TEST(RunErrorsTest, NamesTheLineOfABadManifest) {
  v1::RunConfig run = GoodRun();
  run.set_manifest(
      WriteFile("bad.csv", "Step,Checkpoint Directory\n1,a/step1\nx,a\n"));
  const std::string errors = ErrorsOf(run);
  EXPECT_TRUE(absl::StrContains(errors, "run \"toy\": manifest: ")) << errors;
  EXPECT_TRUE(absl::StrContains(errors, "bad.csv:3: \"x\" is no step"))
      << errors;
}

TEST(RunErrorsTest, NamesFilesThatAreNotThere) {
  v1::RunConfig run = GoodRun();
  run.set_manifest("/nowhere/m.csv");
  run.set_model_config("/nowhere/c.json");
  const std::string errors = ErrorsOf(run);
  EXPECT_TRUE(absl::StrContains(errors, "/nowhere/m.csv")) << errors;
  EXPECT_TRUE(absl::StrContains(errors, "/nowhere/c.json")) << errors;
}

TEST(ApplyDefaultsTest, MakesThePathsOfFilesAbsolute) {
  v1::RunConfig run = GoodRun();
  run.set_manifest("m.csv");
  run.set_model_config("c.json");
  ApplyDefaults(run);
  EXPECT_TRUE(std::filesystem::path(run.manifest()).is_absolute());
  EXPECT_TRUE(std::filesystem::path(run.model_config()).is_absolute());
}

}  // namespace
}  // namespace sinkwatch::server

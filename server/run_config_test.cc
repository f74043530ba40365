#include <filesystem>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/config.h"

namespace sinkwatch::server {
namespace {

v1::RunConfig GoodRun() {
  v1::RunConfig run;
  run.set_name("toy");
  run.set_root("/runs/toy");
  run.set_probe("/probes/toy");
  ApplyDefaults(run);
  return run;
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

#include "worker/commands/output_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

namespace fs = std::filesystem;

std::string Content(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(OutputFile, HoldsWhatItHeldUntilItIsWritten) {
  const fs::path path = fs::path(testing::TempDir()) / "old.json";
  std::ofstream(path) << "longer than the new one";
  auto output = OutputFile::Open(path);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(Content(path), "longer than the new one");
  EXPECT_TRUE((*output)->Write("new").ok());
  EXPECT_EQ(Content(path), "new");
  output->reset();
  EXPECT_EQ(Content(path), "new");
}

TEST(OutputFile, LeavesNothingWhereNothingWasWritten) {
  const fs::path path = fs::path(testing::TempDir()) / "none.json";
  auto output = OutputFile::Open(path);
  ASSERT_TRUE(output.ok()) << output.status();
  output->reset();
  EXPECT_FALSE(fs::exists(path));
}

TEST(OutputFile, SaysWhatCannotBeWritten) {
  const auto output = OutputFile::Open("/no/dir/x.json");
  EXPECT_TRUE(absl::IsUnavailable(output.status())) << output.status();
  EXPECT_TRUE(
      absl::StrContains(output.status().message(), "cannot write /no/dir/x"));
  auto full = OutputFile::Open("/dev/full");
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_TRUE(absl::StrContains((*full)->Write("text").message(),
                                "cannot write /dev/full"));
}

}  // namespace
}  // namespace sinkwatch::worker

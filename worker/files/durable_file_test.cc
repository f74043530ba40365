#include "worker/files/durable_file.h"

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::files {
namespace {

namespace fs = std::filesystem;

TEST(DurableFileTest, PartsAreWrittenInOrderOverWhatWasThere) {
  base::TempFolder temp;
  WriteFile(temp / "f", "something longer than what follows");
  ASSERT_TRUE(WriteDurably(temp / "f", {"ab", "", "cd"}).ok());
  EXPECT_EQ(ReadFile(temp / "f"), "abcd");
}

TEST(DurableFileTest, AFullDiskIsAnErrorWithThePath) {
  // Every write to this device fails as on a full disk.
  ExpectError(WriteDurably("/dev/full", {std::string(10, 'x')}),
              absl::StatusCode::kUnavailable,
              {"/dev/full", "No space left on device"});
}

TEST(DurableFileTest, AFolderAppearsUnderItsNameOnlyWhenPublished) {
  base::TempFolder temp;
  ASSERT_TRUE(BeginFolder(temp / "new/step1").ok());
  WriteFile(temp / "new/step1-tmp/f", "x");
  EXPECT_FALSE(fs::exists(temp / "new/step1"));
  ASSERT_TRUE(PublishFolder(temp / "new/step1").ok());
  EXPECT_EQ(ReadFile(temp / "new/step1/f"), "x");
  EXPECT_FALSE(fs::exists(temp / "new/step1-tmp"));
}

TEST(DurableFileTest, AFolderThatSomebodyElseMadeMeanwhileIsKept) {
  base::TempFolder temp;
  ASSERT_TRUE(BeginFolder(temp / "step1").ok());
  fs::create_directory(temp / "step1");  // empty: a plain rename replaces it
  ExpectError(PublishFolder(temp / "step1"), absl::StatusCode::kAlreadyExists,
              {temp / "step1"});
  EXPECT_TRUE(fs::exists(temp / "step1"));
}

}  // namespace
}  // namespace sinkwatch::files

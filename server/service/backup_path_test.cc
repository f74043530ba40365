#include "server/service/backup_path.h"

#include <filesystem>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"

namespace sinkwatch::service {
namespace {

namespace fs = std::filesystem;

class BackupPathTest : public ::testing::Test {
 protected:
  BackupPathTest() { fs::create_directories(folder_ / "outside"); }

  absl::StatusCode CodeOf(const std::string& file) {
    return BackupPath(root_, file).status().code();
  }

  const base::TempFolder folder_;
  const std::string root_ = folder_ / "backups";
};

TEST_F(BackupPathTest, ANameIsAFileOfTheFolderWhichIsMade) {
  const auto path = BackupPath(root_, "monday.db");
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path, fs::canonical(root_) / "monday.db");
  EXPECT_EQ(BackupPath(root_, root_ + "/monday.db").value(), *path);
}

TEST_F(BackupPathTest, AFolderOfItMustBeThere) {
  EXPECT_EQ(CodeOf("week/monday.db"), absl::StatusCode::kInvalidArgument);
  fs::create_directories(root_ + "/week");
  EXPECT_EQ(CodeOf("week/monday.db"), absl::StatusCode::kOk);
}

TEST_F(BackupPathTest, NothingLeadsOut) {
  fs::create_directories(root_);
  fs::create_directory_symlink(folder_ / "outside", root_ + "/link");
  for (const std::string& file :
       {std::string("../outside/x"), std::string("/etc/passwd"),
        std::string("link/x"), std::string("a/../../outside/x"),
        std::string(".."), std::string("."), std::string(""),
        std::string("new\nline"), std::string(300, 'x'), root_ + "-other/x"}) {
    EXPECT_EQ(CodeOf(file), absl::StatusCode::kInvalidArgument) << file;
  }
}

}  // namespace
}  // namespace sinkwatch::service

#include "worker/files/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::files {
namespace {

namespace fs = std::filesystem;

constexpr auto kChanged = absl::StatusCode::kDataLoss;
constexpr auto kMissing = absl::StatusCode::kFailedPrecondition;
constexpr auto kGone = absl::StatusCode::kNotFound;
constexpr auto kLeaves = absl::StatusCode::kUnimplemented;
constexpr auto kTooLarge = absl::StatusCode::kUnimplemented;

absl::Status OpenIn(const std::string& path, const std::string& real_folder) {
  return File::Open(path, real_folder).status();
}

TEST(FileTest, BytesAreReadFromAnywhere) {
  base::TempFolder temp;
  WriteFile(temp / "f", "0123456789");
  auto file = File::Open(temp / "f");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->size(), 10);
  std::string middle(4, ' ');
  ASSERT_TRUE((*file)->ReadAt(3, 4, middle.data()).ok());
  EXPECT_EQ(middle, "3456");
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
}

TEST(FileTest, AMissingFileIsNotAMissingFolder) {
  base::TempFolder temp;
  ExpectError(OpenIn(temp / "f", ""), kMissing, {temp / "f", "not there"});
  ExpectError(OpenIn(temp / "d/f", ""), kGone, {temp / "d/f", "folder"});
}

TEST(FileTest, OnlyARegularFileIsOpened) {
  base::TempFolder temp;
  ASSERT_EQ(::mkfifo((temp / "pipe").c_str(), 0600), 0);
  ExpectError(OpenIn(temp / "pipe", ""), kChanged, {"pipe", "regular"});
  ExpectError(OpenIn(temp.path(), ""), kChanged, {"regular"});
  WriteFile(temp / "f", "x");
  ExpectError(OpenIn(temp / "f/g", ""), kChanged, {"f/g", "not a folder"});
}

TEST(FileTest, ALinkIsFollowedInsideTheFolderOnly) {
  base::TempFolder temp;
  fs::create_directory(temp / "in");
  fs::create_directory(temp / "out");
  WriteFile(temp / "in/f", "x");
  WriteFile(temp / "out/f", "x");
  fs::create_symlink("f", temp / "in/near");
  fs::create_symlink("../out/f", temp / "in/far");
  fs::create_symlink("in", temp / "whole");
  const std::string real = *RealFolderOf(temp / "in/f");
  EXPECT_TRUE(OpenIn(temp / "in/near", real).ok());
  EXPECT_TRUE(OpenIn(temp / "whole/f", real).ok());
  ExpectError(OpenIn(temp / "in/far", real), kLeaves,
              {"in/far: leads to", "outside of"});
  fs::create_symlink("loop", temp / "in/loop");
  ExpectError(OpenIn(temp / "in/loop", real), kLeaves, {"in/loop", "link"});
  fs::create_symlink("nothing", temp / "in/dangling");
  ExpectError(OpenIn(temp / "in/dangling", real), kMissing, {"dangling"});
}

TEST(FileTest, AFolderOfLinksIsTheFolderTheyLeadTo) {
  base::TempFolder temp;
  fs::create_directory(temp / "real");
  fs::create_directory(temp / "links");
  for (const char* name : {"config.json", "weights"}) {
    WriteFile(temp / "real" + "/" + name, "x");
    fs::create_symlink(temp / "real" + "/" + name, temp / "links" + "/" + name);
  }
  const std::string real = *RealFolderOf(temp / "links/config.json");
  EXPECT_EQ(real, *RealFolderOf(temp / "real/config.json"));
  EXPECT_TRUE(OpenIn(temp / "links/weights", real).ok());
}

TEST(FileTest, EveryKindOfChangeIsSeen) {
  base::TempFolder temp;
  auto opened = [&temp](const char* name) {
    WriteFile(temp / name, "0123456789");
    return *File::Open(temp / name);
  };
  auto grown = opened("grown");
  fs::resize_file(temp / "grown", 11);
  ExpectError(grown->CheckUnchanged(), kChanged, {"grown", "11 now"});

  auto touched = opened("touched");
  fs::last_write_time(temp / "touched", fs::last_write_time(temp / "touched") +
                                            std::chrono::nanoseconds(1000));
  ExpectError(touched->CheckUnchanged(), kChanged, {"touched", "same file"});

  auto replaced = opened("replaced");
  const auto time = fs::last_write_time(temp / "replaced");
  WriteFile(temp / "other", "0123456789");
  fs::last_write_time(temp / "other", time);
  fs::rename(temp / "other", temp / "replaced");
  ExpectError(replaced->CheckUnchanged(), kChanged,
              {"replaced", "another file"});

  auto deleted = opened("deleted");
  fs::remove(temp / "deleted");
  ExpectError(deleted->CheckUnchanged(), kGone, {"deleted"});
}

TEST(FileTest, ReadingPastANewEndIsAnErrorAndNotASignal) {
  base::TempFolder temp;
  WriteFile(temp / "f", std::string(100000, 'x'));
  auto file = *File::Open(temp / "f");
  fs::resize_file(temp / "f", 10);
  std::string bytes(100000, ' ');
  ExpectError(file->ReadAt(0, 100000, bytes.data()), kChanged,
              {temp / "f", "100000 bytes then, 10 now"});
  fs::remove(temp / "f");
  ExpectError(file->ReadAt(0, 100000, bytes.data()), kGone, {temp / "f"});
}

TEST(FileTest, AWholeFileIsReadUpToItsLimit) {
  base::TempFolder temp;
  WriteFile(temp / "f", "12345");
  EXPECT_EQ(*ReadWholeFile(temp / "f", 5), "12345");
  ExpectError(ReadWholeFile(temp / "f", 4).status(), kTooLarge,
              {temp / "f", "5 bytes", "the 4"});
}

TEST(FileTest, ABareNameIsNoPath) {
  EXPECT_TRUE(IsBareName("model-00001-of-00002.safetensors"));
  EXPECT_TRUE(IsBareName("..."));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("/a"),
        std::string("a/"), std::string("a/b"), std::string("a\0b", 3),
        std::string(256, 'a')}) {
    EXPECT_FALSE(IsBareName(name)) << name;
  }
}

}  // namespace
}  // namespace sinkwatch::files

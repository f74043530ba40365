#include "proto/base/small_file.h"

#include <sys/stat.h>

#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"

namespace sinkwatch::base {
namespace {

class SmallFileTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, size_t bytes) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << std::string(bytes, 'x');
    return path;
  }
  // Why it is refused, which names the file.
  std::string WhyNot(const std::string& path) {
    const auto text = ReadSmallFile(path, 1);
    if (text.ok()) return "it is not";
    EXPECT_TRUE(absl::IsInvalidArgument(text.status())) << text.status();
    EXPECT_TRUE(absl::StrContains(text.status().message(), path));
    return std::string(text.status().message());
  }

  const TempFolder folder_;
};

TEST_F(SmallFileTest, IsReadUpToItsBound) {
  const size_t most = size_t{1} << 20;
  EXPECT_EQ(ReadSmallFile(Write("empty", 0), 1).value(), "");
  EXPECT_EQ(ReadSmallFile(Write("whole", most), 1).value().size(), most);
  EXPECT_TRUE(absl::StrContains(WhyNot(Write("large", most + 1)),
                                "is larger than 1 MiB"));
}

// None of them ends, and a pipe does not even begin.
TEST_F(SmallFileTest, NothingButAFileIsRead) {
  const std::string pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(absl::StrContains(WhyNot(pipe), "is no file"));
  EXPECT_TRUE(absl::StrContains(WhyNot("/dev/zero"), "is no file"));
  EXPECT_TRUE(absl::StrContains(WhyNot(folder_ / "."), "is no file"));
  EXPECT_TRUE(absl::StrContains(WhyNot(folder_ / "none"), "cannot be opened"));
}

}  // namespace
}  // namespace sinkwatch::base

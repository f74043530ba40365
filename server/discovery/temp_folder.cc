#include "server/discovery/temp_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace sinkwatch::discovery {

TempFolder::TempFolder() {
  std::string pattern = testing::TempDir() + "/sinkwatch.XXXXXX";
  EXPECT_NE(mkdtemp(pattern.data()), nullptr) << pattern;
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void TempFolder::Write(const std::string& name, const std::string& text) const {
  const std::filesystem::path path = Path(name);
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

void TempFolder::SetTime(const std::string& name, absl::Time time) const {
  const timespec to = absl::ToTimespec(time);
  const timespec times[2] = {to, to};
  EXPECT_EQ(utimensat(AT_FDCWD, Path(name).c_str(), times, 0), 0) << name;
}

void TempFolder::MakeFolder(const std::string& name) const {
  std::filesystem::create_directories(Path(name));
}

void TempFolder::Rename(const std::string& from, const std::string& to) const {
  std::filesystem::rename(Path(from), Path(to));
}

void TempFolder::Link(const std::string& target,
                      const std::string& name) const {
  std::filesystem::create_symlink(target, Path(name));
}

void TempFolder::Delete(const std::string& name) const {
  EXPECT_GT(std::filesystem::remove_all(Path(name)), 0u) << name;
}

void TempFolder::WriteCheckpoint(const std::string& folder) const {
  Write(folder + "/config.json", "{}");
  Write(folder + "/model.safetensors", "weights");
}

void TempFolder::WriteProbe(const std::string& folder) const {
  Write(folder + "/probe.json", R"({"name": "stories"})");
}

}  // namespace sinkwatch::discovery

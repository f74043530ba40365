#include "server/discovery/watched_folder_testing.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace sinkwatch::discovery {

void WatchedFolder::Write(const std::string& name,
                          const std::string& text) const {
  const std::filesystem::path path = Path(name);
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

void WatchedFolder::SetTime(const std::string& name, absl::Time time) const {
  const timespec to = absl::ToTimespec(time);
  const timespec times[2] = {to, to};
  EXPECT_EQ(utimensat(AT_FDCWD, Path(name).c_str(), times, 0), 0) << name;
}

void WatchedFolder::MakeFolder(const std::string& name) const {
  std::filesystem::create_directories(Path(name));
}

void WatchedFolder::Rename(const std::string& from,
                           const std::string& to) const {
  std::filesystem::rename(Path(from), Path(to));
}

void WatchedFolder::Link(const std::string& target,
                         const std::string& name) const {
  std::filesystem::create_symlink(target, Path(name));
}

void WatchedFolder::Delete(const std::string& name) const {
  EXPECT_GT(std::filesystem::remove_all(Path(name)), 0u) << name;
}

void WatchedFolder::WriteCheckpoint(const std::string& folder) const {
  Write(folder + "/config.json", "{}");
  Write(folder + "/model.safetensors", "weights");
}

void WatchedFolder::WriteProbe(const std::string& folder) const {
  Write(folder + "/probe.json", R"({"name": "stories"})");
}

v1::RunConfig WatchedFolder::MakeRun(const std::string& name,
                                     const std::string& root) const {
  MakeFolder(root);
  WriteProbe("probe");
  v1::RunConfig run;
  run.set_name(name);
  run.set_root(Path(root));
  run.set_probe(Path("probe"));
  run.set_dtype("float32");
  run.set_grace_seconds(120);
  return run;
}

}  // namespace sinkwatch::discovery

#include "server/discovery/many_steps_testing.h"

#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::discovery {
namespace {

namespace fs = std::filesystem;

// Of each file its size and time.
using Files = std::map<std::string, std::pair<int64_t, fs::file_time_type>>;

Files FilesOf(const std::string& folder) {
  Files files;
  std::error_code error;
  for (const fs::directory_entry& file :
       fs::directory_iterator(folder, error)) {
    files[file.path().filename()] = {
        static_cast<int64_t>(fs::file_size(file.path(), error)),
        fs::last_write_time(file.path(), error)};
  }
  return files;
}

std::string NameOf(int step) { return absl::StrCat("steps/step", step); }

// Where they lie between two tests.
class Shelf {
 public:
  Shelf() : files_(ManySteps::kSteps) {
    for (int step = 0; step < ManySteps::kSteps; ++step) Make(step);
  }

  void Lend(const std::string& path) {
    fs::create_directories(fs::path(path).parent_path());
    fs::rename(folder_.Path("steps"), path);
  }

  void TakeBack(const std::string& path) {
    fs::rename(path, folder_.Path("steps"));
    std::set<std::string> others;
    for (const auto& entry : fs::directory_iterator(folder_.Path("steps"))) {
      others.insert(absl::StrCat("steps/", entry.path().filename().string()));
    }
    for (int step = 0; step < ManySteps::kSteps; ++step) {
      others.erase(NameOf(step));
      if (FilesOf(folder_.Path(NameOf(step))) == files_[step]) continue;
      fs::remove_all(folder_.Path(NameOf(step)));
      Make(step);
    }
    for (const std::string& name : others) folder_.Delete(name);
  }

 private:
  void Make(int step) {
    folder_.WriteCheckpoint(NameOf(step));
    files_[step] = FilesOf(folder_.Path(NameOf(step)));
  }

  const WatchedFolder folder_;
  std::vector<Files> files_;  // of each step
};

Shelf& TheShelf() {
  static Shelf shelf;
  return shelf;
}

}  // namespace

ManySteps::ManySteps(const WatchedFolder& folder, std::string name)
    : folder_(folder), name_(std::move(name)) {
  TheShelf().Lend(folder_.Path(name_));
}

ManySteps::~ManySteps() { TheShelf().TakeBack(folder_.Path(name_)); }

}  // namespace sinkwatch::discovery

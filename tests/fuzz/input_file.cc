#include "tests/fuzz/input_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

#include "tests/fuzz/fuzz.h"

namespace sinkwatch::fuzz {
namespace {

// A folder that goes with the process, where that ends as it should.
class Folder {
 public:
  Folder() {
    // In memory where the system has such a place: an input is a file each.
    std::string name = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    name += "/sinkwatch-fuzz-XXXXXX";
    Expect(::mkdtemp(name.data()) != nullptr, "a temporary folder is made");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

std::string WriteInput(absl::string_view input, const std::string& name,
                       int64_t size) {
  static const Folder folder;
  const std::string path = folder.path() + "/" + name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const auto own_size = static_cast<int64_t>(input.size());
  Expect(::write(fd, input.data(), input.size()) == own_size &&
             ::ftruncate(fd, std::max(own_size, size)) == 0 && ::close(fd) == 0,
         "the input is written to a file");
  return folder.path();
}

std::unique_ptr<files::File> OpenInput(absl::string_view input, int64_t size) {
  const std::string folder = WriteInput(input, "input", size);
  auto file = files::File::Open(folder + "/input");
  Expect(file.ok(), "the input is opened");
  return *std::move(file);
}

}  // namespace sinkwatch::fuzz

#include "tests/fuzz/input_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
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

std::unique_ptr<checkpoint::File> OpenInput(absl::string_view input,
                                            const std::string& name) {
  static const Folder folder;
  const std::string path = folder.path() + "/" + name;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const ssize_t written = ::write(fd, input.data(), input.size());
  Expect(::close(fd) == 0 && written == static_cast<ssize_t>(input.size()),
         "the input is written to a file");
  auto file = checkpoint::File::Open(path);
  Expect(file.ok(), "the input is opened");
  return *std::move(file);
}

}  // namespace sinkwatch::fuzz

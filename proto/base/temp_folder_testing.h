#ifndef SINKWATCH_PROTO_BASE_TEMP_FOLDER_TESTING_H_
#define SINKWATCH_PROTO_BASE_TEMP_FOLDER_TESTING_H_

#include <string>

namespace sinkwatch::base {

// A folder of a test's own, removed with all it holds at the end.
class TempFolder {
 public:
  TempFolder();  // fails the test if there can be none
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` in it.
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_TEMP_FOLDER_TESTING_H_

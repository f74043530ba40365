#ifndef SINKWATCH_SERVER_DISCOVERY_TEMP_FOLDER_H_
#define SINKWATCH_SERVER_DISCOVERY_TEMP_FOLDER_H_

#include <string>

#include "absl/time/time.h"

namespace sinkwatch::discovery {

// For tests: a folder of its own that is deleted with everything in it. The
// methods take paths relative to it and fail the test if they cannot.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

  // Writes a file, and the folders on the way to it.
  void Write(const std::string& name, const std::string& text) const;
  void SetTime(const std::string& name, absl::Time time) const;
  void MakeFolder(const std::string& name) const;
  void Rename(const std::string& from, const std::string& to) const;
  void Link(const std::string& target, const std::string& name) const;
  void Delete(const std::string& name) const;

  // config.json and model.safetensors, of few bytes.
  void WriteCheckpoint(const std::string& folder) const;
  // A probe.json that the server takes.
  void WriteProbe(const std::string& folder) const;

 private:
  std::string path_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_TEMP_FOLDER_H_

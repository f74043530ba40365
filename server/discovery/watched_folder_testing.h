#ifndef SINKWATCH_SERVER_DISCOVERY_WATCHED_FOLDER_TESTING_H_
#define SINKWATCH_SERVER_DISCOVERY_WATCHED_FOLDER_TESTING_H_

#include <string>

#include "absl/time/time.h"
#include "proto/base/temp_folder_testing.h"
#include "sinkwatch/v1/config.pb.h"

namespace sinkwatch::discovery {

// A folder that a test lets the server look into. The methods take paths
// relative to it and fail the test if they cannot.
class WatchedFolder : public base::TempFolder {
 public:
  std::string Path(const std::string& name) const { return *this / name; }

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
  // A run of float32 with the probe "probe", a grace time of 120 s, and no
  // quiescence. Makes both folders.
  v1::RunConfig MakeRun(const std::string& name, const std::string& root) const;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_WATCHED_FOLDER_TESTING_H_

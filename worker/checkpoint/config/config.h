#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_CONFIG_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_CONFIG_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "worker/files/fields.h"

namespace sinkwatch::checkpoint {

// The most that is read of a config: the lists of data files in OLMo-core's
// reach a megabyte.
inline constexpr int64_t kMaxConfigBytes = 4 << 20;

// A checkpoint's config.json, read once. Immutable, so safe to share between
// threads.
//
// Codes of Read and Parse: FAILED_PRECONDITION (file not there yet, empty, or
// ends in the middle of its JSON), DATA_LOSS (not JSON, a key twice),
// UNIMPLEMENTED (a file beyond our limits), NOT_FOUND (folder is gone),
// UNAVAILABLE (read error).
class Config {
 public:
  // Reads `path`, at most kMaxConfigBytes and 32 levels deep.
  static absl::StatusOr<Config> Read(const std::string& path);
  // The same from text; `path` is used in errors only.
  static absl::StatusOr<Config> Parse(const std::string& path,
                                      const std::string& text);
  // Of keys that somebody has read; `json` is an object.
  static Config Of(std::string path, nlohmann::json json);

  const std::string& path() const { return path_; }
  const nlohmann::json& json() const { return json_; }

  // Whether `key` is there and not null.
  bool Has(const std::string& key) const;

  // The keys, to be taken checked; its errors begin with the path. The config
  // outlives it.
  files::Fields fields() const;

 private:
  Config(std::string path, nlohmann::json json);

  std::string path_;
  nlohmann::json json_;
};

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_CONFIG_H_

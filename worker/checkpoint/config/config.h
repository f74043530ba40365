#ifndef SINKWATCH_WORKER_CHECKPOINT_CONFIG_CONFIG_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONFIG_CONFIG_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::checkpoint {

// The most that is read of a config: the lists of data files in OLMo-core's
// reach a megabyte.
inline constexpr int64_t kMaxConfigBytes = 4 << 20;

// A checkpoint's config.json, read once, with checked access to its keys.
// Every error names the file, the key and the rule it broke. Immutable, so
// safe to share between threads.
//
// Codes: FAILED_PRECONDITION (file not there yet, empty, or ends in the middle
// of its JSON), DATA_LOSS (not JSON, a key twice), UNIMPLEMENTED (a value
// nobody implements, or a file beyond our limits), NOT_FOUND (folder is gone),
// UNAVAILABLE (read error). A missing required key or one of the wrong type or
// out of range is DATA_LOSS.
class Config {
 public:
  // Reads `path`, at most kMaxConfigBytes and 32 levels deep.
  static absl::StatusOr<Config> Read(const std::string& path);
  // The same from text; `path` is used in errors only.
  static absl::StatusOr<Config> Parse(const std::string& path,
                                      const std::string& text);

  const std::string& path() const { return path_; }
  const nlohmann::json& json() const { return json_; }

  // architectures[0]; where that is absent, by model_type. UNIMPLEMENTED if
  // neither is there.
  absl::StatusOr<std::string> Architecture() const;

  // Whether `key` is there and not null.
  bool Has(const std::string& key) const;

  // A required integer in [low, high].
  absl::StatusOr<int64_t> Int(const std::string& key, int64_t low,
                              int64_t high) const;
  // The same, `fallback` where the key is absent or null.
  absl::StatusOr<int64_t> IntOr(const std::string& key, int64_t low,
                                int64_t high, int64_t fallback) const;
  // A finite number > 0, `fallback` where the key is absent or null.
  absl::StatusOr<double> PositiveOr(const std::string& key,
                                    double fallback) const;
  absl::StatusOr<bool> BoolOr(const std::string& key, bool fallback) const;
  absl::StatusOr<std::string> StringOr(const std::string& key,
                                       const std::string& fallback) const;

  // The object under `key` as a config of its own, whose errors name `key` too;
  // an empty one where the key is absent or null.
  absl::StatusOr<Config> Section(const std::string& key) const;

  // Errors of the file's content, with its path: UNIMPLEMENTED, "`what` is not
  // implemented", and DATA_LOSS, `what`. Quote (strict_json.h) what comes from
  // the file.
  absl::Status Unsupported(const std::string& what) const;
  absl::Status Contradiction(const std::string& what) const;

 private:
  Config(std::string path, nlohmann::json json);

  std::string path_;
  nlohmann::json json_;
};

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONFIG_CONFIG_H_

#ifndef SINKWATCH_WORKER_EXECUTOR_TINY_RUN_TESTING_H_
#define SINKWATCH_WORKER_EXECUTOR_TINY_RUN_TESTING_H_

#include <cstdint>
#include <string>

#include "nlohmann/json.hpp"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"
#include "worker/model/model_testing.h"

namespace sinkwatch::executor {

inline constexpr int64_t kTinyVocabulary = 19;
inline constexpr int64_t kTinySequences = 5;
inline constexpr int64_t kTinyTokens = 13;

// Two layers, four heads on two key/value heads, width 16.
nlohmann::json TinyLlama();

// A random checkpoint in `run/step7` and a probe of two domains in `probe`,
// gone with the object.
class TinyRun {
 public:
  explicit TinyRun(const nlohmann::json& config = TinyLlama());

  std::string checkpoint() const { return folder_ / "run/step7"; }
  std::string probe() const { return folder_ / "probe"; }
  std::string file(const std::string& name) const { return folder_ / name; }

  const model::Weights& weights() const { return weights_; }

  // Replaces the checkpoint's folder by one of these weights.
  void WriteAgain(const model::Weights& weights);
  // Replaces the probe by one of this vocabulary and length.
  void WriteProbeAgain(int64_t vocabulary, int64_t tokens);

 private:
  const base::TempFolder folder_;
  const nlohmann::json config_;
  model::Weights weights_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_TINY_RUN_TESTING_H_

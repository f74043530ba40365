#ifndef SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_PRESET_H_
#define SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_PRESET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::bigram_backcopy {

// A training that is known to show something.
struct Preset {
  std::string name;
  std::string shows;      // one line for --help
  nlohmann::json config;  // config.json of its checkpoints
  std::string optimizer;  // "adamw" or "sgd"
  double learning_rate = 0;
  int64_t steps = 0;
  int64_t warm_up = 0;  // steps of linear warm-up
  bool cosine = false;  // then half a cosine down to 0
  std::vector<int64_t> checkpoints;
  bool bos = true;  // sequences begin with <s>
  // Tensors whose names hold one of these are trained no more from that step
  // on: what becomes of the one part if the other is held.
  std::vector<std::string> freeze = {};
  int64_t freeze_from = 0;
};

// Length of a sequence and sequences of a training batch, of every preset.
inline constexpr int64_t kLength = 48;
inline constexpr int64_t kBatch = 32;

const std::vector<Preset>& Presets();

// INVALID_ARGUMENT lists the names there are.
absl::StatusOr<Preset> FindPreset(const std::string& name);

}  // namespace sinkwatch::bigram_backcopy

#endif  // SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_PRESET_H_

#ifndef SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TRAINER_H_
#define SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TRAINER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ATen/core/Tensor.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/examples/bigram_backcopy/preset.h"
#include "worker/examples/bigram_backcopy/task.h"
#include "worker/model/architecture.h"

namespace sinkwatch::bigram_backcopy {

// Trains one model on the task, a fresh batch a step, through the very Embed,
// Block and Logits that a worker measures with.
//
// Thread-compatible. The same preset and seed give the same run on one machine
// and BLAS; elsewhere, the same statistics.
class Trainer {
 public:
  // UNIMPLEMENTED or DATA_LOSS as CreateArchitecture. INVALID_ARGUMENT for a
  // name in Preset::freeze that no tensor holds.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const Preset& preset,
                                                         uint64_t seed);
  ~Trainer();

  // One step of the optimizer; the loss before it (nats a token).
  double Step();

  // Mean next-token cross-entropy on given sequences (nats a token).
  double Loss(const at::Tensor& tokens_NT) const;

  // Writes the weights as they are: `folder`/config.json, model.safetensors.
  absl::Status Save(const std::string& folder) const;

 private:
  struct Optimizer;

  Trainer(Preset preset, uint64_t seed,
          std::unique_ptr<model::Architecture> architecture);

  void InitialiseWeights(uint64_t seed);
  at::Tensor Logits(const at::Tensor& tokens_BT) const;
  model::TensorMap Part(const std::vector<model::TensorSpec>& specs) const;
  double LearningRate() const;
  // Tensors whose names hold `part`.
  std::vector<std::string> NamesWith(const std::string& part) const;
  void Freeze();

  const Preset preset_;
  const std::unique_ptr<model::Architecture> architecture_;
  const Task task_;
  std::mt19937_64 random_;
  std::map<std::string, at::Tensor> weights_;  // by checkpoint name
  std::unique_ptr<Optimizer> optimizer_;
  int64_t steps_done_ = 0;
};

}  // namespace sinkwatch::bigram_backcopy

#endif  // SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TRAINER_H_

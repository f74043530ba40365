// Writes the logits of a checkpoint over a probe, in float32 on the CPU, as the
// numbers' bytes, domain after domain:
//   logits CHECKPOINT PROBE > FILE
#include <cstdio>
#include <memory>
#include <vector>

#include "ATen/core/Tensor.h"
#include "ATen/core/grad_mode.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/base/status_macros.h"
#include "proto/base/stderr_log.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/weight_source.h"
#include "worker/model/architecture.h"
#include "worker/model/recorder.h"
#include "worker/model/registry.h"
#include "worker/probe/corpus.h"

namespace sinkwatch {
namespace {

absl::StatusOr<model::TensorMap> Load(
    checkpoint::Checkpoint& checkpoint,
    const std::vector<model::TensorSpec>& specs) {
  model::TensorMap weights;
  for (const model::TensorSpec& spec : specs) {
    ASSIGN_OR_RETURN(at::Tensor weight, executor::ReadWeight(checkpoint, spec));
    weights[spec.name] = weight.to(at::kFloat);
  }
  return weights;
}

absl::StatusOr<at::Tensor> LogitsOf(checkpoint::Checkpoint& checkpoint,
                                    const model::Architecture& model,
                                    const at::Tensor& tokens_BT) {
  model::NullRecorder recorder;
  ASSIGN_OR_RETURN(model::TensorMap weights,
                   Load(checkpoint, model.EmbeddingTensors()));
  at::Tensor x_BTD = model.Embed(weights, tokens_BT);
  for (int layer = 0; layer < model.shape().layers; ++layer) {
    ASSIGN_OR_RETURN(weights, Load(checkpoint, model.LayerTensors(layer)));
    x_BTD = model.Block(layer, weights, x_BTD, recorder);
  }
  ASSIGN_OR_RETURN(weights, Load(checkpoint, model.HeadTensors()));
  return model.Logits(weights, x_BTD).to(at::kFloat).contiguous();
}

absl::Status Run(const char* folder, const char* probe) {
  const at::NoGradGuard no_grad;
  ASSIGN_OR_RETURN(const auto checkpoint, checkpoint::Checkpoint::Open(folder));
  ASSIGN_OR_RETURN(const auto model,
                   model::CreateArchitecture(checkpoint->config()));
  ASSIGN_OR_RETURN(const probe::Corpus corpus, probe::Corpus::Read(probe));
  for (const probe::Domain& domain : corpus.domains()) {
    ASSIGN_OR_RETURN(const at::Tensor logits,
                     LogitsOf(*checkpoint, *model, domain.tokens_NT));
    std::fwrite(logits.data_ptr<float>(), sizeof(float), logits.numel(),
                stdout);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace sinkwatch

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: logits CHECKPOINT PROBE > FILE\n");
    return 2;
  }
  // Standard output is for logits; reading a checkpoint logs warnings.
  sinkwatch::base::LogToStderr("logits");
  const absl::Status status = sinkwatch::Run(argv[1], argv[2]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

#include "worker/examples/bigram_backcopy/trainer.h"

#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <cmath>
#include <utility>
#include <vector>

#include "ATen/core/grad_mode.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "worker/checkpoint/config/config.h"
#include "worker/checkpoint/writer.h"
#include "worker/model/recorder.h"
#include "worker/model/registry.h"

namespace sinkwatch::bigram_backcopy {
namespace {

constexpr double kTrainingTriggerShare = 0.25;
constexpr double kWeightDecay = 1e-4;
constexpr double kMomentum = 0.9;
constexpr double kPi = 3.14159265358979323846;

// As PyTorch initialises Embedding, LayerNorm and Linear without bias.
at::Tensor InitialWeight(const model::TensorSpec& spec) {
  const at::Tensor weight = torch::empty(spec.shape);
  const std::string& name = spec.checkpoint_name();
  if (absl::StrContains(name, "embed_")) return weight.normal_(0, 1);
  if (absl::EndsWith(name, ".bias")) return weight.zero_();
  if (spec.shape.size() == 1) return weight.fill_(1);
  const double bound = 1 / std::sqrt(static_cast<double>(spec.shape[1]));
  return weight.uniform_(-bound, bound);
}

}  // namespace

struct Trainer::Optimizer {
  std::unique_ptr<torch::optim::Optimizer> steps;
};

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const Preset& preset,
                                                         uint64_t seed) {
  const auto config =
      checkpoint::Config::Parse("config.json", preset.config.dump());
  if (!config.ok()) return config.status();
  auto architecture = model::CreateArchitecture(*config);
  if (!architecture.ok()) return architecture.status();
  std::unique_ptr<Trainer> trainer(
      new Trainer(preset, seed, *std::move(architecture)));
  for (const std::string& part : preset.freeze) {
    if (trainer->NamesWith(part).empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--freeze: no tensor has \"", part, "\" in its name"));
    }
  }
  return trainer;
}

Trainer::Trainer(Preset preset, uint64_t seed,
                 std::unique_ptr<model::Architecture> architecture)
    : preset_(std::move(preset)),
      architecture_(std::move(architecture)),
      task_(kTrainingTriggerShare),
      random_(seed),
      optimizer_(std::make_unique<Optimizer>()) {
  InitialiseWeights(seed);
  std::vector<at::Tensor> parameters;
  for (const auto& [name, weight] : weights_) parameters.push_back(weight);
  if (preset_.optimizer == "sgd") {
    optimizer_->steps = std::make_unique<torch::optim::SGD>(
        parameters, torch::optim::SGDOptions(preset_.learning_rate)
                        .momentum(kMomentum)
                        .weight_decay(kWeightDecay));
  } else {
    optimizer_->steps = std::make_unique<torch::optim::AdamW>(
        parameters, torch::optim::AdamWOptions(preset_.learning_rate)
                        .betas({0.9, 0.99})
                        .eps(1e-8)
                        .weight_decay(kWeightDecay));
  }
}

Trainer::~Trainer() = default;

void Trainer::InitialiseWeights(uint64_t seed) {
  torch::manual_seed(seed);
  std::vector<model::TensorSpec> specs = architecture_->EmbeddingTensors();
  for (int layer = 0; layer < architecture_->shape().layers; ++layer) {
    const auto more = architecture_->LayerTensors(layer);
    specs.insert(specs.end(), more.begin(), more.end());
  }
  const auto head = architecture_->HeadTensors();
  specs.insert(specs.end(), head.begin(), head.end());
  for (const model::TensorSpec& spec : specs) {
    weights_[spec.checkpoint_name()] = InitialWeight(spec).requires_grad_(true);
  }
}

model::TensorMap Trainer::Part(
    const std::vector<model::TensorSpec>& specs) const {
  model::TensorMap part;
  for (const model::TensorSpec& spec : specs) {
    part[spec.name] = weights_.at(spec.checkpoint_name());
  }
  return part;
}

at::Tensor Trainer::Logits(const at::Tensor& tokens_BT) const {
  model::NullRecorder nobody;
  at::Tensor x_BTD =
      architecture_->Embed(Part(architecture_->EmbeddingTensors()), tokens_BT);
  for (int layer = 0; layer < architecture_->shape().layers; ++layer) {
    x_BTD = architecture_->Block(
        layer, Part(architecture_->LayerTensors(layer)), x_BTD, nobody);
  }
  return architecture_->Logits(Part(architecture_->HeadTensors()), x_BTD);
}

double Trainer::LearningRate() const {
  const double step = static_cast<double>(steps_done_);
  double rate = preset_.learning_rate;
  if (steps_done_ < preset_.warm_up) {
    rate *= (step + 1) / static_cast<double>(preset_.warm_up);
  }
  if (preset_.cosine) {
    rate *= 0.5 * (1 + std::cos(kPi * step / preset_.steps));
  }
  return rate;
}

std::vector<std::string> Trainer::NamesWith(const std::string& part) const {
  std::vector<std::string> names;
  for (const auto& [name, weight] : weights_) {
    if (absl::StrContains(name, part)) names.push_back(name);
  }
  return names;
}

// A parameter without a gradient is left alone by the optimizers, decay and
// momentum included.
void Trainer::Freeze() {
  for (const std::string& part : preset_.freeze) {
    for (const std::string& name : NamesWith(part)) {
      at::Tensor& weight = weights_.at(name);
      weight.requires_grad_(false);
      weight.mutable_grad().reset();
    }
  }
}

double Trainer::Step() {
  if (steps_done_ == preset_.freeze_from) Freeze();
  for (auto& group : optimizer_->steps->param_groups()) {
    group.options().set_lr(LearningRate());
  }
  const at::Tensor tokens_BT =
      preset_.bos ? task_.Draw(kBatch, kLength + 1, random_)
                  : task_.Draw(kBatch, kLength + 2, random_).slice(1, 1);
  const at::Tensor logits_BTV = Logits(tokens_BT.slice(1, 0, kLength));
  const at::Tensor loss = torch::cross_entropy_loss(
      logits_BTV.flatten(0, 1), tokens_BT.slice(1, 1).flatten());
  optimizer_->steps->zero_grad();
  loss.backward();
  optimizer_->steps->step();
  ++steps_done_;
  return loss.item<double>();
}

double Trainer::Loss(const at::Tensor& tokens_NT) const {
  const at::NoGradGuard no_grad;
  const int64_t rows = tokens_NT.size(1) - 1;
  const at::Tensor logits_NTV = Logits(tokens_NT).slice(1, 0, rows);
  return torch::cross_entropy_loss(logits_NTV.flatten(0, 1).to(at::kDouble),
                                   tokens_NT.slice(1, 1).flatten())
      .item<double>();
}

absl::Status Trainer::Save(const std::string& folder) const {
  std::map<std::string, at::Tensor> detached;
  for (const auto& [name, weight] : weights_) detached[name] = weight.detach();
  return checkpoint::WriteCheckpoint(folder, preset_.config, detached);
}

}  // namespace sinkwatch::bigram_backcopy

#include "worker/executor/ablation_budget.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace sinkwatch::executor {
namespace {

double MachineSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Elements of the matrices: what a token is multiplied by.
double WorkOf(const std::vector<model::TensorSpec>& specs) {
  double work = 0;
  for (const model::TensorSpec& spec : specs) {
    if (spec.shape.size() < 2) continue;
    work += std::accumulate(spec.shape.begin(), spec.shape.end(), 1.0,
                            std::multiplies<double>());
  }
  return work;
}

}  // namespace

AblationBudget::AblationBudget(const model::Architecture& architecture,
                               int64_t sequences, std::optional<double> share,
                               std::function<double()> seconds)
    : share_(share),
      seconds_(seconds ? std::move(seconds) : MachineSeconds),
      sequences_(sequences) {
  const int layers = architecture.shape().layers;
  from_.assign(layers + 1, WorkOf(architecture.HeadTensors()));
  for (int layer = layers - 1; layer >= 0; --layer) {
    from_[layer] = from_[layer + 1] + WorkOf(architecture.LayerTensors(layer));
  }
  left_ = share_.value_or(0) * from_[0] * static_cast<double>(sequences);
  started_ = seconds_();
}

double AblationBudget::WorkFrom(int layer) const { return from_[layer]; }

int64_t AblationBudget::SequencesOf(int64_t variants) const {
  if (!share_ || variants == 0) return sequences_;
  const size_t layers = std::max<size_t>(1, from_.size() - 1);
  const double mean =
      std::accumulate(from_.begin(), from_.begin() + layers, 0.0) /
      static_cast<double>(layers);
  const double many = left_ / (mean * static_cast<double>(variants));
  return std::min(sequences_, static_cast<int64_t>(std::floor(many)));
}

bool AblationBudget::Take(int64_t sequences, int layer) {
  if (!share_) return true;
  const double cost = static_cast<double>(sequences) * WorkFrom(layer);
  if (cost > left_) return false;
  left_ -= cost;
  return true;
}

void AblationBudget::Enter() { entered_ = seconds_(); }

void AblationBudget::Leave() { spent_ += seconds_() - entered_; }

void AblationBudget::Did(int64_t sequences, int layer) {
  work_done_ +=
      static_cast<double>(sequences) * (WorkFrom(layer) - WorkFrom(layer + 1));
}

bool AblationBudget::IsInTime(int layer, int64_t alive_sequences) const {
  if (!share_ || work_done_ == 0) return true;
  const double own = entered_ - started_ - spent_;
  const double spent = spent_ + (seconds_() - entered_);
  const double share_done = (WorkFrom(0) - WorkFrom(layer + 1)) / WorkFrom(0);
  const double own_in_all = own / share_done;
  const double to_come = spent / work_done_ *
                         static_cast<double>(alive_sequences) *
                         WorkFrom(layer + 1);
  return spent + to_come <= *share_ * own_in_all;
}

}  // namespace sinkwatch::executor

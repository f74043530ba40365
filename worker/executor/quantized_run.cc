#include "worker/executor/quantized_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/constant_pad_nd.h"
#include "absl/strings/str_cat.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/side_metrics.h"

namespace sinkwatch::executor {
namespace {

constexpr int64_t kGroup = 128;  // inputs that share a scale

std::string NameOf(int bits) {
  return absl::StrCat(metrics::kQuantDelta, "w", bits);
}

// Matrices and stacks of them; norms, biases and learned sinks stay.
model::TensorMap Rounded(const model::TensorMap& weights, int bits) {
  model::TensorMap rounded = weights;
  for (auto& [name, weight] : rounded) {
    if (weight.dim() >= 2) weight = RoundedToBits(weight, bits);
  }
  return rounded;
}

// CE_q / CE - 1 over the rows of all sequences.
std::optional<metrics::Estimate> RelativeRise(const at::Tensor& changed_BR,
                                              const at::Tensor& plain_BR) {
  metrics::Accumulator ratio(metrics::Reduction::kRatio, 1);
  const auto sum = [](const at::Tensor& x_BR) {
    return x_BR.to(at::kDouble).sum(1).to(at::kCPU).contiguous();
  };
  const at::Tensor changed_B = sum(changed_BR), plain_B = sum(plain_BR);
  const double rows = static_cast<double>(plain_BR.size(1));
  for (int64_t b = 0; b < plain_B.numel(); ++b) {
    ratio.Add(0, {changed_B.const_data_ptr<double>()[b], rows,
                  plain_B.const_data_ptr<double>()[b], rows});
  }
  std::optional<metrics::Estimate> rise = ratio.Finish(0);
  if (rise) rise->value -= 1;
  return rise;
}

}  // namespace

at::Tensor RoundedToBits(const at::Tensor& weight, int bits) {
  const int64_t columns = weight.size(-1);
  const int64_t group = std::min(kGroup, columns);
  const int64_t pad = (group - columns % group) % group;
  const at::Tensor runs = at::constant_pad_nd(weight.to(at::kFloat), {0, pad})
                              .unflatten(-1, {(columns + pad) / group, group});
  // A run of zeros stays one. Levels as a tensor, and each weight divided once:
  // weights of few bits lie halfway between two levels often enough, and then a
  // GPU, which divides by a number by multiplying with its inverse, would take
  // another than the CPU.
  const at::Tensor most =
      runs.abs().amax(-1, /*keepdim=*/true).clamp_min(1e-30);
  const at::Tensor levels =
      runs.new_full({1}, static_cast<double>((1 << (bits - 1)) - 1));
  return runs.mul(levels)
      .div(most)
      .round()
      .mul(most)
      .div(levels)
      .flatten(-2)
      .slice(-1, 0, columns)
      .to(weight.scalar_type());
}

QuantizedRun::QuantizedRun(const model::Architecture& architecture,
                           const std::vector<PickedDomain>& domains,
                           const std::vector<std::string>& metrics,
                           at::Device device, const PickedStream& plain)
    : domains_(domains), plain_(plain) {
  for (int bits : {4, 8}) {
    if (!metrics::AsksFor(metrics, NameOf(bits))) continue;
    streams_.push_back({bits, PickedStream(architecture, domains_, device)});
  }
}

void QuantizedRun::RunLayer(int layer, const model::TensorMap& weights) {
  for (Stream& rounded : streams_) {
    if (!rounded.stream.has_begun()) rounded.stream.Begin(plain_.x_PTD());
    status_.Update(
        rounded.stream.RunLayer(layer, Rounded(weights, rounded.bits)));
  }
}

void QuantizedRun::AddHeadSlice(const model::TensorMap& head, int64_t first) {
  for (Stream& rounded : streams_) rounded.stream.AddHeadSlice(head, first);
}

absl::StatusOr<std::vector<metrics::MetricVector>> QuantizedRun::Finish() {
  if (!status_.ok()) return status_;
  std::vector<metrics::MetricVector> values;
  for (const Stream& rounded : streams_) {
    for (size_t d = 0; d < domains_.size(); ++d) {
      const auto rise = RelativeRise(rounded.stream.loss(d).Finish(),
                                     plain_.loss(d).Finish());
      if (!rise) continue;
      metrics::MetricVector vector;
      vector.domain = domains_[d].label;
      vector.metric = NameOf(rounded.bits);
      vector.values = {static_cast<float>(rise->value)};
      vector.standard_error = {static_cast<float>(rise->standard_error)};
      vector.count = domains_[d].tokens_PT.size(0);
      values.push_back(std::move(vector));
    }
  }
  return CheckedFinite(std::move(values));
}

}  // namespace sinkwatch::executor

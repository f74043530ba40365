#include "worker/executor/quantized_run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/constant_pad_nd.h"
#include "absl/strings/str_cat.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/side_metrics.h"
#include "worker/model/recorder.h"

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
  const double levels = (1 << (bits - 1)) - 1;
  // A run of zeros stays one.
  const at::Tensor scale =
      runs.abs().amax(-1, /*keepdim=*/true).div(levels).clamp_min(1e-30);
  return runs.div(scale)
      .round()
      .mul(scale)
      .flatten(-2)
      .slice(-1, 0, columns)
      .to(weight.scalar_type());
}

QuantizedRun::QuantizedRun(const model::Architecture& architecture,
                           std::vector<PickedDomain> domains,
                           const std::vector<std::string>& metrics,
                           at::Device device)
    : architecture_(architecture), domains_(std::move(domains)) {
  for (int bits : {0, 4, 8}) {
    if (bits > 0 && !metrics::AsksFor(metrics, NameOf(bits))) continue;
    Stream stream;
    stream.bits = bits;
    for (const PickedDomain& domain : domains_) {
      stream.losses.emplace_back(domain.tokens_PT.to(device));
    }
    streams_.push_back(std::move(stream));
  }
}

void QuantizedRun::Start(const Embed& embed) {
  for (const PickedDomain& domain : domains_) {
    const at::Tensor x_BTD = embed(domain.tokens_PT);
    for (Stream& stream : streams_) stream.x_BTD.push_back(x_BTD);
  }
}

void QuantizedRun::RunLayer(int layer, const model::TensorMap& weights) {
  model::NullRecorder recorder;
  for (Stream& stream : streams_) {
    const model::TensorMap used =
        stream.bits > 0 ? Rounded(weights, stream.bits) : weights;
    for (at::Tensor& x_BTD : stream.x_BTD) {
      x_BTD = architecture_.Block(layer, used, x_BTD, recorder);
    }
  }
}

void QuantizedRun::AddHeadSlice(const model::TensorMap& head, int64_t first) {
  for (Stream& stream : streams_) {
    for (size_t d = 0; d < domains_.size(); ++d) {
      stream.losses[d].AddSlice(architecture_, head, first, stream.x_BTD[d]);
    }
  }
}

absl::StatusOr<std::vector<metrics::MetricVector>> QuantizedRun::Finish() {
  std::vector<metrics::MetricVector> values;
  for (size_t i = 1; i < streams_.size(); ++i) {
    for (size_t d = 0; d < domains_.size(); ++d) {
      const auto rise = RelativeRise(streams_[i].losses[d].Finish(),
                                     streams_[0].losses[d].Finish());
      if (!rise) continue;
      metrics::MetricVector vector;
      vector.domain = domains_[d].label;
      vector.metric = NameOf(streams_[i].bits);
      vector.values = {static_cast<float>(rise->value)};
      vector.standard_error = {static_cast<float>(rise->standard_error)};
      vector.count = domains_[d].tokens_PT.size(0);
      values.push_back(std::move(vector));
    }
  }
  return CheckedFinite(std::move(values));
}

}  // namespace sinkwatch::executor

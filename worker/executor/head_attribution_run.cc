#include "worker/executor/head_attribution_run.h"

#include <algorithm>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/constant_pad_nd.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "c10/core/InferenceMode.h"
#include "worker/executor/even_picks.h"
#include "worker/metrics/accumulator.h"
#include "worker/metrics/side_metrics.h"
#include "worker/model/intervention.h"

namespace sinkwatch::executor {
namespace {

using metrics::MetricVector;

// Multiplies what each head of each sequence gives by 1, so that the slope of
// the loss in that factor is sum_t <dCE/dz_t, z_t>.
class ScaledHeads final : public model::Intervention {
 public:
  at::Tensor HeadOutput(const model::AttentionInputs& /*attention*/,
                        const at::Tensor& z_BHTE) override {
    factor_BH11 =
        at::ones({z_BHTE.size(0), z_BHTE.size(1), 1, 1}, z_BHTE.options());
    factor_BH11.set_requires_grad(true);
    return z_BHTE * factor_BH11;
  }

  at::Tensor factor_BH11;  // undefined: the layer has no heads
};

// Tensors that may be in a graph, unlike those of an InferenceMode.
model::TensorMap Copied(const model::TensorMap& weights) {
  model::TensorMap copied;
  for (const auto& [name, weight] : weights) copied[name] = weight.clone();
  return copied;
}

at::Tensor Leaf(const at::Tensor& x) {
  at::Tensor leaf = x.clone();
  leaf.set_requires_grad(true);
  return leaf;
}

}  // namespace

HeadAttributionRun::HeadAttributionRun(const model::Architecture& architecture,
                                       const std::vector<PickedDomain>& domains,
                                       std::vector<std::string> metrics,
                                       int64_t tokens_per_batch,
                                       const PickedStream& plain,
                                       int64_t max_kept_bytes)
    : architecture_(architecture),
      domains_(domains),
      metrics_(std::move(metrics)),
      tokens_per_batch_(tokens_per_batch),
      plain_(plain),
      max_kept_bytes_(max_kept_bytes),
      streams_(domains.size()) {}

void HeadAttributionRun::Keep() {
  const int64_t layers = architecture_.shape().layers;
  int64_t bytes = 0;  // of a sequence of each domain
  for (const at::Tensor& x_PTD : plain_.x_PTD()) {
    bytes += (layers + 1) * static_cast<int64_t>(x_PTD[0].nbytes());
  }
  const int64_t share = std::max<int64_t>(1, max_kept_bytes_ / bytes);
  for (size_t d = 0; d < streams_.size(); ++d) {
    const at::Tensor& x_PTD = plain_.x_PTD()[d];
    const int64_t all = x_PTD.size(0);
    Stream& stream = streams_[d];
    if (!stream.pick_N.defined()) {
      stream.pick_N =
          at::tensor(EvenPicks(std::min(share, all), all), at::kLong)
              .to(x_PTD.device());
    }
    stream.entered_PTD.push_back(x_PTD.index_select(0, stream.pick_N));
  }
}

void HeadAttributionRun::RunLayer(int /*layer*/,
                                  const model::TensorMap& /*weights*/) {
  Keep();
}

void HeadAttributionRun::AddHeadSliceBack(const model::TensorMap& head,
                                          int64_t first) {
  const c10::InferenceMode off(false);
  if (rows_.empty()) {
    Keep();
    for (size_t d = 0; d < streams_.size(); ++d) StartRows(d);
  }
  const model::TensorMap copied = Copied(head);
  const int64_t columns = copied.at("lm_head").size(0);
  for (Rows& rows : rows_) {
    const int64_t all = rows.x_RD.size(0);
    const int64_t step = std::max<int64_t>(
        1, NextTokenLoss::LogitsPerBlock(rows.x_RD.device()) / columns);
    for (int64_t begin = 0; begin < all; begin += step) {
      AddRowsBack(copied, first, begin, std::min(begin + step, all), rows);
    }
  }
}

void HeadAttributionRun::StartRows(size_t domain) {
  const Stream& stream = streams_[domain];
  const NextTokenLoss& loss = plain_.loss(domain);
  const at::Tensor& tokens_PT = domains_[domain].tokens_PT;
  const auto kept = [&](const at::Tensor& of_all_R) {
    return of_all_R.view({tokens_PT.size(0), tokens_PT.size(1) - 1})
        .index_select(0, stream.pick_N)
        .flatten();
  };
  Rows rows;
  rows.x_RD = stream.entered_PTD.back().slice(1, 0, -1).flatten(0, 1);
  rows.log_sum_exp_R = kept(loss.log_sum_exp());
  rows.target_R = kept(loss.targets());
  rows.gradient_RD =
      at::zeros(rows.x_RD.sizes(), rows.x_RD.options().dtype(at::kFloat));
  rows_.push_back(std::move(rows));
}

void HeadAttributionRun::AddRowsBack(const model::TensorMap& head,
                                     int64_t first, int64_t begin, int64_t end,
                                     Rows& rows) const {
  const at::Tensor x_RD = Leaf(rows.x_RD.slice(0, begin, end));
  const at::Tensor logits_RV =
      architecture_.Logits(head, x_RD.unsqueeze(0)).squeeze(0);
  // dCE/ds: the probability, and 1 less of the column that is the target.
  at::Tensor slope_RV = (logits_RV.detach().to(at::kFloat) -
                         rows.log_sum_exp_R.slice(0, begin, end).unsqueeze(1))
                            .exp();
  const int64_t columns = slope_RV.size(1);
  const at::Tensor column_R = rows.target_R.slice(0, begin, end) - first;
  const at::Tensor here_R =
      column_R.ge(0).logical_and(column_R.lt(columns)).to(at::kFloat);
  slope_RV.scatter_add_(1, column_R.clamp(0, columns - 1).unsqueeze(1),
                        here_R.neg().unsqueeze(1));
  logits_RV.backward(slope_RV.to(logits_RV.scalar_type()));
  rows.gradient_RD.slice(0, begin, end).add_(x_RD.grad());
}

void HeadAttributionRun::RunLayerBack(int layer,
                                      const model::TensorMap& weights) {
  const c10::InferenceMode off(false);
  const model::TensorMap copied = Copied(weights);
  for (size_t d = 0; d < streams_.size(); ++d) {
    Stream& stream = streams_[d];
    if (!stream.gradient_PTD.defined()) {
      // The last token of a sequence has no next one.
      const at::Tensor& left_PTD = stream.entered_PTD.back();
      stream.gradient_PTD = at::constant_pad_nd(
          rows_[d].gradient_RD.view(
              {left_PTD.size(0), left_PTD.size(1) - 1, left_PTD.size(2)}),
          {0, 0, 0, 1});
    }
    const at::Tensor slope_PH = RunBack(layer, copied, stream);
    if (!slope_PH.defined()) continue;
    Append(metrics::kHeadAttribution, layer, d, slope_PH.neg());
    Append(absl::StrCat(metrics::kHeadAttribution, "_size"), layer, d,
           slope_PH.abs());
  }
}

at::Tensor HeadAttributionRun::RunBack(int layer,
                                       const model::TensorMap& weights,
                                       Stream& stream) const {
  const at::Tensor& entered_PTD = stream.entered_PTD[layer];
  const int64_t all = entered_PTD.size(0);
  // A graph holds about twice the activations of a pass.
  const int64_t step =
      std::max<int64_t>(1, tokens_per_batch_ / 2 / entered_PTD.size(1));
  std::vector<at::Tensor> slopes_BH, gradients_BTD;
  for (int64_t begin = 0; begin < all; begin += step) {
    const int64_t end = std::min(begin + step, all);
    const at::Tensor x_BTD = Leaf(entered_PTD.slice(0, begin, end));
    ScaledHeads heads;
    model::InterveningRecorder recorder(heads);
    const at::Tensor left_BTD =
        architecture_.Block(layer, weights, x_BTD, recorder);
    left_BTD.backward(
        stream.gradient_PTD.slice(0, begin, end).to(left_BTD.scalar_type()));
    gradients_BTD.push_back(x_BTD.grad().to(at::kFloat));
    if (!heads.factor_BH11.defined()) continue;
    slopes_BH.push_back(heads.factor_BH11.grad().flatten(1));
  }
  stream.gradient_PTD = at::cat(gradients_BTD);
  return slopes_BH.empty() ? at::Tensor() : at::cat(slopes_BH);
}

void HeadAttributionRun::Append(const std::string& metric, int layer,
                                size_t domain, const at::Tensor& value_PH) {
  if (!metrics::AsksFor(metrics_, metric)) return;
  const at::Tensor on_cpu_PH = value_PH.to(at::kCPU, at::kDouble).contiguous();
  const double* const values = on_cpu_PH.const_data_ptr<double>();
  const int64_t heads = on_cpu_PH.size(1);
  const auto rows = static_cast<double>(domains_[domain].tokens_PT.size(1) - 1);
  metrics::Accumulator mean(metrics::Reduction::kMean, heads);
  for (int64_t p = 0; p < on_cpu_PH.size(0); ++p) {
    for (int64_t h = 0; h < heads; ++h) {
      mean.Add(h, {values[p * heads + h], rows});
    }
  }
  MetricVector vector;
  vector.domain = domains_[domain].label;
  vector.metric = metric;
  vector.layer = layer;
  for (int64_t h = 0; h < heads; ++h) {
    const auto estimate = mean.Finish(h);
    if (!estimate) return;
    vector.values.push_back(static_cast<float>(estimate->value));
    vector.standard_error.push_back(
        static_cast<float>(estimate->standard_error));
  }
  vector.count = mean.count();
  values_.push_back(std::move(vector));
}

absl::StatusOr<std::vector<MetricVector>> HeadAttributionRun::Finish() {
  return CheckedFinite(std::move(values_));
}

}  // namespace sinkwatch::executor

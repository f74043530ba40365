#include "worker/executor/lens_run.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ATen/TensorOperators.h"
#include "ATen/ops/full_like.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/tensor.h"
#include "ATen/ops/where.h"
#include "ATen/ops/zeros.h"
#include "ATen/ops/zeros_like.h"
#include "absl/strings/str_cat.h"
#include "worker/executor/even_picks.h"
#include "worker/metrics/row_means.h"
#include "worker/metrics/side_metrics.h"

namespace sinkwatch::executor {
namespace {

using metrics::MetricVector;

// Evenly spaced rows of those that have a next token.
at::Tensor PickRows(int64_t tokens) {
  const int64_t all = tokens - 1, wanted = std::min(LensRun::kRows, all);
  return at::tensor(EvenPicks(wanted, all), at::kLong);
}

// The logits of those targets that are among the columns, else 0: [R] of [R,V].
at::Tensor TargetLogits(const at::Tensor& s_RV, const at::Tensor& target_R,
                        int64_t first) {
  const at::Tensor column_R = target_R - first;
  const at::Tensor here_R =
      column_R.ge(0).logical_and(column_R.lt(s_RV.size(1)));
  const at::Tensor logit_R =
      s_RV.gather(
              1, column_R.clamp_min(0).clamp_max(s_RV.size(1) - 1).unsqueeze(1))
          .squeeze(1);
  return at::where(here_R, logit_R, at::zeros_like(logit_R));
}

}  // namespace

LensRun::LensRun(const model::Architecture& architecture,
                 const std::vector<PickedDomain>& domains,
                 std::vector<std::string> metrics, at::Device device,
                 const PickedStream& plain)
    : architecture_(architecture),
      domains_(domains),
      metrics_(std::move(metrics)),
      plain_(plain) {
  for (const PickedDomain& domain : domains_) {
    Rows rows;
    rows.row_N = PickRows(domain.tokens_PT.size(1));
    rows.target_R =
        domain.tokens_PT.index_select(1, rows.row_N + 1).flatten().to(device);
    rows.row_N = rows.row_N.to(device);
    rows_.push_back(std::move(rows));
  }
}

void LensRun::Keep() {
  for (size_t d = 0; d < domains_.size(); ++d) {
    rows_[d].kept.push_back(
        plain_.x_PTD()[d].index_select(1, rows_[d].row_N).flatten(0, 1));
  }
}

void LensRun::RunLayer(int /*layer*/, const model::TensorMap& /*weights*/) {
  Keep();
}

void LensRun::StartSums(Rows& rows) {
  const int64_t L = static_cast<int64_t>(rows.kept.size());
  const at::Tensor zeros_LR = at::zeros(
      {L, rows.target_R.size(0)}, rows.kept[0].options().dtype(at::kFloat));
  rows.most_LR =
      at::full_like(zeros_LR, -std::numeric_limits<float>::infinity());
  rows.sum_LR = zeros_LR.clone();
  rows.weighted_LR = zeros_LR.clone();
  rows.crossed_LR = zeros_LR.clone();
  rows.target_logit_LR = zeros_LR.clone();
}

void LensRun::Fold(int64_t l, const at::Tensor& s_RV, const LastLayer& last,
                   int64_t first, Rows& rows) {
  const at::Tensor most_R = s_RV.amax(1).maximum(rows.most_LR[l]);
  const at::Tensor shrink_R = (rows.most_LR[l] - most_R).exp();
  const at::Tensor exp_RV = (s_RV - most_R.unsqueeze(1)).exp();
  rows.sum_LR[l].mul_(shrink_R).add_(exp_RV.sum(1));
  rows.weighted_LR[l].mul_(shrink_R).add_((exp_RV * s_RV).sum(1));
  rows.crossed_LR[l].mul_(last.shrink_R).add_((last.exp_RV * s_RV).sum(1));
  rows.target_logit_LR[l].add_(TargetLogits(s_RV, rows.target_R, first));
  rows.most_LR[l].copy_(most_R);
}

void LensRun::AddHeadSlice(const model::TensorMap& head, int64_t first) {
  const auto logits = [&](const at::Tensor& x_RD) {
    return architecture_.Logits(head, x_RD.unsqueeze(0))
        .squeeze(0)
        .to(at::kFloat);
  };
  if (!rows_.front().most_LR.defined()) {
    Keep();
    for (Rows& rows : rows_) StartSums(rows);
  }
  for (Rows& rows : rows_) {
    const int64_t last = rows.most_LR.size(0) - 1;
    const at::Tensor last_RV = logits(rows.kept[last]);
    const at::Tensor most_R = last_RV.amax(1).maximum(rows.most_LR[last]);
    const LastLayer of_last = {(last_RV - most_R.unsqueeze(1)).exp(),
                               (rows.most_LR[last] - most_R).exp()};
    for (int64_t l = 0; l < last; ++l) {
      Fold(l, logits(rows.kept[l]), of_last, first, rows);
    }
    Fold(last, last_RV, of_last, first, rows);
  }
}

void LensRun::Append(const Rows& rows, const std::string& label,
                     std::vector<MetricVector>& values) const {
  const int64_t L = rows.most_LR.size(0);
  const int64_t N = rows.row_N.size(0);
  const at::Tensor log_sum_LR = rows.most_LR + rows.sum_LR.log();
  const at::Tensor last_sum_R = rows.sum_LR[L - 1];
  const std::pair<const char*, at::Tensor> told[] = {
      {"ce", log_sum_LR - rows.target_logit_LR},
      {"entropy", log_sum_LR - rows.weighted_LR / rows.sum_LR},
      {"kl", (rows.weighted_LR[L - 1] / last_sum_R - log_sum_LR[L - 1]) -
                 (rows.crossed_LR / last_sum_R - log_sum_LR)}};
  for (const auto& [name, of_LR] : told) {
    const std::string metric = absl::StrCat(metrics::kLens, name);
    if (!metrics::AsksFor(metrics_, metric)) continue;
    for (int64_t l = 0; l < L; ++l) {
      metrics::RowMeans mean;
      mean.Fold(of_LR[l].view({-1, N}), {});
      const auto estimate = mean.Finish(0);
      if (!estimate) continue;
      MetricVector vector;
      vector.domain = label;
      vector.metric = metric;
      vector.layer = static_cast<int>(l) - 1;
      vector.values = {static_cast<float>(estimate->value)};
      vector.standard_error = {static_cast<float>(estimate->standard_error)};
      vector.count = mean.count(0);
      values.push_back(std::move(vector));
    }
  }
}

absl::StatusOr<std::vector<MetricVector>> LensRun::Finish() {
  std::vector<MetricVector> values;
  for (size_t d = 0; d < domains_.size(); ++d) {
    Append(rows_[d], domains_[d].label, values);
  }
  return CheckedFinite(std::move(values));
}

}  // namespace sinkwatch::executor

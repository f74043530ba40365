#include "worker/metrics/model_scalars.h"

#include "ATen/ops/bmm.h"
#include "c10/util/Exception.h"

namespace sinkwatch::metrics {
namespace {

constexpr float kDormantQueryFrac = 0.9f;
constexpr float kDormantValueRatio = 0.5f;

}  // namespace

std::vector<Descriptor> ModelDescriptors() {
  return {
      {"probe_loss", "nats", Scope::kModel,
       "Mean next-token cross-entropy on the probe: whether the model is the "
       "one it should be, and how good it is.",
       "mean over rows t >= 0 that have a next token of -ln p(token t+1 | "
       "tokens <= t)",
       "definition of the language-model loss"},
      {"sink_rate_030", "ratio", Scope::kModel,
       "Share of heads that are sink heads at the threshold 0.3 (Sink^eps).",
       "mean over layers and heads of sink_indicator_030",
       "Gu et al., arXiv 2410.10781"},
      {"dormant_head_frac", "ratio", Scope::kModel,
       "Share of heads that are dormant on this domain: nearly all queries on "
       "the sink, and the sink's value drained.",
       "share of (layer, head) with dormant_query_frac >= 0.9 and "
       "value_norm_ratio <= 0.5",
       "Guo et al., arXiv 2410.13835, claim 1, as a statistic of heads"},
  };
}

std::vector<std::string> LayerMetricsBehind(const std::string& model_metric) {
  if (model_metric == "sink_rate_030") return {"sink_indicator_030"};
  if (model_metric == "dormant_head_frac") {
    return {"dormant_query_frac", "value_norm_ratio"};
  }
  return {};
}

ModelScalars::ModelScalars(int64_t groups)
    : loss_(groups, Accumulator(Reduction::kMean, 1)) {}

void ModelScalars::FoldLoss(const at::Tensor& loss_BT,
                            const at::Tensor& groups_BTC) {
  at::Tensor loss_B1T = loss_BT.to(at::kDouble).unsqueeze(1);
  at::Tensor sum_BC =
      at::bmm(loss_B1T, groups_BTC).squeeze(1).to(at::kCPU).contiguous();
  at::Tensor rows_BC = groups_BTC.sum(1).to(at::kCPU).contiguous();
  const int64_t groups = static_cast<int64_t>(loss_.size());
  TORCH_CHECK(sum_BC.size(1) <= groups, "more row classes than names");
  const double* sum = sum_BC.const_data_ptr<double>();
  const double* rows = rows_BC.const_data_ptr<double>();
  for (int64_t i = 0; i < sum_BC.numel(); ++i) {
    loss_[i % sum_BC.size(1)].Add(0, {sum[i], rows[i]});
  }
}

void ModelScalars::AddIndicators(int layer, double sinks, int64_t heads) {
  const size_t sequence = next_sequence_[layer]++;
  if (sequence == indicators_.size()) indicators_.emplace_back();
  indicators_[sequence].sinks += sinks;
  indicators_[sequence].heads += static_cast<double>(heads);
}

void ModelScalars::AddHeads(const std::vector<float>& dormant_query_frac,
                            const std::vector<float>& value_norm_ratio) {
  for (size_t h = 0; h < dormant_query_frac.size(); ++h) {
    ++heads_;
    dormant_heads_ += dormant_query_frac[h] >= kDormantQueryFrac &&
                      value_norm_ratio[h] <= kDormantValueRatio;
  }
}

std::vector<ModelScalars::Value> ModelScalars::Finish() const {
  std::vector<Value> values;
  for (size_t group = 0; group < loss_.size(); ++group) {
    if (std::optional<Estimate> loss = loss_[group].Finish(0)) {
      values.push_back({"probe_loss", static_cast<int64_t>(group), *loss,
                        loss_[group].count()});
    }
  }
  Accumulator rate(Reduction::kMean, 1);
  for (const Indicators& sequence : indicators_) {
    rate.Add(0, {sequence.sinks, sequence.heads});
  }
  const int64_t sequences = static_cast<int64_t>(indicators_.size());
  if (std::optional<Estimate> estimate = rate.Finish(0)) {
    values.push_back({"sink_rate_030", 0, *estimate, sequences});
  }
  if (heads_ > 0) {
    const double share = static_cast<double>(dormant_heads_) / heads_;
    values.push_back({"dormant_head_frac", 0, {share, 0}, heads_});
  }
  return values;
}

}  // namespace sinkwatch::metrics

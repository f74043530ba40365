// The table of metrics of model scope.
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/metrics/model_scalars.h"

namespace sinkwatch::metrics {
namespace {

// The last bucket of loss by position begins here: longer than any probe.
constexpr int64_t kLastBucket = 16384;
constexpr char kFree[] = "a sum over losses that there are";

Descriptor OnRequest(Descriptor descriptor) {
  descriptor.scope = Scope::kModel;
  descriptor.on_request = true;
  descriptor.cost = kFree;
  return descriptor;
}

ModelMetric LossFrom(int64_t first) {
  ModelMetric metric;
  metric.descriptor = OnRequest(
      {absl::StrCat("probe_loss_from_", first), "nats", Scope::kModel,
       first == 1 ? "Loss of the first predicted token: what a model knows "
                    "without context."
                  : absl::StrCat("Loss of the predicted tokens ", first, " to ",
                                 2 * first - 1,
                                 " of a sequence: what so much context gives."),
       absl::StrCat("mean over predicted tokens ", first, " to ", 2 * first - 1,
                    " of -ln p(token | tokens before it); token 0 is not "
                    "predicted"),
       "loss by position, after Olsson et al., arXiv 2209.11895"});
  metric.tokens = TokensAt{first, 2 * first - 1};
  return metric;
}

ModelMetric InContextScore() {
  ModelMetric metric;
  metric.descriptor = OnRequest(
      {"in_context_score", "nats", Scope::kModel,
       "How much better the 500th token is predicted than the 50th: what the "
       "model learns within a sequence.",
       "mean over sequences of the loss of token 50 minus that of token 500",
       "Olsson et al., arXiv 2209.11895, with its sign turned"});
  metric.tokens = TokensAt{50, 50, 500};
  return metric;
}

ModelMetric MadeOfHeads(Descriptor descriptor, OfHeads of_heads,
                        std::vector<HeadCondition> conditions) {
  ModelMetric metric;
  metric.descriptor = OnRequest(std::move(descriptor));
  metric.descriptor.cost = "little beside the metrics that it is of";
  metric.heads = std::move(conditions);
  metric.of_heads = of_heads;
  return metric;
}

// Where along the layers the residual peak stands.
std::vector<ModelMetric> ResidualPeak() {
  const std::string guo = "Guo et al., arXiv 2410.13835";
  const HeadCondition three_times = {"residual_norm_ratio", 3.f};
  return {
      MadeOfHeads({"residual_peak_layer", "layer", Scope::kModel,
                   "The layer after which position 0 has its largest norm.",
                   "the layer (-1: the embedding) with the largest "
                   "residual_norm_sink, the first of equal ones",
                   guo},
                  OfHeads::kPeak, {{"residual_norm_sink"}}),
      MadeOfHeads({"residual_rise_layer", "layer", Scope::kModel,
                   "The layer that builds the residual peak.",
                   "the first layer (-1: the embedding) with "
                   "residual_norm_ratio >= 3; absent where there is none",
                   guo + "; the massive-activation layer of arXiv 2605.08504"},
                  OfHeads::kFirst, {three_times}),
      MadeOfHeads({"residual_fall_layer", "layer", Scope::kModel,
                   "The last layer that the residual peak reaches.",
                   "the last layer with residual_norm_ratio >= 3; absent where "
                   "there is none",
                   guo},
                  OfHeads::kLast, {three_times}),
      MadeOfHeads({"residual_peak_excess", "activation", Scope::kModel,
                   "By how much the norm of position 0 exceeds the others' "
                   "where it does most.",
                   "max over layers of residual_norm_sink - "
                   "residual_norm_rest_mean",
                   guo},
                  OfHeads::kExcess,
                  {{"residual_norm_sink"}, {"residual_norm_rest_mean"}})};
}

ModelMetric Perplexity() {
  ModelMetric metric;
  metric.descriptor = OnRequest(
      {"perplexity", "count", Scope::kModel,
       "As many equally likely tokens as the model is undecided between.",
       "exp(probe_loss)", "definition"});
  metric.exponential = true;
  return metric;
}

std::vector<ModelMetric> Default() {
  return {
      {{kProbeLoss, "nats", Scope::kModel,
        "Mean next-token cross-entropy on the probe: whether the model is the "
        "one it should be, and how good it is.",
        "mean over rows t >= 0 that have a next token of -ln p(token t+1 | "
        "tokens <= t)",
        "definition of the language-model loss"}},
      {{"sink_rate_030", "ratio", Scope::kModel,
        "Share of heads that are sink heads at the threshold 0.3 (Sink^eps).",
        "mean over layers and heads of sink_indicator_030",
        "Gu et al., arXiv 2410.10781", 0.3},
       "sink_indicator_030"},
      {{"dormant_head_frac", "ratio", Scope::kModel,
        "Share of heads that are dormant on this domain: nearly all queries on "
        "the sink, and the sink's value drained.",
        "share of (layer, head) with dormant_query_frac >= 0.9 and "
        "value_norm_ratio <= 0.5",
        "Guo et al., arXiv 2410.13835, claim 1, as a statistic of heads"},
       "",
       {{"dormant_query_frac", 0.9f},
        {"value_norm_ratio", 0.5f, /*below=*/true}}},
  };
}

std::vector<ModelMetric> All() {
  std::vector<ModelMetric> metrics = Default();
  metrics.push_back(MadeOfHeads(
      {"logit_over_100_heads", "count", Scope::kModel,
       "Heads whose attention logits reach 100, where QK-clip would cut them.",
       "number of (layer, head) with attention_logit_max >= 100",
       "Kimi K2, arXiv 2507.20534 (QK-clip)"},
      OfHeads::kCount, {{"attention_logit_max", 100.f}}));
  metrics.push_back(MadeOfHeads(
      {"sink_floor_layers", "count", Scope::kModel,
       "Layers with attention below the first that has a sink head.",
       "number of layers with heads below the first with a head of "
       "sink_attention >= 0.3; all of them where there is none",
       "arXiv 2606.02378 (layers 0 and 1 have none), with Gu's threshold"},
      OfHeads::kFloor, {{"sink_attention", 0.3f}}));
  metrics.push_back(MadeOfHeads(
      {"head_load_cv", "ratio", Scope::kModel,
       "How unevenly the heads share the work: the spread of the attention "
       "that does not go to position 0.",
       "standard deviation over (layer, head) of 1 - sink_attention, divided "
       "by its mean",
       "Fu et al., PMLR v306 (native mixtures over heads)"},
      OfHeads::kSpread, {{"sink_attention"}}));
  for (ModelMetric& metric : ResidualPeak()) {
    metrics.push_back(std::move(metric));
  }
  for (int64_t first = 1; first <= kLastBucket; first *= 2) {
    metrics.push_back(LossFrom(first));
  }
  metrics.push_back(InContextScore());
  metrics.push_back(Perplexity());
  return metrics;
}

}  // namespace

const std::vector<ModelMetric>& ModelMetrics() {
  static const auto& metrics = *new std::vector<ModelMetric>(All());
  return metrics;
}

}  // namespace sinkwatch::metrics

// Outlier channels: coordinates of the residual stream, or of what a sub-layer
// adds to it, that are far larger than the others, on one token or on most.
// Shapes: layer_statistics.h; N = T * D, M channel maxima.
#include <string>
#include <utility>
#include <vector>

#include "ATen/ops/quantile.h"
#include "worker/kernels/row_median.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

// Where a block is looked at. What goes into it is what comes out of the one
// before it.
enum class Place { kAttention, kMiddle, kMlp, kOut };

template <Place kPlace>
at::Tensor Looked(LayerStatistics& s) {
  const LayerBatch& batch = s.batch();
  if constexpr (kPlace == Place::kOut) return s.residual_BTD();
  if constexpr (kPlace == Place::kMiddle) {
    return batch.resid_mid_BTD.to(at::kFloat);
  }
  return (kPlace == Place::kMlp ? batch.mlp_out_BTD : batch.attn_out_BTD)
      .to(at::kFloat);
}

// What `kOf` makes of it there.
template <Place kPlace, at::Tensor (*kOf)(const at::Tensor& x_BTD)>
at::Tensor At(LayerStatistics& s) {
  return kOf(Looked<kPlace>(s));
}

// M_j: the largest |x_tj| of a channel over the tokens of a sequence.
at::Tensor ChannelMaxima(const at::Tensor& x_BTD) {
  return x_BTD.abs().amax(1);
}

at::Tensor Largest(const at::Tensor& x_BTD) {
  return ChannelMaxima(x_BTD).amax(-1, /*keepdim=*/true);
}

// `count`, or what is no number where `of`, which was compared, is none: a
// comparison or an order would hide it.
at::Tensor Told(const at::Tensor& count, const at::Tensor& of) {
  return count.to(at::kFloat).add(of.mul(0));
}

at::Tensor MedianChannel(const at::Tensor& x_BTD) {
  const at::Tensor maxima_BD = ChannelMaxima(x_BTD);
  return Told(kernels::RowMedian(maxima_BD).unsqueeze(1),
              maxima_BD.amax(-1, /*keepdim=*/true));
}

// Between two channels it is interpolated.
template <int kPercent>
at::Tensor ChannelQuantile(const at::Tensor& x_BTD) {
  return at::quantile(ChannelMaxima(x_BTD), kPercent / 100.0, /*dim=*/-1,
                      /*keepdim=*/true);
}

at::Tensor CountAbove(const at::Tensor& x, const at::Tensor& bound) {
  return Told(x.gt(bound).sum(-1, /*keepdim=*/true),
              x.amax(-1, /*keepdim=*/true));
}

at::Tensor MassiveChannels(const at::Tensor& x_BTD) {
  const at::Tensor maxima_BD = ChannelMaxima(x_BTD);
  return CountAbove(maxima_BD,
                    kernels::RowMedian(maxima_BD).unsqueeze(1).mul(100));
}

template <int kBound>
at::Tensor ChannelsAbove(const at::Tensor& x_BTD) {
  const at::Tensor maxima_BD = ChannelMaxima(x_BTD);
  return CountAbove(maxima_BD, maxima_BD.new_full({1, 1}, kBound));
}

at::Tensor MassiveCount(LayerStatistics& s) {
  const at::Tensor size_BN = s.residual_BTD().abs().flatten(1);
  return CountAbove(size_BN, s.massive_bound_B().unsqueeze(1));
}

at::Tensor MassiveCountRelaxed(const at::Tensor& x_BTD) {
  const at::Tensor x_BN = x_BTD.flatten(1);
  const at::Tensor size_BN = x_BN.abs();
  const at::Tensor median_B1 =
      kernels::RowMedian(size_BN).unsqueeze(1).mul(100);
  const at::Tensor deviation_B1 =
      x_BN.std(/*dim=*/-1, /*unbiased=*/false, /*keepdim=*/true).mul(6);
  return CountAbove(size_BN, median_B1.maximum(deviation_B1));
}

// |x_tj| / RMS(x_t).
at::Tensor OverRms(const at::Tensor& x_BTD) {
  return x_BTD.abs().div(
      x_BTD.square().mean(-1, /*keepdim=*/true).sqrt().clamp_min(1e-30));
}

at::Tensor OutlierShare(const at::Tensor& x_BTD) {
  const at::Tensor ratio_BTD = OverRms(x_BTD);
  return Told(ratio_BTD.gt(10).to(at::kFloat).mean(-1), ratio_BTD.amax(-1))
      .unsqueeze(1);
}

at::Tensor SinkDims(const at::Tensor& x_BTD) {
  const at::Tensor ratio_BTD = OverRms(x_BTD);
  return Told(ratio_BTD.gt(6).to(at::kFloat).mean(1).ge(0.5).sum(-1),
              ratio_BTD.flatten(1).amax(-1))
      .unsqueeze(1);
}

bool HasMiddle(const LayerBatch& batch) {
  return batch.resid_mid_BTD.defined();
}

Metric OnRequest(Descriptor descriptor, Term value) {
  Metric metric;
  metric.descriptor = std::move(descriptor);
  metric.descriptor.on_request = true;
  metric.descriptor.cost = "one or two reads of the stream";
  metric.needs = kNeedsResidualPost;
  metric.value = value;
  return metric;
}

Metric PerSequence(Descriptor descriptor, Plane plane) {
  return OnRequest(std::move(descriptor), {Rows::kWholeSequence, plane});
}

// What a place's channels are called, and what they are of.
struct PlaceWords {
  const char* suffix;
  const char* what;  // x
  unsigned needs;
};

template <Place kPlace>
class ChannelStatistics {
 public:
  explicit ChannelStatistics(const PlaceWords& words) : words_(words) {}

  // Nine metrics of the place.
  std::vector<Metric> All() const {
    std::vector<Metric> metrics = {
        Of("channel_median", "activation",
           "The median channel's largest activation", "median_j M_j",
           At<kPlace, MedianChannel>),
        Of("channel_p95", "activation",
           "The largest activation that 95 % of the channels stay below",
           "the .95 quantile over j of M_j", At<kPlace, ChannelQuantile<95>>),
        Of("channel_p99", "activation",
           "The largest activation that 99 % of the channels stay below",
           "the .99 quantile over j of M_j", At<kPlace, ChannelQuantile<99>>),
        Ratio(),
        Of("massive_channels", "count",
           "Channels whose largest activation is above 100 times the median "
           "channel's",
           "#{j : M_j > 100 median_j M_j}", At<kPlace, MassiveChannels>),
        Above("10", At<kPlace, ChannelsAbove<10>>),
        Above("20", At<kPlace, ChannelsAbove<20>>),
        Above("30", At<kPlace, ChannelsAbove<30>>),
        Outliers()};
    for (Metric& metric : metrics) {
      metric.needs = words_.needs;
      if (kPlace == Place::kMiddle) metric.applies = HasMiddle;
    }
    return metrics;
  }

 private:
  Descriptor Describe(const std::string& name, const std::string& unit,
                      const std::string& meaning,
                      const std::string& formula) const {
    return {name + words_.suffix,
            unit,
            Scope::kLayer,
            meaning + "; of " + words_.what + ".",
            formula + ", x " + words_.what,
            "llm-internal-medicine (channel statistics); arXiv 2603.05498"};
  }
  Metric Of(const std::string& name, const std::string& unit,
            const std::string& meaning, const std::string& formula,
            Plane plane) const {
    return PerSequence(Describe(name, unit, meaning,
                                "mean over sequences of " + formula +
                                    ", M_j = max over tokens of |x_tj|"),
                       plane);
  }
  Metric Above(const std::string& bound, Plane plane) const {
    return Of("channels_above_" + bound, "count",
              "Channels with an activation above " + bound,
              "#{j : M_j > " + bound + "}", plane);
  }
  Metric Ratio() const {
    Metric ratio =
        Of("channel_ratio", "ratio",
           "How far the largest channel stands above the median one: what "
           "quantization by tensor pays for",
           "max_j M_j / mean of median_j M_j", At<kPlace, Largest>);
    ratio.reduction = Reduction::kRatio;
    ratio.reference = {Rows::kWholeSequence, At<kPlace, MedianChannel>};
    return ratio;
  }
  Metric Outliers() const {
    Metric outliers = OnRequest(
        Describe("outlier_ratio", "ratio",
                 "Share of the entries that stand out of their token",
                 "mean over tokens of the share of dims with |x_tj| > 10 "
                 "RMS(x_t)"),
        {Rows::kAll, At<kPlace, OutlierShare>});
    outliers.by_class = true;
    return outliers;
  }

  const PlaceWords words_;
};

template <Place kPlace>
void Append(const PlaceWords& words, std::vector<Metric>& metrics) {
  for (Metric& metric : ChannelStatistics<kPlace>(words).All()) {
    metrics.push_back(std::move(metric));
  }
}

}  // namespace

std::vector<Metric> StreamChannelMetrics() {
  std::vector<Metric> metrics;
  Append<Place::kOut>({"", "the block's output", kNeedsResidualPost}, metrics);
  Append<Place::kAttention>(
      {"_attn", "what attention adds", kNeedsAttentionOut}, metrics);
  Append<Place::kMiddle>(
      {"_mid", "the stream between attention and MLP", kNeedsMlpOut}, metrics);
  Append<Place::kMlp>({"_ffn", "what the MLP adds", kNeedsMlpOut}, metrics);
  metrics.push_back(PerSequence(
      {"massive_count", "count", Scope::kLayer,
       "Massive activations: entries of the stream above 100 and above 1000 "
       "times its median.",
       "mean over sequences of #{|x_tj| > 100 and > 1000 median |x|}, the "
       "median over tokens x dims",
       "Sun et al., arXiv 2402.17762"},
      MassiveCount));
  metrics.push_back(PerSequence(
      {"massive_count_relaxed", "count", Scope::kLayer,
       "The same for small models, whose activations do not reach 100: above "
       "100 medians and 6 standard deviations.",
       "mean over sequences of #{|x_tj| > 100 median |x| and > 6 sd(x)}, both "
       "over tokens x dims",
       "after Sun et al., arXiv 2402.17762, and Bondarenko et al., arXiv "
       "2306.12929 (6 sigma)"},
      At<Place::kOut, MassiveCountRelaxed>));
  metrics.push_back(PerSequence(
      {"residual_sink_dims", "count", Scope::kLayer,
       "Channels that are large on most tokens, not on the sink alone.",
       "mean over sequences of #{j : |x_tj| > 6 RMS(x_t) on at least half of "
       "the tokens}",
       "arXiv 2601.22966 (residual sinks), with a bound that does not depend "
       "on the model's scale"},
      At<Place::kOut, SinkDims>));
  return metrics;
}

}  // namespace sinkwatch::metrics

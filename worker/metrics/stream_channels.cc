// Outlier channels: coordinates of the residual stream that are far larger than
// the others, on one token or on most. Shapes: layer_statistics.h; N = T * D.
#include "worker/kernels/row_median.h"
#include "worker/metrics/families.h"

namespace sinkwatch::metrics {
namespace {

// M_j: the largest |x_tj| of a channel over the tokens of a sequence.
at::Tensor ChannelMaxima(LayerStatistics& s) {
  return s.residual_BTD().abs().amax(1);
}

at::Tensor Largest(LayerStatistics& s) {
  return ChannelMaxima(s).amax(-1, /*keepdim=*/true);
}

// `count`, or what is no number where `of`, which was compared, is none: a
// comparison or an order would hide it.
at::Tensor Told(const at::Tensor& count, const at::Tensor& of) {
  return count.to(at::kFloat).add(of.mul(0));
}

at::Tensor MedianChannel(LayerStatistics& s) {
  const at::Tensor maxima_BD = ChannelMaxima(s);
  return Told(kernels::RowMedian(maxima_BD).unsqueeze(1),
              maxima_BD.amax(-1, /*keepdim=*/true));
}

at::Tensor CountAbove(const at::Tensor& x, const at::Tensor& bound) {
  return Told(x.gt(bound).sum(-1, /*keepdim=*/true),
              x.amax(-1, /*keepdim=*/true));
}

at::Tensor MassiveChannels(LayerStatistics& s) {
  const at::Tensor maxima_BD = ChannelMaxima(s);
  return CountAbove(maxima_BD,
                    kernels::RowMedian(maxima_BD).unsqueeze(1).mul(100));
}

template <int kBound>
at::Tensor ChannelsAbove(LayerStatistics& s) {
  const at::Tensor maxima_BD = ChannelMaxima(s);
  return CountAbove(maxima_BD, maxima_BD.new_full({1, 1}, kBound));
}

at::Tensor MassiveCount(LayerStatistics& s) {
  const at::Tensor size_BN = s.residual_BTD().abs().flatten(1);
  return CountAbove(size_BN, s.massive_bound_B().unsqueeze(1));
}

at::Tensor MassiveCountRelaxed(LayerStatistics& s) {
  const at::Tensor x_BN = s.residual_BTD().flatten(1);
  const at::Tensor size_BN = x_BN.abs();
  const at::Tensor median_B1 =
      kernels::RowMedian(size_BN).unsqueeze(1).mul(100);
  const at::Tensor deviation_B1 =
      x_BN.std(/*dim=*/-1, /*unbiased=*/false, /*keepdim=*/true).mul(6);
  return CountAbove(size_BN, median_B1.maximum(deviation_B1));
}

// |x_tj| / RMS(x_t).
at::Tensor OverRms(LayerStatistics& s) {
  const at::Tensor& x_BTD = s.residual_BTD();
  return x_BTD.abs().div(
      x_BTD.square().mean(-1, /*keepdim=*/true).sqrt().clamp_min(1e-30));
}

at::Tensor OutlierShare(LayerStatistics& s) {
  const at::Tensor ratio_BTD = OverRms(s);
  return Told(ratio_BTD.gt(10).to(at::kFloat).mean(-1), ratio_BTD.amax(-1))
      .unsqueeze(1);
}

at::Tensor SinkDims(LayerStatistics& s) {
  const at::Tensor ratio_BTD = OverRms(s);
  return Told(ratio_BTD.gt(6).to(at::kFloat).mean(1).ge(0.5).sum(-1),
              ratio_BTD.flatten(1).amax(-1))
      .unsqueeze(1);
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

Metric ChannelsAboveMetric(const std::string& bound, Plane plane) {
  return PerSequence(
      {"channels_above_" + bound, "count", Scope::kLayer,
       "Channels of the stream with an activation above " + bound + ".",
       "mean over sequences of #{j : M_j > " + bound +
           "}, M_j = max over tokens of |x_tj|",
       "llm-internal-medicine (channel statistics)"},
      plane);
}

}  // namespace

std::vector<Metric> StreamChannelMetrics() {
  const std::string medicine = "llm-internal-medicine (channel statistics)";
  Metric ratio = PerSequence(
      {"channel_ratio", "ratio", Scope::kLayer,
       "How far the largest channel of the stream stands above the median "
       "one: what quantization by tensor pays for.",
       "mean over sequences of max_j M_j / mean of median_j M_j, M_j = max "
       "over tokens of |x_tj|",
       medicine},
      Largest);
  ratio.reduction = Reduction::kRatio;
  ratio.reference = {Rows::kWholeSequence, MedianChannel};
  Metric outliers = OnRequest(
      {"outlier_ratio", "ratio", Scope::kLayer,
       "Share of the stream's entries that stand out of their token.",
       "mean over tokens of the share of dims with |x_tj| > 10 RMS(x_t)",
       medicine},
      {Rows::kAll, OutlierShare});
  outliers.by_class = true;
  return {
      PerSequence({"channel_median", "activation", Scope::kLayer,
                   "The median channel's largest activation.",
                   "mean over sequences of median_j M_j, M_j = max over tokens "
                   "of |x_tj|",
                   medicine},
                  MedianChannel),
      ratio,
      PerSequence({"massive_channels", "count", Scope::kLayer,
                   "Channels whose largest activation is above 100 times the "
                   "median channel's.",
                   "mean over sequences of #{j : M_j > 100 median_j M_j}, M_j "
                   "= max over tokens of |x_tj|",
                   "arXiv 2603.05498; llm-internal-medicine"},
                  MassiveChannels),
      ChannelsAboveMetric("10", ChannelsAbove<10>),
      ChannelsAboveMetric("20", ChannelsAbove<20>),
      ChannelsAboveMetric("30", ChannelsAbove<30>),
      outliers,
      PerSequence({"massive_count", "count", Scope::kLayer,
                   "Massive activations: entries of the stream above 100 and "
                   "above 1000 times its median.",
                   "mean over sequences of #{|x_tj| > 100 and > 1000 median "
                   "|x|}, the median over tokens x dims",
                   "Sun et al., arXiv 2402.17762"},
                  MassiveCount),
      PerSequence({"massive_count_relaxed", "count", Scope::kLayer,
                   "The same for small models, whose activations do not reach "
                   "100: above 100 medians and 6 standard deviations.",
                   "mean over sequences of #{|x_tj| > 100 median |x| and > 6 "
                   "sd(x)}, both over tokens x dims",
                   "after Sun et al., arXiv 2402.17762, and Bondarenko et al., "
                   "arXiv 2306.12929 (6 sigma)"},
                  MassiveCountRelaxed),
      PerSequence({"residual_sink_dims", "count", Scope::kLayer,
                   "Channels that are large on most tokens, not on the sink "
                   "alone.",
                   "mean over sequences of #{j : |x_tj| > 6 RMS(x_t) on at "
                   "least half of the tokens}",
                   "arXiv 2601.22966 (residual sinks), with a bound that does "
                   "not depend on the model's scale"},
                  SinkDims)};
}

}  // namespace sinkwatch::metrics

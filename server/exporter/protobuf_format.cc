#include "server/exporter/protobuf_format.h"

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "prometheus/metrics.pb.h"

namespace sinkwatch::exporter {
namespace {

namespace client = io::prometheus::client;
using prometheus::ClientMetric;
using prometheus::MetricType;

void AppendDelimited(const client::MetricFamily& family, std::string* out) {
  google::protobuf::io::StringOutputStream stream(out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteVarint32(static_cast<uint32_t>(family.ByteSizeLong()));
  family.SerializeWithCachedSizes(&coded);
}

void SetLabels(const Labels& labels, client::Metric* metric) {
  for (const auto& [name, value] : labels) {
    client::LabelPair& label = *metric->add_label();
    label.set_name(name);
    label.set_value(value);
  }
}

template <typename Spans, typename Deltas>
void SetSide(const NativeHistogram::Side& side, Spans* spans, Deltas* deltas) {
  for (const NativeHistogram::Span& span : side.spans) {
    client::BucketSpan& proto = *spans->Add();
    proto.set_offset(span.offset);
    proto.set_length(span.length);
  }
  deltas->Add(side.deltas.begin(), side.deltas.end());
}

void SetHistogram(const NativeHistogram& histogram, client::Histogram* proto) {
  proto->set_sample_count(histogram.count);
  proto->set_sample_sum(histogram.sum);
  proto->set_schema(kHistogramSchema);
  proto->set_zero_threshold(kZeroThreshold);
  proto->set_zero_count(histogram.zero_count);
  SetSide(histogram.positive, proto->mutable_positive_span(),
          proto->mutable_positive_delta());
  SetSide(histogram.negative, proto->mutable_negative_span(),
          proto->mutable_negative_delta());
}

void SetClassic(const ClientMetric& metric, client::Histogram* proto) {
  proto->set_sample_count(metric.histogram.sample_count);
  proto->set_sample_sum(metric.histogram.sample_sum);
  for (const auto& bucket : metric.histogram.bucket) {
    client::Bucket& added = *proto->add_bucket();
    added.set_cumulative_count(bucket.cumulative_count);
    added.set_upper_bound(bucket.upper_bound);
  }
}

void AddMetric(MetricType type, const ClientMetric& metric,
               client::MetricFamily* family) {
  client::Metric& proto = *family->add_metric();
  for (const auto& pair : metric.label) {
    client::LabelPair& label = *proto.add_label();
    label.set_name(pair.name);
    label.set_value(pair.value);
  }
  if (type == MetricType::Counter) {
    proto.mutable_counter()->set_value(metric.counter.value);
  } else if (type == MetricType::Histogram) {
    SetClassic(metric, proto.mutable_histogram());
  } else {
    proto.mutable_gauge()->set_value(metric.gauge.value);
  }
}

client::MetricType TypeOf(MetricType type) {
  if (type == MetricType::Counter) return client::COUNTER;
  if (type == MetricType::Histogram) return client::HISTOGRAM;
  return client::GAUGE;
}

}  // namespace

void AppendFamily(const SampleFamily& family, std::string* out) {
  client::MetricFamily proto;
  proto.set_name(family.name);
  proto.set_help(family.help);
  proto.set_type(family.type == FamilyType::kNativeHistogram
                     ? client::GAUGE_HISTOGRAM
                     : client::GAUGE);
  for (const Sample& sample : family.samples) {
    client::Metric& metric = *proto.add_metric();
    SetLabels(sample.labels, &metric);
    metric.mutable_gauge()->set_value(sample.value);
  }
  for (const auto& [labels, histogram] : family.histograms) {
    client::Metric& metric = *proto.add_metric();
    SetLabels(labels, &metric);
    SetHistogram(histogram, metric.mutable_histogram());
  }
  AppendDelimited(proto, out);
}

void AppendProtobufFamilies(
    const std::vector<prometheus::MetricFamily>& families, std::string* out) {
  for (const prometheus::MetricFamily& family : families) {
    if (family.metric.empty()) continue;
    client::MetricFamily proto;
    proto.set_name(family.name);
    proto.set_help(family.help);
    proto.set_type(TypeOf(family.type));
    for (const ClientMetric& metric : family.metric) {
      AddMetric(family.type, metric, &proto);
    }
    AppendDelimited(proto, out);
  }
}

}  // namespace sinkwatch::exporter

#include "server/exporter/text_format.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "proto/base/shortest_float.h"
#include "proto/base/utf8.h"

namespace sinkwatch::exporter {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

template <typename Float>
void AppendAny(Float value, std::string* out) {
  if (base::AppendShortest(value, out)) return;
  out->append(std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

// HELP text escapes backslash and newline; label values the quote as well.
void AppendEscaped(absl::string_view text, bool quote, std::string* out) {
  for (char c : text) {
    if (c == '\n') {
      out->append("\\n");
    } else {
      if (c == '\\' || (quote && c == '"')) out->push_back('\\');
      out->push_back(c);
    }
  }
}

const char* TypeName(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Summary:
      return "summary";
    case MetricType::Histogram:
      return "histogram";
    case MetricType::Untyped:
      break;
  }
  return "untyped";
}

std::string LabelsOf(const ClientMetric& metric) {
  std::string labels;
  for (const auto& label : metric.label) {
    AppendLabel(label.name, label.value, &labels);
  }
  return labels;
}

void AppendSample(absl::string_view name, absl::string_view suffix,
                  absl::string_view labels, double value, std::string* out) {
  absl::StrAppend(out, name, suffix);
  if (!labels.empty()) absl::StrAppend(out, "{", labels, "}");
  out->push_back(' ');
  AppendNumber(value, out);
  out->push_back('\n');
}

int64_t AppendHistogram(const std::string& name, const ClientMetric& metric,
                        std::string* out) {
  const std::string labels = LabelsOf(metric);
  AppendSample(name, "_count", labels,
               static_cast<double>(metric.histogram.sample_count), out);
  AppendSample(name, "_sum", labels, metric.histogram.sample_sum, out);
  std::string with_bound;
  for (const auto& bucket : metric.histogram.bucket) {
    std::string bound;
    AppendNumber(bucket.upper_bound, &bound);
    with_bound = labels;
    AppendLabel("le", bound, &with_bound);
    AppendSample(name, "_bucket", with_bound,
                 static_cast<double>(bucket.cumulative_count), out);
  }
  return static_cast<int64_t>(metric.histogram.bucket.size()) + 2;
}

int64_t AppendMetric(const MetricFamily& family, const ClientMetric& metric,
                     std::string* out) {
  switch (family.type) {
    case MetricType::Histogram:
      return AppendHistogram(family.name, metric, out);
    case MetricType::Counter:
      AppendSample(family.name, "", LabelsOf(metric), metric.counter.value,
                   out);
      return 1;
    case MetricType::Gauge:
      AppendSample(family.name, "", LabelsOf(metric), metric.gauge.value, out);
      return 1;
    case MetricType::Summary:  // the service has none
    case MetricType::Untyped:
      break;
  }
  return 0;
}

}  // namespace

void AppendFamilyHeader(absl::string_view name, absl::string_view help,
                        absl::string_view type, std::string* out) {
  absl::StrAppend(out, "# HELP ", name, " ");
  AppendEscaped(help, /*quote=*/false, out);
  absl::StrAppend(out, "\n# TYPE ", name, " ", type, "\n");
}

void AppendNumber(double value, std::string* out) { AppendAny(value, out); }

void AppendNumber(float value, std::string* out) { AppendAny(value, out); }

void AppendLabel(absl::string_view name, absl::string_view value,
                 std::string* out) {
  if (!out->empty()) out->push_back(',');
  absl::StrAppend(out, name, "=\"");
  AppendEscaped(value, /*quote=*/true, out);
  out->push_back('"');
}

void AppendTextFamily(const SampleFamily& family, std::string* out) {
  AppendFamilyHeader(family.name, family.help,
                     family.type == FamilyType::kSummary ? "summary" : "gauge",
                     out);
  for (const Sample& sample : family.samples) {
    const size_t labels_from = out->append(family.name).append("{").size();
    for (const auto& [name, value] : sample.labels) {
      if (out->size() > labels_from) out->push_back(',');
      out->append(name).append("=\"");
      AppendEscaped(value, /*quote=*/true, out);
      out->push_back('"');
    }
    out->append("} ");
    if (sample.single) {
      AppendNumber(static_cast<float>(sample.value), out);
    } else {
      AppendNumber(sample.value, out);
    }
    out->push_back('\n');
  }
}

int64_t AppendFamilies(const std::vector<MetricFamily>& families,
                       std::string* out) {
  int64_t series = 0;
  for (const MetricFamily& family : families) {
    if (family.metric.empty()) continue;
    AppendFamilyHeader(family.name, family.help, TypeName(family.type), out);
    for (const ClientMetric& metric : family.metric) {
      series += AppendMetric(family, metric, out);
    }
  }
  return series;
}

int64_t CountSeries(const std::vector<MetricFamily>& families) {
  int64_t series = 0;
  for (const MetricFamily& family : families) {
    for (const ClientMetric& metric : family.metric) {
      const bool histogram = family.type == MetricType::Histogram;
      series += histogram ? metric.histogram.bucket.size() + 2 : 1;
    }
  }
  return series;
}

bool IsLabelValue(absl::string_view value) {
  if (value.empty() || value.size() > 128) return false;
  while (!value.empty()) {
    const uint8_t lead = static_cast<uint8_t>(value[0]);
    const size_t length = base::Utf8CharacterBytes(value);
    if (length == 0 || lead < 0x20 || lead == 0x7F) return false;
    value.remove_prefix(length);
  }
  return true;
}

}  // namespace sinkwatch::exporter

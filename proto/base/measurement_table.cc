#include "proto/base/measurement_table.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sinkwatch::base {
namespace {

constexpr int kValuesShown = 16;

std::string Plain(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

// Of finite values; ascending.
double Median(const std::vector<float>& sorted) {
  const size_t half = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[half];
  return (static_cast<double>(sorted[half - 1]) + sorted[half]) / 2;
}

std::string Summary(const v1::MetricVector& vector) {
  std::vector<float> finite;
  for (float value : vector.values()) {
    if (std::isfinite(value)) finite.push_back(value);
  }
  std::sort(finite.begin(), finite.end());
  if (finite.empty())
    return absl::StrCat("  no value of ", vector.values_size());
  return absl::StrFormat("  min %9.4g   median %9.4g   max %9.4g   of %d",
                         finite.front(), Median(finite), finite.back(),
                         vector.values_size());
}

std::string Values(const v1::MetricVector& vector) {
  if (vector.values_size() > kValuesShown) return Summary(vector);
  std::string text;
  for (float value : vector.values()) {
    // A head that was not measured.
    absl::StrAppend(&text, std::isnan(value)
                               ? absl::StrFormat(" %9s", "-")
                               : absl::StrFormat(" %9.4g", value));
  }
  return text;
}

std::string Facts(const v1::Measurement& m) {
  const v1::MeasurementHeader& header = m.header();
  const v1::ModelInfo& model = header.model();
  std::string text = absl::StrFormat(
      "%s\n%s, %d layers, %d heads (%d key/value), width %d; probe %s, %d "
      "tokens a sequence, bos %s; %s on %s\n",
      Plain(header.checkpoint().path()), Plain(model.architecture()),
      model.layers(), model.heads(), model.kv_heads(), model.width(),
      Plain(header.probe().name()), header.sequence_length(),
      header.bos_policy(), header.dtype(), Plain(header.device()));
  if (!header.protocol().empty()) {
    absl::StrAppend(&text, "as the protocol ", Plain(header.protocol()),
                    " has it\n");
  }
  if (m.load_seconds() > 0 || m.compute_seconds() > 0) {
    absl::StrAppendFormat(&text, "loaded in %.2f s, computed in %.2f s\n",
                          m.load_seconds(), m.compute_seconds());
  }
  for (const std::string& note : m.notes()) {
    absl::StrAppend(&text, Plain(note), "\n");
  }
  if (header.unused_tensors() > 0) {
    absl::StrAppend(&text, header.unused_tensors(),
                    " tensors of the checkpoint are not used:");
    for (const std::string& name : header.unused_tensor_names()) {
      absl::StrAppend(&text, " ", Plain(name));
    }
    const bool all =
        header.unused_tensors() <= header.unused_tensor_names_size();
    absl::StrAppend(&text, all ? "\n" : " ...\n");
  }
  if (m.implausible()) {
    absl::StrAppend(&text, "IMPLAUSIBLE: ", Plain(m.implausible_reason()),
                    "\n");
  }
  return text;
}

// The described metrics, in that order, and those that have values only.
std::vector<v1::MetricDescriptor> Metrics(const v1::Measurement& m) {
  std::vector<v1::MetricDescriptor> metrics(m.header().metrics().begin(),
                                            m.header().metrics().end());
  for (const v1::MetricVector& vector : m.vectors()) {
    const bool known = std::any_of(metrics.begin(), metrics.end(),
                                   [&](const v1::MetricDescriptor& metric) {
                                     return metric.name() == vector.metric();
                                   });
    if (known) continue;
    metrics.emplace_back();
    metrics.back().set_name(vector.metric());
  }
  return metrics;
}

void AppendMetric(const v1::Measurement& m, const v1::MetricDescriptor& metric,
                  std::string* text) {
  bool titled = false;
  for (const v1::MetricVector& vector : m.vectors()) {
    if (vector.metric() != metric.name()) continue;
    if (!titled) {
      absl::StrAppend(text, "\n", Plain(metric.name()), " [",
                      Plain(metric.unit()), "]  ", Plain(metric.meaning()),
                      "\n");
      titled = true;
    }
    absl::StrAppendFormat(
        text, "  %-24s %5s %s\n", Plain(vector.domain()),
        vector.has_layer() ? absl::StrCat(vector.layer()) : "", Values(vector));
  }
}

}  // namespace

std::string MeasurementTable(const v1::Measurement& m) {
  std::string text = Facts(m);
  absl::StrAppendFormat(&text, "\n  %-24s %5s   values by head\n", "domain",
                        "layer");
  for (const v1::MetricDescriptor& metric : Metrics(m)) {
    AppendMetric(m, metric, &text);
  }
  return text;
}

}  // namespace sinkwatch::base

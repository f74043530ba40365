#include "worker/commands/measurement_report.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::worker {
namespace {

// Values that a row of the table shows before it says how many there are.
constexpr size_t kValuesShown = 16;

std::string BaseName(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder.substr(folder.rfind('/') + 1);
}

std::string ParentName(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  const size_t slash = folder.rfind('/');
  return slash == std::string::npos ? "" : BaseName(folder.substr(0, slash));
}

nlohmann::ordered_json Numbers(const std::vector<float>& values) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (float value : values) {
    // Shortest text that reads back as the same float32.
    list.push_back(std::isfinite(value) ? nlohmann::ordered_json::parse(
                                              absl::StrFormat("%.9g", value))
                                        : nlohmann::ordered_json(nullptr));
  }
  return list;
}

nlohmann::ordered_json VectorJson(const metrics::MetricVector& vector) {
  return {
      {"domain", vector.domain},
      {"metric", vector.metric},
      {"layer", vector.layer.has_value() ? nlohmann::ordered_json(*vector.layer)
                                         : nlohmann::ordered_json(nullptr)},
      {"values", Numbers(vector.values)},
      {"stderr", Numbers(vector.standard_error)},
      {"count", vector.count}};
}

std::string LayerText(const metrics::MetricVector& vector) {
  return vector.layer.has_value() ? absl::StrCat(*vector.layer) : "";
}

std::string ValuesText(const std::vector<float>& values) {
  std::string text;
  for (size_t i = 0; i < std::min(values.size(), kValuesShown); ++i) {
    absl::StrAppendFormat(&text, " %9.4g", values[i]);
  }
  if (values.size() > kValuesShown) {
    absl::StrAppend(&text, "  ... ", values.size(), " in all");
  }
  return text;
}

void AppendMetric(const Report& report, const metrics::Descriptor& metric,
                  std::string& text) {
  bool titled = false;
  for (const metrics::MetricVector& vector : report.values) {
    if (vector.metric != metric.name) continue;
    if (!titled) {
      absl::StrAppend(&text, "\n", metric.name, " [", metric.unit, "]  ",
                      metric.meaning, "\n");
      titled = true;
    }
    absl::StrAppendFormat(&text, "  %-24s %5s %s\n", vector.domain,
                          LayerText(vector), ValuesText(vector.values));
  }
}

}  // namespace

int64_t StepOfFolder(const std::string& folder) {
  const std::string name = BaseName(folder);
  for (const std::string prefix : {"step", "checkpoint"}) {
    size_t begin = name.find(prefix);
    if (begin == std::string::npos) continue;
    begin += prefix.size();
    if (begin < name.size() && (name[begin] == '-' || name[begin] == '_')) {
      ++begin;
    }
    size_t end = begin;
    while (end < name.size() &&
           std::isdigit(static_cast<unsigned char>(name[end])))
      ++end;
    int64_t step = -1;
    if (absl::SimpleAtoi(name.substr(begin, end - begin), &step)) return step;
  }
  return -1;
}

std::string ReportAsJson(const Report& report) {
  const model::ModelShape& model = report.facts.model;
  nlohmann::ordered_json json;
  json["spec_version"] = metrics::kSpecVersion;
  const int64_t step = StepOfFolder(report.checkpoint);
  json["checkpoint"] = {
      {"path", report.checkpoint},
      {"run", ParentName(report.checkpoint)},
      {"step", step < 0 ? nlohmann::json(nullptr) : nlohmann::json(step)},
      {"architecture", model.architecture},
      {"content_digest", report.summary.content_digest}};
  json["probe"] = {{"name", report.facts.probe_name},
                   {"digest", report.facts.probe_digest},
                   {"sequence_length", report.facts.sequence_length},
                   {"bos_policy", report.facts.bos_policy}};
  json["model"] = {
      {"layers", model.layers},     {"heads", model.heads},
      {"kv_heads", model.kv_heads}, {"head_dim", model.head_dim},
      {"width", model.width},       {"vocabulary", model.vocabulary}};
  json["dtype"] = report.facts.dtype;
  json["device"] = report.facts.device;
  json["implausible"] = report.summary.implausible.empty()
                            ? nlohmann::json(nullptr)
                            : nlohmann::json(report.summary.implausible);
  json["measurements"] = nlohmann::ordered_json::array();
  for (const metrics::MetricVector& vector : report.values) {
    json["measurements"].push_back(VectorJson(vector));
  }
  // A path may hold bytes that are no UTF-8.
  return json.dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

std::string ReportAsCsv(const Report& report) {
  std::string text = "domain,metric,layer,index,value,stderr,count\n";
  for (const metrics::MetricVector& vector : report.values) {
    for (size_t i = 0; i < vector.values.size(); ++i) {
      const float error =
          i < vector.standard_error.size() ? vector.standard_error[i] : NAN;
      absl::StrAppendFormat(&text, "%s,%s,%s,%d,%.9g,%.9g,%d\n", vector.domain,
                            vector.metric, LayerText(vector), i,
                            vector.values[i], error, vector.count);
    }
  }
  return text;
}

std::string ReportAsTable(const Report& report) {
  const model::ModelShape& model = report.facts.model;
  std::string text = absl::StrFormat(
      "%s\n%s, %d layers, %d heads (%d key/value), width %d; probe %s, %d "
      "tokens a sequence, bos %s; %s on %s\nloaded in %.2f s, computed in "
      "%.2f s\n",
      report.checkpoint, model.architecture, model.layers, model.heads,
      model.kv_heads, model.width, report.facts.probe_name,
      report.facts.sequence_length, report.facts.bos_policy, report.facts.dtype,
      report.facts.device, report.summary.load_seconds,
      report.summary.compute_seconds);
  if (!report.summary.implausible.empty()) {
    absl::StrAppend(&text, "IMPLAUSIBLE: ", report.summary.implausible, "\n");
  }
  absl::StrAppendFormat(&text, "\n  %-24s %5s   values by head\n", "domain",
                        "layer");
  for (const metrics::Descriptor& metric : report.facts.metrics) {
    AppendMetric(report, metric, text);
  }
  return text;
}

}  // namespace sinkwatch::worker

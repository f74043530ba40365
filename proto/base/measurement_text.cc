#include "proto/base/measurement_text.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/base/csv_text.h"
#include "proto/base/json_string.h"
#include "proto/base/shortest_float.h"

namespace sinkwatch::base {
namespace {

std::vector<const v1::MetricVector*> Sorted(const v1::Measurement& m) {
  std::vector<const v1::MetricVector*> vectors;
  for (const v1::MetricVector& vector : m.vectors()) vectors.push_back(&vector);
  const auto key = [](const v1::MetricVector* v) {
    return std::tuple<const std::string&, const std::string&, int64_t>(
        v->domain(), v->metric(),
        v->has_layer() ? v->layer() : std::numeric_limits<int64_t>::min());
  };
  std::stable_sort(
      vectors.begin(), vectors.end(),
      [&](const auto* a, const auto* b) { return key(a) < key(b); });
  return vectors;
}

void AppendNumber(float value, std::string* out) {
  if (!AppendShortest(value, out)) out->append("null");
}

// The first `count` of `values`, with null for those that are not there.
void AppendNumbers(const google::protobuf::RepeatedField<float>& values,
                   int count, std::string* out) {
  out->push_back('[');
  for (int i = 0; i < count; ++i) {
    if (i > 0) out->push_back(',');
    if (i < values.size()) {
      AppendNumber(values[i], out);
    } else {
      out->append("null");
    }
  }
  out->push_back(']');
}

// A list for each value, as long as each other.
void AppendSequenceValues(const v1::MetricVector& vector, std::string* out) {
  const int values = vector.values_size();
  const int all = vector.sequence_values_size();
  if (values == 0 || all == 0 || all % values != 0) return;
  out->append(",\"sequence_values\":[");
  for (int i = 0; i < all; ++i) {
    if (i % (all / values) == 0) out->append(i == 0 ? "[" : "],[");
    if (i % (all / values) != 0) out->push_back(',');
    AppendNumber(vector.sequence_values(i), out);
  }
  out->append("]]");
}

void AppendVector(const v1::MetricVector& vector, std::string* out) {
  absl::StrAppend(out, "{\"domain\":", JsonString(vector.domain()),
                  ",\"metric\":", JsonString(vector.metric()), ",\"layer\":",
                  vector.has_layer() ? absl::StrCat(vector.layer()) : "null",
                  ",\"values\":");
  AppendNumbers(vector.values(), vector.values_size(), out);
  out->append(",\"stderr\":");
  AppendNumbers(vector.standard_errors(), vector.values_size(), out);
  absl::StrAppend(out, ",\"count\":", vector.count());
  AppendSequenceValues(vector, out);
  out->push_back('}');
}

std::string CheckpointJson(const v1::Measurement& m) {
  const v1::Checkpoint& checkpoint = m.header().checkpoint();
  return absl::StrCat(
      "{\"path\":", JsonString(checkpoint.path()),
      ",\"run\":", JsonString(checkpoint.run()),
      ",\"stage\":", JsonString(checkpoint.stage()), ",\"step\":",
      checkpoint.step() < 0 ? "null" : absl::StrCat(checkpoint.step()),
      ",\"architecture\":", JsonString(m.header().model().architecture()),
      ",\"content_digest\":", JsonString(m.content_digest()), "}");
}

std::string ProbeJson(const v1::MeasurementHeader& header) {
  return absl::StrCat("{\"name\":", JsonString(header.probe().name()),
                      ",\"digest\":", JsonString(header.probe().digest()),
                      ",\"sequence_length\":", header.sequence_length(),
                      ",\"bos_policy\":", JsonString(header.bos_policy()), "}");
}

std::string ModelJson(const v1::ModelInfo& model) {
  return absl::StrCat(
      "{\"layers\":", model.layers(), ",\"heads\":", model.heads(),
      ",\"kv_heads\":", model.kv_heads(), ",\"head_dim\":", model.head_dim(),
      ",\"width\":", model.width(), ",\"vocabulary\":", model.vocabulary(),
      "}");
}

std::string UnusedJson(const v1::MeasurementHeader& header) {
  std::string names;
  for (const std::string& name : header.unused_tensor_names()) {
    absl::StrAppend(&names, names.empty() ? "" : ",", JsonString(name));
  }
  return absl::StrCat("{\"count\":", header.unused_tensors(), ",\"first\":[",
                      names, "]}");
}

std::string ImplausibleJson(const v1::Measurement& m) {
  if (!m.implausible()) return "null";
  return JsonString(
      m.implausible_reason().empty()
          ? "marked by its worker; this store did not keep the reason yet"
          : m.implausible_reason());
}

std::string TensorsJson(const v1::Measurement& m) {
  std::string text = "{";
  for (const v1::TensorDigest& tensor : m.tensors()) {
    absl::StrAppend(&text, text.size() > 1 ? ",\n" : "\n",
                    JsonString(tensor.name()), ":\"",
                    absl::BytesToHexString(tensor.digest()), "\"");
  }
  return text + "}";
}

std::string NotesJson(const v1::Measurement& m) {
  std::string text = "[";
  for (const std::string& note : m.notes()) {
    absl::StrAppend(&text, text.size() > 1 ? "," : "", JsonString(note));
  }
  return text + "]";
}

void AppendSinks(const v1::Measurement& m, std::string* out) {
  out->append("[");
  const char* separator = "\n";
  for (const v1::SinkToken& sink : m.sinks()) {
    absl::StrAppend(out, separator, "{\"domain\":", JsonString(sink.domain()),
                    ",\"layer\":", sink.layer(), ",\"token\":", sink.token(),
                    ",\"at_zero\":", sink.at_zero() ? "true" : "false");
    for (const auto& [name, value] :
         {std::pair("mass", sink.mass()), std::pair("heads", sink.head_share()),
          std::pair("sequences", sink.sequence_share())}) {
      absl::StrAppend(out, ",\"", name, "\":");
      AppendNumber(static_cast<float>(value), out);
    }
    out->append("}");
    separator = ",\n";
  }
  out->append("]");
}

void AppendMassiveDimensions(const v1::Measurement& m, std::string* out) {
  out->append("[");
  const char* separator = "\n";
  for (const v1::MassiveDimension& massive : m.massive_dimensions()) {
    absl::StrAppend(
        out, separator, "{\"domain\":", JsonString(massive.domain()),
        ",\"layer\":", massive.layer(), ",\"dimension\":", massive.dimension(),
        ",\"position\":", massive.position(), ",\"value\":");
    AppendNumber(static_cast<float>(massive.value()), out);
    out->append(",\"sequences\":");
    AppendNumber(static_cast<float>(massive.sequence_share()), out);
    out->append("}");
    separator = ",\n";
  }
  out->append("]");
}

std::string ProtocolJson(const v1::MeasurementHeader& header) {
  return header.protocol().empty() ? "null" : JsonString(header.protocol());
}

}  // namespace

std::string MeasurementJson(const v1::Measurement& m) {
  const v1::MeasurementHeader& header = m.header();
  std::string out = absl::StrCat(
      "{\"spec_version\":", header.spec_version(),
      ",\n\"checkpoint\":", CheckpointJson(m),
      ",\n\"probe\":", ProbeJson(header),
      ",\n\"model\":", ModelJson(header.model()),
      ",\n\"dtype\":", JsonString(header.dtype()),
      ",\n\"device\":", JsonString(header.device()),
      ",\n\"protocol\":", ProtocolJson(header),
      ",\n\"unused_tensors\":", UnusedJson(header),
      ",\n\"load_seconds\":", m.load_seconds(),
      ",\n\"compute_seconds\":", m.compute_seconds(),
      ",\n\"implausible\":", ImplausibleJson(m), ",\n\"notes\":", NotesJson(m),
      ",\n\"tensors\":", TensorsJson(m), ",\n\"sinks\":");
  AppendSinks(m, &out);
  out.append(",\n\"massive_dimensions\":");
  AppendMassiveDimensions(m, &out);
  out.append(",\n\"measurements\":[");
  const char* separator = "\n";
  for (const v1::MetricVector* vector : Sorted(m)) {
    out.append(separator);
    AppendVector(*vector, &out);
    separator = ",\n";
  }
  out.append("]}\n");
  return out;
}

std::string MeasurementCsv(const v1::Measurement& m) {
  std::string out = "domain,metric,layer,index,value,stderr,count\r\n";
  for (const v1::MetricVector* vector : Sorted(m)) {
    std::string names;
    AppendCsvText(vector->domain(), &names);
    names.push_back(',');
    AppendCsvText(vector->metric(), &names);
    names.push_back(',');
    if (vector->has_layer()) absl::StrAppend(&names, vector->layer());
    for (int i = 0; i < vector->values_size(); ++i) {
      absl::StrAppend(&out, names, ",", i, ",");
      AppendShortest(vector->values(i), &out);
      out.push_back(',');
      if (i < vector->standard_errors_size()) {
        AppendShortest(vector->standard_errors(i), &out);
      }
      absl::StrAppend(&out, ",", vector->count(), "\r\n");
    }
  }
  return out;
}

}  // namespace sinkwatch::base

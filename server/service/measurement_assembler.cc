#include "server/service/measurement_assembler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sinkwatch::service {
namespace {

constexpr int kMaxMetrics = 1000;
constexpr int kMaxDomains = 1000;
constexpr int kMaxLayers = 1024;
constexpr int kMaxHeads = 1024;
constexpr int64_t kMaxVectors = 2000000;
constexpr int64_t kMaxValues = int64_t{1} << 27;
constexpr int64_t kMaxSequenceValues = int64_t{1} << 23;
constexpr int kMaxSequences = 65536;
constexpr size_t kMaxLabel = 200;
constexpr size_t kMaxText = 4000;
constexpr size_t kMaxReason = 1000;
constexpr int kMaxNotes = 100;
constexpr int kMaxSinks = 50000;
constexpr int kMaxMassive = 50000;
constexpr int kMaxUnusedNames = 5;
constexpr size_t kMaxTensorName = 2048;
constexpr size_t kDigestBytes = 16;
constexpr size_t kMaxTensorBytes = size_t{2} << 20;
constexpr int kNoLayer = -2;  // model scope; -1 is the embedding output

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("measurement: ", what));
}

std::string Describe(const v1::MetricVector& vector) {
  return absl::StrCat(vector.metric(), " of layer ",
                      vector.has_layer() ? vector.layer() : kNoLayer,
                      " in domain ", vector.domain());
}

int ValuesOf(v1::Scope scope, const v1::ModelInfo& model) {
  switch (scope) {
    case v1::SCOPE_HEAD:
      return model.heads();
    case v1::SCOPE_KV_HEAD:
      return model.kv_heads();
    default:
      return 1;
  }
}

bool InRange(int value, int high) { return value >= 1 && value <= high; }

absl::Status CheckDescriptor(const v1::MetricDescriptor& metric) {
  if (metric.name().size() > kMaxLabel) {
    return Wrong("the name of a metric is above 200 bytes");
  }
  if (metric.name().empty() || metric.scope() == v1::SCOPE_UNSPECIFIED) {
    return Wrong(absl::StrCat("descriptor \"", metric.name(),
                              "\" has no name or no scope"));
  }
  if (!std::isfinite(metric.threshold()) || !std::isfinite(metric.low()) ||
      !std::isfinite(metric.contrast())) {
    return Wrong(absl::StrCat("a bound of metric \"", metric.name(),
                              "\" is not a finite number"));
  }
  for (const std::string* text :
       {&metric.unit(), &metric.meaning(), &metric.formula(), &metric.source(),
        &metric.cost()}) {
    if (text->size() > kMaxText) {
      return Wrong(absl::StrCat("a text of metric \"", metric.name(), "\" has ",
                                text->size(), " bytes, above ", kMaxText));
    }
  }
  return absl::OkStatus();
}

// What is no label and no definition: short.
absl::Status CheckLabels(const v1::MeasurementHeader& header) {
  for (const std::string* label :
       {&header.worker(), &header.device(), &header.dtype(),
        &header.bos_policy(), &header.protocol(),
        &header.model().architecture(), &header.probe().name()}) {
    if (label->size() > kMaxLabel) {
      return Wrong(absl::StrCat("a text of the header has ", label->size(),
                                " bytes, above ", kMaxLabel));
    }
  }
  for (const std::string& domain : header.domains()) {
    if (domain.empty() || domain.size() > kMaxLabel) {
      return Wrong("a domain must have 1 to 200 characters");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckUnused(const v1::MeasurementHeader& header) {
  if (header.unused_tensors() < 0) {
    return Wrong("the number of unused tensors is below 0");
  }
  if (header.unused_tensor_names_size() > kMaxUnusedNames) {
    return Wrong(absl::StrCat("more than ", kMaxUnusedNames,
                              " names of unused tensors"));
  }
  for (const std::string& name : header.unused_tensor_names()) {
    if (name.size() <= kMaxTensorName) continue;
    return Wrong(absl::StrCat("the name of an unused tensor has ", name.size(),
                              " bytes, above ", kMaxTensorName));
  }
  return absl::OkStatus();
}

absl::Status CheckTensors(const v1::MeasurementTrailer& trailer) {
  size_t bytes = 0;
  for (const v1::TensorDigest& tensor : trailer.tensors()) {
    bytes += tensor.name().size() + tensor.digest().size();
    if (tensor.digest().size() != kDigestBytes) {
      return Wrong("the digest of a tensor has not 16 bytes");
    }
  }
  if (bytes > kMaxTensorBytes) {
    return Wrong("names and digests of tensors are above 2 MiB");
  }
  return absl::OkStatus();
}

absl::Status CheckNotes(const v1::MeasurementTrailer& trailer) {
  if (trailer.notes_size() > kMaxNotes) {
    return Wrong(absl::StrCat("there are more than ", kMaxNotes, " notes"));
  }
  for (const std::string& note : trailer.notes()) {
    if (note.size() > kMaxReason) {
      return Wrong("a note is above 1000 bytes");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSinks(const v1::MeasurementTrailer& trailer) {
  if (trailer.sinks_size() > kMaxSinks) {
    return Wrong(absl::StrCat("there are more than ", kMaxSinks,
                              " tokens that are sinks"));
  }
  for (const v1::SinkToken& sink : trailer.sinks()) {
    if (sink.domain().size() > kMaxLabel) {
      return Wrong("the domain of a sink is above 200 bytes");
    }
    for (double share :
         {sink.mass(), sink.head_share(), sink.sequence_share()}) {
      if (!std::isfinite(share)) {
        return Wrong("a share of a sink is not finite");
      }
    }
  }
  return absl::OkStatus();
}

// The domains that a header names, and those that came of one that names none.
bool IsDomain(const v1::Measurement& measurement, const std::string& domain) {
  const auto& named = measurement.header().domains();
  if (!named.empty()) {
    return std::find(named.begin(), named.end(), domain) != named.end();
  }
  const auto& vectors = measurement.vectors();
  return std::any_of(vectors.begin(), vectors.end(),
                     [&](const v1::MetricVector& vector) {
                       return vector.domain() == domain;
                     });
}

absl::Status CheckMassive(const v1::MeasurementTrailer& trailer,
                          const v1::Measurement& measurement) {
  if (trailer.massive_dimensions_size() > kMaxMassive) {
    return Wrong(absl::StrCat("there are more than ", kMaxMassive,
                              " massive dimensions"));
  }
  const std::string* known = nullptr;  // they come domain by domain
  for (const v1::MassiveDimension& one : trailer.massive_dimensions()) {
    if (known == nullptr || *known != one.domain()) {
      if (!IsDomain(measurement, one.domain())) {
        return Wrong("a massive dimension is of a domain that there is not");
      }
      known = &one.domain();
    }
    if (one.layer() < -1 ||
        one.layer() >= measurement.header().model().layers()) {
      return Wrong("a massive dimension is of a layer that there is not");
    }
    if (one.dimension() < 0 || one.position() < 0) {
      return Wrong("a massive dimension, or its position, is below 0");
    }
    if (!std::isfinite(one.value()) || !std::isfinite(one.sequence_share())) {
      return Wrong("a value or share of a massive dimension is not finite");
    }
  }
  return absl::OkStatus();
}

bool IsSeconds(double seconds) {
  return std::isfinite(seconds) && seconds >= 0;
}

}  // namespace

absl::Status MeasurementAssembler::Add(v1::MeasurementChunk chunk) {
  if (complete_) return Wrong("a part came after the end");
  switch (chunk.part_case()) {
    case v1::MeasurementChunk::kBegin:
      return Begin(std::move(*chunk.mutable_begin()));
    case v1::MeasurementChunk::kLayer:
      return AddLayer(std::move(*chunk.mutable_layer()));
    case v1::MeasurementChunk::kEnd:
      return End(chunk.end());
    case v1::MeasurementChunk::PART_NOT_SET:
      return Wrong("an empty part");
  }
  return Wrong("an unknown part");
}

absl::Status MeasurementAssembler::Begin(v1::MeasurementChunk::Begin begin) {
  if (begun_) return Wrong("begin came twice");
  begun_ = true;
  const v1::MeasurementHeader& header = begin.header();
  if (header.metrics_size() > kMaxMetrics) {
    return Wrong("too many metric descriptors");
  }
  if (header.domains_size() > kMaxDomains) return Wrong("too many domains");
  if (!InRange(header.model().layers(), kMaxLayers) ||
      !InRange(header.model().heads(), kMaxHeads) ||
      !InRange(header.model().kv_heads(), kMaxHeads)) {
    return Wrong("layers, heads and kv_heads must lie in 1..1024");
  }
  absl::Status status = CheckLabels(header);
  if (status.ok()) status = CheckUnused(header);
  for (const v1::MetricDescriptor& metric : header.metrics()) {
    if (status.ok()) status = CheckDescriptor(metric);
    if (!status.ok()) return status;
    if (!scopes_.emplace(metric.name(), metric.scope()).second) {
      return Wrong(
          absl::StrCat("metric \"", metric.name(), "\" is described twice"));
    }
    if (metric.sparse()) sparse_.insert(metric.name());
    if (metric.by_sequence()) by_sequence_.insert(metric.name());
  }
  request_.job_id = begin.job_id();
  request_.token = begin.token();
  *request_.measurement.mutable_header() = std::move(*begin.mutable_header());
  return absl::OkStatus();
}

absl::Status MeasurementAssembler::AddLayer(v1::MeasurementChunk::Layer layer) {
  if (!begun_) return Wrong("a layer came before begin");
  ++chunks_;
  for (v1::MetricVector& vector : *layer.mutable_vectors()) {
    absl::Status status = AddVector(std::move(vector));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status MeasurementAssembler::AddVector(v1::MetricVector vector) {
  absl::Status status = CheckVector(vector);
  if (!status.ok()) return status;
  if (!coverage_.Add(vector)) return Wrong(Describe(vector) + " came twice");
  ++vectors_;
  values_ += vector.values_size();
  sequence_values_ += vector.sequence_values_size();
  if (vectors_ > kMaxVectors || values_ > kMaxValues ||
      sequence_values_ > kMaxSequenceValues) {
    return absl::ResourceExhaustedError("measurement: too many values");
  }
  *request_.measurement.add_vectors() = std::move(vector);
  return absl::OkStatus();
}

absl::Status MeasurementAssembler::CheckVector(
    const v1::MetricVector& vector) const {
  if (vector.domain().empty() || vector.domain().size() > kMaxLabel) {
    return Wrong("a domain must have 1 to 200 characters");
  }
  const auto scope = scopes_.find(vector.metric());
  if (scope == scopes_.end()) {
    return Wrong(absl::StrCat("metric \"", vector.metric(),
                              "\" has no descriptor in the header"));
  }
  const v1::ModelInfo& model = request_.measurement.header().model();
  const bool of_model = scope->second == v1::SCOPE_MODEL;
  if (of_model == vector.has_layer()) {
    return Wrong(Describe(vector) + ": a layer does not go with its scope");
  }
  if (vector.has_layer() &&
      (vector.layer() < -1 || vector.layer() >= model.layers())) {
    return Wrong(Describe(vector) + ": there is no such layer");
  }
  if (vector.values_size() != ValuesOf(scope->second, model) ||
      vector.standard_errors_size() != vector.values_size()) {
    return Wrong(absl::StrCat(Describe(vector), ": ", vector.values_size(),
                              " values and ", vector.standard_errors_size(),
                              " standard errors, not as its scope says"));
  }
  if (vector.count() < 0) {
    return Wrong(Describe(vector) + " has a count below 0");
  }
  for (float error : vector.standard_errors()) {
    if (!std::isnan(error) && !(error >= 0 && std::isfinite(error))) {
      return Wrong(Describe(vector) +
                   " has a standard error that is neither NaN nor finite and "
                   "at least 0");
    }
  }
  const bool sparse = sparse_.count(vector.metric()) != 0;
  for (float value : vector.values()) {
    if (of_model || std::isfinite(value)) continue;
    if (!sparse || !std::isnan(value)) {
      return Wrong(Describe(vector) + " has a value that is not finite");
    }
  }
  return CheckSequences(vector);
}

absl::Status MeasurementAssembler::CheckSequences(
    const v1::MetricVector& vector) const {
  const int numbers = vector.sequence_values_size();
  if (numbers == 0) return absl::OkStatus();
  if (by_sequence_.count(vector.metric()) == 0) {
    return Wrong(Describe(vector) +
                 " has values of sequences, which its descriptor does not say");
  }
  if (numbers % vector.values_size() != 0) {
    return Wrong(absl::StrCat(Describe(vector), ": ", numbers,
                              " values of sequences are not equally many for ",
                              vector.values_size(), " values"));
  }
  if (numbers / vector.values_size() > kMaxSequences) {
    return Wrong(absl::StrCat(Describe(vector), " is of more than ",
                              kMaxSequences, " sequences"));
  }
  for (float value : vector.sequence_values()) {
    if (std::isinf(value)) {
      return Wrong(Describe(vector) +
                   " has a sequence whose value is neither NaN nor finite");
    }
  }
  return absl::OkStatus();
}

absl::Status MeasurementAssembler::End(const v1::MeasurementTrailer& trailer) {
  if (!begun_) return Wrong("end came before begin");
  if (trailer.chunks() != chunks_ || trailer.vectors() != vectors_ ||
      trailer.values() != values_) {
    return Wrong(absl::StrCat("the trailer counts ", trailer.chunks(),
                              " chunks, ", trailer.vectors(), " vectors, ",
                              trailer.values(), " values; there came ", chunks_,
                              ", ", vectors_, ", ", values_));
  }
  if (trailer.implausible().size() > kMaxReason) {
    return Wrong("the reason of an implausible one is above 1000 bytes");
  }
  if (trailer.content_digest().size() > kMaxLabel) {
    return Wrong("the content digest is above 200 bytes");
  }
  if (!IsSeconds(trailer.load_seconds()) ||
      !IsSeconds(trailer.compute_seconds())) {
    return Wrong("seconds must be finite and at least 0");
  }
  absl::Status status = CheckTensors(trailer);
  if (status.ok()) status = CheckNotes(trailer);
  if (status.ok()) status = CheckSinks(trailer);
  if (status.ok()) status = CheckMassive(trailer, request_.measurement);
  if (status.ok() && vectors_ == 0) status = Wrong("there came no values");
  if (status.ok()) {
    status = coverage_.Check(request_.measurement.header(), trailer);
  }
  if (!status.ok()) return status;
  request_.measurement.set_content_digest(trailer.content_digest());
  request_.measurement.set_load_seconds(trailer.load_seconds());
  request_.measurement.set_compute_seconds(trailer.compute_seconds());
  *request_.measurement.mutable_tensors() = trailer.tensors();
  *request_.measurement.mutable_notes() = trailer.notes();
  *request_.measurement.mutable_sinks() = trailer.sinks();
  *request_.measurement.mutable_massive_dimensions() =
      trailer.massive_dimensions();
  request_.measurement.set_implausible(!trailer.implausible().empty());
  request_.measurement.set_implausible_reason(trailer.implausible());
  complete_ = true;
  return absl::OkStatus();
}

}  // namespace sinkwatch::service

#include "server/service/measurement_assembler.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sinkwatch::service {
namespace {

constexpr int kMaxMetrics = 1000;
constexpr int kMaxLayers = 1024;
constexpr int kMaxHeads = 1024;
constexpr int64_t kMaxVectors = 2000000;
constexpr int64_t kMaxValues = int64_t{1} << 27;
constexpr size_t kMaxLabel = 200;
constexpr size_t kMaxReason = 1000;
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
  if (!InRange(header.model().layers(), kMaxLayers) ||
      !InRange(header.model().heads(), kMaxHeads) ||
      !InRange(header.model().kv_heads(), kMaxHeads)) {
    return Wrong("layers, heads and kv_heads must lie in 1..1024");
  }
  for (const v1::MetricDescriptor& metric : header.metrics()) {
    if (metric.name().empty() || metric.name().size() > kMaxLabel ||
        metric.scope() == v1::SCOPE_UNSPECIFIED) {
      return Wrong(absl::StrCat("descriptor \"", metric.name(),
                                "\" has no name or no scope"));
    }
    scopes_[metric.name()] = metric.scope();
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
  const VectorKey key{vector.domain(), vector.metric(),
                      vector.has_layer() ? vector.layer() : kNoLayer};
  if (!seen_.insert(key).second) {
    return Wrong(Describe(vector) + " came twice");
  }
  values_ += vector.values_size();
  if (static_cast<int64_t>(seen_.size()) > kMaxVectors ||
      values_ > kMaxValues) {
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
  for (float value : vector.values()) {
    if (!of_model && !std::isfinite(value)) {
      return Wrong(Describe(vector) + " has a value that is not finite");
    }
  }
  return absl::OkStatus();
}

absl::Status MeasurementAssembler::End(const v1::MeasurementTrailer& trailer) {
  if (!begun_) return Wrong("end came before begin");
  const int64_t vectors = static_cast<int64_t>(seen_.size());
  if (trailer.chunks() != chunks_ || trailer.vectors() != vectors ||
      trailer.values() != values_) {
    return Wrong(absl::StrCat("the trailer counts ", trailer.chunks(),
                              " chunks, ", trailer.vectors(), " vectors, ",
                              trailer.values(), " values; there came ", chunks_,
                              ", ", vectors, ", ", values_));
  }
  if (trailer.implausible().size() > kMaxReason) {
    return Wrong("the reason of an implausible one is above 1000 bytes");
  }
  request_.measurement.set_content_digest(trailer.content_digest());
  request_.measurement.set_implausible(!trailer.implausible().empty());
  request_.measurement.set_implausible_reason(trailer.implausible());
  complete_ = true;
  return absl::OkStatus();
}

}  // namespace sinkwatch::service

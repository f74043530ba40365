#include "worker/loop/measurement_proto.h"

#include "proto/base/utf8.h"
#include "proto/base/version.h"
#include "worker/metrics/headline.h"
#include "worker/metrics/role.h"

namespace sinkwatch::worker {
namespace {

// What the names and digests may take of the last message; each costs a few
// bytes more than they have.
constexpr size_t kMaxTensorBytes = 2 << 20;
constexpr size_t kBytesBesideName = 24;
constexpr int kMaxSinks = 50000;
constexpr int kMaxMassive = 50000;

size_t BytesOf(const std::vector<checkpoint::TensorDigest>& tensors) {
  size_t bytes = 0;
  for (const checkpoint::TensorDigest& tensor : tensors) {
    bytes += tensor.name.size() + kBytesBesideName;
  }
  return bytes;
}

v1::Scope ScopeProto(metrics::Scope scope) {
  switch (scope) {
    case metrics::Scope::kHead:
      return v1::SCOPE_HEAD;
    case metrics::Scope::kKvHead:
      return v1::SCOPE_KV_HEAD;
    case metrics::Scope::kLayer:
      return v1::SCOPE_LAYER;
    case metrics::Scope::kModel:
      return v1::SCOPE_MODEL;
  }
  return v1::SCOPE_UNSPECIFIED;
}

void SetRole(const metrics::RoleSpec* spec, v1::MetricDescriptor& proto) {
  if (spec == nullptr) return;
  proto.set_role(static_cast<v1::MetricRole>(spec->role));
  if (spec->low) proto.set_low(*spec->low);
  if (spec->contrast) proto.set_contrast(*spec->contrast);
}

v1::ModelInfo ModelProto(const model::ModelShape& shape) {
  v1::ModelInfo model;
  model.set_architecture(shape.architecture);
  model.set_layers(shape.layers);
  model.set_heads(shape.heads);
  model.set_kv_heads(shape.kv_heads);
  model.set_head_dim(shape.head_dim);
  model.set_width(shape.width);
  model.set_vocabulary(static_cast<int32_t>(shape.vocabulary));
  return model;
}

void AddSinks(const std::vector<metrics::SinkToken>& sinks,
              v1::MeasurementTrailer& trailer) {
  for (const metrics::SinkToken& sink : sinks) {
    if (trailer.sinks_size() == kMaxSinks) break;
    v1::SinkToken& proto = *trailer.add_sinks();
    proto.set_domain(sink.domain);
    proto.set_layer(sink.layer);
    proto.set_token(sink.token);
    proto.set_at_zero(sink.at_zero);
    proto.set_mass(sink.mass);
    proto.set_head_share(sink.head_share);
    proto.set_sequence_share(sink.sequence_share);
  }
}

void AddMassive(const std::vector<metrics::MassiveDimension>& dimensions,
                v1::MeasurementTrailer& trailer) {
  for (const metrics::MassiveDimension& massive : dimensions) {
    if (trailer.massive_dimensions_size() == kMaxMassive) break;
    v1::MassiveDimension& proto = *trailer.add_massive_dimensions();
    proto.set_domain(massive.domain);
    proto.set_layer(massive.layer);
    proto.set_dimension(static_cast<int32_t>(massive.dimension));
    proto.set_position(massive.position);
    proto.set_value(massive.value);
    proto.set_sequence_share(massive.sequence_share);
  }
}

}  // namespace

v1::MeasurementHeader HeaderProto(const v1::Job& job, const MeasureFacts& facts,
                                  const std::string& worker) {
  v1::MeasurementHeader header;
  *header.mutable_checkpoint() = job.checkpoint();
  *header.mutable_probe() = job.probe();
  header.mutable_probe()->set_name(facts.probe_name);
  *header.mutable_model() = ModelProto(facts.model);
  header.set_spec_version(base::kSpecVersion);
  header.set_dtype(facts.dtype);
  header.set_sequence_length(static_cast<int32_t>(facts.sequence_length));
  header.set_bos_policy(facts.bos_policy);
  header.set_protocol(facts.protocol);
  for (const metrics::Descriptor& metric : facts.metrics) {
    v1::MetricDescriptor& proto = *header.add_metrics();
    proto.set_headline(metrics::IsHeadline(metric.name));
    proto.set_name(metric.name);
    proto.set_unit(metric.unit);
    proto.set_scope(ScopeProto(metric.scope));
    proto.set_meaning(metric.meaning);
    proto.set_formula(metric.formula);
    proto.set_source(metric.source);
    if (metric.threshold) proto.set_threshold(*metric.threshold);
    proto.set_below(metric.below);
    SetRole(metrics::RoleOf(metric.name), proto);
    proto.set_sparse(metric.sparse);
    proto.set_on_request(metric.on_request);
    proto.set_cost(metric.cost);
    proto.set_by_sequence(metric.by_sequence);
  }
  for (const std::string& domain : facts.domains) header.add_domains(domain);
  header.set_unused_tensors(facts.unused.count);
  for (const std::string& name : facts.unused.first) {
    header.add_unused_tensor_names(base::EscapeBytes(name));
  }
  header.set_worker(worker);
  header.set_device(facts.device);
  return header;
}

v1::MeasurementChunk::Layer LayerProto(
    const std::vector<metrics::MetricVector>& values) {
  v1::MeasurementChunk::Layer layer;
  for (const metrics::MetricVector& vector : values) {
    v1::MetricVector& proto = *layer.add_vectors();
    proto.set_domain(vector.domain);
    proto.set_metric(vector.metric);
    if (vector.layer.has_value()) proto.set_layer(*vector.layer);
    proto.mutable_values()->Add(vector.values.begin(), vector.values.end());
    proto.mutable_standard_errors()->Add(vector.standard_error.begin(),
                                         vector.standard_error.end());
    proto.set_count(vector.count);
    proto.mutable_sequence_values()->Add(vector.sequence_values.begin(),
                                         vector.sequence_values.end());
  }
  return layer;
}

v1::MeasurementTrailer TrailerProto(const MeasureSummary& summary) {
  v1::MeasurementTrailer trailer;
  trailer.set_content_digest(summary.content_digest);
  trailer.set_load_seconds(summary.load_seconds);
  trailer.set_compute_seconds(summary.compute_seconds);
  trailer.set_implausible(summary.implausible);
  for (const std::string& note : summary.notes) trailer.add_notes(note);
  AddSinks(summary.sinks, trailer);
  AddMassive(summary.massive, trailer);
  if (BytesOf(summary.tensors) > kMaxTensorBytes) return trailer;
  for (const checkpoint::TensorDigest& tensor : summary.tensors) {
    v1::TensorDigest& proto = *trailer.add_tensors();
    proto.set_name(base::EscapeBytes(tensor.name));
    proto.set_digest(tensor.digest.data(), tensor.digest.size());
  }
  return trailer;
}

}  // namespace sinkwatch::worker

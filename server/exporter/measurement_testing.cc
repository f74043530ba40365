#include "server/exporter/measurement_testing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sinkwatch::exporter {
v1::Checkpoint MakeCheckpoint(const std::string& run, int64_t step) {
  v1::Checkpoint checkpoint;
  checkpoint.set_run(run);
  checkpoint.set_step(step);
  checkpoint.set_tokens(step * 4096);
  checkpoint.set_path(absl::StrCat("/checkpoints/", run, "/step", step));
  checkpoint.set_fingerprint(absl::StrCat("f", step));
  return checkpoint;
}

v1::Probe MakeProbe() {
  v1::Probe probe;
  probe.set_name("stories");
  probe.set_path("/probes/stories");
  probe.set_digest("d1");
  return probe;
}

v1::Measurement MakeEmptyMeasurement(const v1::Checkpoint& checkpoint,
                                     const Shape& shape) {
  v1::Measurement m;
  v1::MeasurementHeader* header = m.mutable_header();
  *header->mutable_checkpoint() = checkpoint;
  *header->mutable_probe() = MakeProbe();
  header->mutable_model()->set_architecture("OlmoForCausalLM");
  header->mutable_model()->set_layers(shape.layers);
  header->mutable_model()->set_heads(shape.heads);
  header->mutable_model()->set_kv_heads(shape.kv_heads);
  header->set_spec_version(1);
  header->set_dtype("float32");
  header->set_sequence_length(96);
  header->set_bos_policy("stored");
  return m;
}

v1::MetricDescriptor* Describe(const std::string& name, const std::string& unit,
                               v1::Scope scope, v1::Measurement* m) {
  v1::MetricDescriptor* metric = m->mutable_header()->add_metrics();
  metric->set_name(name);
  metric->set_unit(unit);
  metric->set_scope(scope);
  metric->set_meaning("Made up for a test.");
  metric->set_formula("made up");
  metric->set_source("test");
  return metric;
}

v1::MetricVector* AddVector(const std::string& domain,
                            const std::string& metric, int layer, int values,
                            v1::Measurement* m) {
  v1::MetricVector* vector = m->add_vectors();
  vector->set_domain(domain);
  vector->set_metric(metric);
  if (layer >= -1) vector->set_layer(layer);
  vector->set_count(100);
  vector->mutable_values()->Resize(values, 0);
  vector->mutable_standard_errors()->Resize(values, .01f);
  return vector;
}

v1::Measurement MakeMeasurement(const std::string& run, int64_t step,
                                const Shape& shape) {
  v1::Measurement m = MakeEmptyMeasurement(MakeCheckpoint(run, step), shape);
  Describe("sink_attention", "ratio", v1::SCOPE_HEAD, &m)
      ->set_meaning("Attention that rows give to key 0.");
  Describe("sink_count", "count", v1::SCOPE_HEAD, &m)
      ->set_meaning("Number of sinks.");
  Describe("key_norm_ratio", "ratio", v1::SCOPE_KV_HEAD, &m)
      ->set_meaning("Key norm of token 0 over the rest.");
  Describe("residual_norm_sink", "activation", v1::SCOPE_LAYER, &m)
      ->set_meaning("Residual norm of token 0.");
  Describe("probe_loss", "nats", v1::SCOPE_MODEL, &m)
      ->set_meaning("Next-token loss.");
  const float growth = std::min(1.f, static_cast<float>(step) / 1000.f);
  for (int l = 0; l < shape.layers; ++l) {
    auto* sink = AddVector("wiki", "sink_attention", l, shape.heads, &m);
    auto* count = AddVector("wiki", "sink_count", l, shape.heads, &m);
    for (int h = 0; h < shape.heads; ++h) {
      sink->set_values(h, (l + h / 10.f) * growth);
      count->set_values(h, static_cast<float>(h));
    }
    auto* key = AddVector("wiki", "key_norm_ratio", l, shape.kv_heads, &m);
    for (int g = 0; g < shape.kv_heads; ++g) key->set_values(g, .5f + g);
    AddVector("wiki", "residual_norm_sink", l, 1, &m)
        ->set_values(0, 10.f * (l + 1));
  }
  AddVector("wiki", "residual_norm_sink", -1, 1, &m)->set_values(0, 1);
  AddVector("wiki", "probe_loss", -2, 1, &m)->set_values(0, 2.5f);
  return m;
}

}  // namespace sinkwatch::exporter

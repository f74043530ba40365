#include "server/exporter/measurement_testing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sinkwatch::exporter {
namespace {

void Describe(const std::string& name, const std::string& unit, v1::Scope scope,
              const std::string& meaning, v1::MeasurementHeader* header) {
  v1::MetricDescriptor* metric = header->add_metrics();
  metric->set_name(name);
  metric->set_unit(unit);
  metric->set_scope(scope);
  metric->set_meaning(meaning);
  metric->set_formula("made up");
  metric->set_source("test");
}

v1::MetricVector* AddVector(const std::string& metric, int layer, int values,
                            v1::Measurement* m) {
  v1::MetricVector* vector = m->add_vectors();
  vector->set_domain("wiki");
  vector->set_metric(metric);
  if (layer >= -1) vector->set_layer(layer);
  vector->set_count(100);
  vector->mutable_values()->Resize(values, 0);
  vector->mutable_standard_errors()->Resize(values, .01f);
  return vector;
}

}  // namespace

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

v1::Measurement MakeMeasurement(const std::string& run, int64_t step,
                                const Shape& shape) {
  v1::Measurement m;
  v1::MeasurementHeader* header = m.mutable_header();
  *header->mutable_checkpoint() = MakeCheckpoint(run, step);
  *header->mutable_probe() = MakeProbe();
  header->mutable_model()->set_architecture("OlmoForCausalLM");
  header->mutable_model()->set_layers(shape.layers);
  header->mutable_model()->set_heads(shape.heads);
  header->mutable_model()->set_kv_heads(shape.kv_heads);
  header->set_spec_version(1);
  header->set_dtype("float32");
  header->set_sequence_length(96);
  header->set_bos_policy("stored");
  Describe("sink_attention", "ratio", v1::SCOPE_HEAD,
           "Attention that rows give to key 0.", header);
  Describe("sink_count", "count", v1::SCOPE_HEAD, "Number of sinks.", header);
  Describe("key_norm_ratio", "ratio", v1::SCOPE_KV_HEAD,
           "Key norm of token 0 over the rest.", header);
  Describe("residual_norm_sink", "activation", v1::SCOPE_LAYER,
           "Residual norm of token 0.", header);
  Describe("probe_loss", "nats", v1::SCOPE_MODEL, "Next-token loss.", header);
  const float growth = std::min(1.f, static_cast<float>(step) / 1000.f);
  for (int l = 0; l < shape.layers; ++l) {
    auto* sink = AddVector("sink_attention", l, shape.heads, &m);
    auto* count = AddVector("sink_count", l, shape.heads, &m);
    for (int h = 0; h < shape.heads; ++h) {
      sink->set_values(h, (l + h / 10.f) * growth);
      count->set_values(h, static_cast<float>(h));
    }
    auto* key = AddVector("key_norm_ratio", l, shape.kv_heads, &m);
    for (int g = 0; g < shape.kv_heads; ++g) key->set_values(g, .5f + g);
    AddVector("residual_norm_sink", l, 1, &m)->set_values(0, 10.f * (l + 1));
  }
  AddVector("residual_norm_sink", -1, 1, &m)->set_values(0, 1);
  AddVector("probe_loss", -2, 1, &m)->set_values(0, 2.5f);
  return m;
}

}  // namespace sinkwatch::exporter

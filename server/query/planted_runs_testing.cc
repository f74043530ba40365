#include "server/query/planted_runs_testing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/analytics/fixed_random.h"

namespace sinkwatch::query {
namespace {

constexpr const char* kDomains[] = {"wiki", "code"};
constexpr size_t kCommitsPerGroup = 50;

// The same everywhere.
class Noise {
 public:
  explicit Noise(uint64_t seed) : random_(seed) {}

  // Of mean 0 and standard deviation 1 (Box-Muller).
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - random_.Uniform()));
    return radius * std::cos(6.283185307179586 * random_.Uniform());
  }

 private:
  analytics::FixedRandom random_;
};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

bool Holds(const std::vector<std::pair<int, int>>& heads, int layer, int head) {
  return std::count(heads.begin(), heads.end(), std::make_pair(layer, head)) >
         0;
}

// How dormant a head is on a domain at the end.
double FinalDormancy(const PlantedRun& run, int layer, int head, bool code) {
  if (Holds(run.switching, layer, head)) return code ? .05 : .95;
  if (Holds(run.nearly, layer, head)) {
    return head % 2 == 0 ? (code ? .75 : .95) : (code ? .04 : .44);
  }
  return (layer * 7 + head * 5) % 3 == 0 ? .03 : .96;
}

// From 0 to 1, in a thirtieth of a factor of e around the onset.
double Risen(const PlantedRun& run, int64_t step) {
  return Sigmoid(
      (std::log1p(static_cast<double>(step)) - std::log1p(run.onset)) / .03);
}

v1::MetricDescriptor* Describe(const PlantedRun& run, const char* name,
                               v1::Scope scope, v1::MetricRole role,
                               v1::MeasurementHeader* header) {
  v1::MetricDescriptor* metric = header->add_metrics();
  metric->set_name(name);
  metric->set_unit(scope == v1::SCOPE_HEAD ? "ratio" : "activation");
  metric->set_scope(scope);
  metric->set_meaning("Made up for a test.");
  metric->set_headline(true);
  if (run.roles) metric->set_role(role);
  return metric;
}

void DescribeAll(const PlantedRun& run, v1::MeasurementHeader* header) {
  v1::MetricDescriptor* dormancy =
      Describe(run, "dormant_query_frac", v1::SCOPE_HEAD,
               v1::METRIC_ROLE_DORMANCY, header);
  dormancy->set_threshold(.9);
  dormancy->set_by_sequence(run.sequences > 0);
  if (run.roles) dormancy->set_low(.1);
  if (run.roles) dormancy->set_contrast(.3);
  Describe(run, "sink_attention", v1::SCOPE_HEAD, v1::METRIC_ROLE_SINK_MASS,
           header)
      ->set_threshold(.5);
  v1::MetricDescriptor* drain =
      Describe(run, "value_norm_ratio", v1::SCOPE_HEAD,
               v1::METRIC_ROLE_VALUE_DRAIN, header);
  drain->set_threshold(.5);
  drain->set_below(true);
  Describe(run, "residual_norm_sink", v1::SCOPE_LAYER,
           v1::METRIC_ROLE_RESIDUAL_NORM, header);
  Describe(run, "probe_loss", v1::SCOPE_MODEL, v1::METRIC_ROLE_LOSS, header);
}

class Measured {
 public:
  Measured(const PlantedRun& run, v1::Measurement* m, Noise* noise)
      : run_(run), m_(*m), noise_(*noise) {}

  void Add(const std::string& domain, const char* metric, int layer,
           const std::vector<double>& values, double scale) {
    v1::MetricVector& vector = *m_.add_vectors();
    vector.set_domain(domain);
    vector.set_metric(metric);
    if (layer >= 0) vector.set_layer(layer);
    vector.set_count(100);
    const double error = scale * run_.noise;
    for (double value : values) {
      vector.add_values(static_cast<float>(value + error * noise_.Normal()));
      vector.add_standard_errors(static_cast<float>(error));
    }
    if (std::string(metric) != "dormant_query_frac") return;
    if (run_.sequences > 0) AddSequences(error, vector);
    if (run_.dormancy_error > 0) {
      for (float& said : *vector.mutable_standard_errors()) {
        said = static_cast<float>(run_.dormancy_error);
      }
    }
  }

 private:
  // A wave around each value, which takes nothing from the noise of the others,
  // whose standard error is `error`.
  void AddSequences(double error, v1::MetricVector& vector) {
    const int n = run_.sequences;
    for (const float mean : vector.values()) {
      for (int i = 0; i < n; ++i) {
        const double wave =
            std::sqrt(2.0) * std::sin(6.283185307179586 * (i + .5) / n);
        vector.add_sequence_values(
            static_cast<float>(mean + error * std::sqrt(n - 1.0) * wave));
      }
    }
  }

  const PlantedRun& run_;
  v1::Measurement& m_;
  Noise& noise_;
};

void AddLayer(const PlantedRun& run, int64_t step, int layer, bool code,
              Measured& out) {
  const std::string domain = kDomains[code];
  const double risen = Risen(run, step);
  std::vector<double> dormancy, mass, drain;
  for (int h = 0; h < run.heads; ++h) {
    const double final_one = FinalDormancy(run, layer, h, code);
    dormancy.push_back(.02 + risen * (final_one - .02));
    if (code && Holds(run.blank, layer, h)) dormancy.back() = NAN;
    mass.push_back(.03 + .85 * (dormancy.back() - .02));
    drain.push_back(1.02 - .8 * mass.back());
  }
  out.Add(domain, "dormant_query_frac", layer, dormancy, 1);
  out.Add(domain, "sink_attention", layer, mass, 1);
  out.Add(domain, "value_norm_ratio", layer, drain, 1);
  double norm = 20 + .002 * static_cast<double>(step);
  if (layer >= 2 && run.jump > 0 && static_cast<double>(step) > run.jump) {
    norm += 30;
  }
  out.Add(domain, "residual_norm_sink", layer, {norm}, 5);
}

v1::Measurement MeasurementOf(const PlantedRun& run, const v1::Job& job) {
  const int64_t step = job.checkpoint().step();
  v1::Measurement m;
  v1::MeasurementHeader* header = m.mutable_header();
  *header->mutable_checkpoint() = job.checkpoint();
  *header->mutable_probe() = job.probe();
  header->mutable_model()->set_layers(run.layers);
  header->mutable_model()->set_heads(run.heads);
  header->mutable_model()->set_kv_heads(run.heads);
  header->set_spec_version(job.spec_version());
  header->set_sequence_length(96);
  header->set_dtype(run.dtype.empty() ? job.dtype() : run.dtype);
  header->set_bos_policy("stored");
  header->set_protocol(run.protocol);
  DescribeAll(run, header);
  const auto& repeated = run.repeated;
  if (std::count(repeated.begin(), repeated.end(), step) > 0) {
    m.set_content_digest("repeated");
  }
  Noise noise(run.seed * 1'000'003 + static_cast<uint64_t>(step));
  Measured out(run, &m, &noise);
  for (const bool code : {false, true}) {
    const auto& without = run.without_code;
    const bool lacks =
        code && std::count(without.begin(), without.end(), step) > 0;
    for (int layer = 0; layer < run.layers && !lacks; ++layer) {
      AddLayer(run, step, layer, code, out);
    }
    const double tokens = 1 + static_cast<double>(step);
    out.Add(kDomains[code], "probe_loss", -1,
            {2 + 8 / std::sqrt(1 + tokens / 100)}, 1);
  }
  return m;
}

store::Observation SeenOf(const PlantedRun& run, int64_t step) {
  store::Observation seen;
  seen.checkpoint.set_run(run.name);
  seen.checkpoint.set_step(step);
  seen.checkpoint.set_tokens(step * run.tokens_a_step);
  seen.checkpoint.set_fingerprint(run.content);
  seen.probe.set_digest("probe");
  seen.state = v1::JOB_STATE_QUEUED;
  return seen;
}

absl::Status CommitAll(std::vector<store::Store::CommitRequest>& group,
                       store::Store& store) {
  for (const auto& result : store.Commit(group)) {
    if (!result.ok()) return result.status();
  }
  group.clear();
  return absl::OkStatus();
}

}  // namespace

std::vector<int64_t> PlantedSteps(size_t count, int64_t every) {
  std::vector<int64_t> steps = {0};
  int64_t s = 1;
  for (; s < 2 * every && steps.size() < count; s *= 2) steps.push_back(s);
  for (s = 2 * every; steps.size() < count; s += every) steps.push_back(s);
  return steps;
}

std::vector<std::pair<int, int>> SpreadHeads(int count, int layers, int heads,
                                             int offset) {
  std::vector<std::pair<int, int>> chosen;
  const int all = layers * heads;
  for (int i = 0; i < count; ++i) {
    const int at = (offset + i * (all / count)) % all;
    chosen.emplace_back(at / heads, at % heads);
  }
  return chosen;
}

absl::Status Plant(const PlantedRun& run, store::Store& store,
                   const std::vector<size_t>& order) {
  v1::RunConfig config;
  config.set_name(run.name);
  if (absl::Status s = store.PutRun(config); !s.ok()) return s;
  std::vector<size_t> chosen = order;
  if (chosen.empty()) {
    chosen.resize(run.steps.size());
    std::iota(chosen.begin(), chosen.end(), size_t{0});
  }
  std::vector<store::Observation> seen;
  for (size_t i : chosen) seen.push_back(SeenOf(run, run.steps[i]));
  if (absl::Status s = store.Observe(seen); !s.ok()) return s;
  std::vector<store::Store::CommitRequest> group;
  for (size_t i : chosen) {
    const auto jobs =
        store.LeasableAround(run.name, run.steps[i], run.steps[i]);
    if (!jobs.ok()) return jobs.status();
    if (jobs->empty()) return absl::NotFoundError("a step is not queued");
    const auto lease = store.Lease(jobs->front().job.id(), "test", {}, 5);
    if (!lease.ok()) return lease.status();
    store::Store::CommitRequest request;
    request.job_id = lease->job.id();
    request.token = lease->token;
    request.measurement = MeasurementOf(run, lease->job);
    group.push_back(std::move(request));
    if (group.size() < kCommitsPerGroup) continue;
    if (absl::Status s = CommitAll(group, store); !s.ok()) return s;
  }
  return CommitAll(group, store);
}

absl::Status PlantPair(store::Store& store) {
  PlantedRun run;
  run.name = "late";
  run.steps = PlantedSteps(300, 500);
  run.switching = SpreadHeads(30, 32, 32);
  run.sequences = 64;
  run.tokens_a_step = int64_t{4} << 20;
  if (absl::Status s = Plant(run, store); !s.ok()) return s;
  run.name = "early";
  run.onset = 800;
  run.jump = 0;
  return Plant(run, store);
}

}  // namespace sinkwatch::query

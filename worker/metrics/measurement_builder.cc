#include "worker/metrics/measurement_builder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "ATen/core/grad_mode.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "c10/util/Exception.h"
#include "worker/metrics/batch_sums.h"
#include "worker/metrics/group_sums.h"
#include "worker/metrics/layer_statistics.h"
#include "worker/metrics/massive_dimensions.h"
#include "worker/metrics/model_scalars.h"
#include "worker/metrics/registry.h"
#include "worker/metrics/side_metrics.h"
#include "worker/metrics/sink_identity.h"

namespace sinkwatch::metrics {
namespace {

// The metric whose sinks are told by token, too.
constexpr char kSinkCount[] = "sink_count";

// What table of massive dimensions goes with.
constexpr char kMassiveCount[] = "massive_count";

// What a server takes of one measurement; and of one message, that of a layer,
// half of what it takes, beside all else.
constexpr int64_t kMaxSequenceValues = int64_t{1} << 23;
constexpr int64_t kMaxSequenceValuesOfLayer = int64_t{1} << 21;

// One metric in one layer and domain, by groups of rows; empty where nothing
// was folded.
using Groups = std::vector<std::optional<GroupSums>>;

struct LayerState {
  std::vector<std::vector<Groups>> domains;  // [domain][metric of the registry]
  // Factor of the projection seen last: the same for all batches of a layer.
  // That is not kept alive: its memory may be part of a whole layer's.
  std::optional<
      c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>>
      projection;
  at::Tensor write_factor_HRE;
};

// A batch whose sums are on their way.
struct PendingBatch {
  LayerBatch facts;  // without tensors of the device
  std::vector<Asked> asked;
  BatchSums sums;
  // Undefined where sinks are not told by token.
  at::Tensor sink_columns_BHC;
  at::Tensor sink_mass_BHC;
  // Likewise where massive activations are not told by dimension.
  MassiveEntries massive;
};

// Lengths of the rows of streams that came out of a layer, for the layer that
// they go into. Streams are told apart by what they are, not kept.
class KnownNorms {
 public:
  // Undefined where the stream is not known.
  at::Tensor Find(const at::Tensor& x_BTD) const {
    for (const auto& [stream, norm_BT] : known_) {
      if (stream._unsafe_get_target() == x_BTD.unsafeGetTensorImpl()) {
        return norm_BT;
      }
    }
    return {};
  }
  void Keep(const at::Tensor& x_BTD, at::Tensor norm_BT) {
    known_.erase(
        std::remove_if(known_.begin(), known_.end(),
                       [](const auto& known) { return known.first.expired(); }),
        known_.end());
    known_.emplace_back(x_BTD.getIntrusivePtr(), std::move(norm_BT));
  }

 private:
  using Stream =
      c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
  std::vector<std::pair<Stream, at::Tensor>> known_;
};

// What folding needs to know of a batch once its sums are made.
LayerBatch WithoutTensors(const LayerBatch& batch) {
  LayerBatch facts;
  facts.domain = batch.domain;
  facts.layer = batch.layer;
  facts.tokens_BT = batch.tokens_BT;
  facts.row_classes_BT = batch.row_classes_BT;
  return facts;
}

size_t PlaceOf(const Term& term, std::vector<Term>& terms) {
  const auto found = std::find(terms.begin(), terms.end(), term);
  if (found != terms.end()) return found - terms.begin();
  terms.push_back(term);
  return terms.size() - 1;
}

bool Applies(const Metric& metric, const LayerBatch& batch,
             unsigned available) {
  return (metric.needs & ~available) == 0 &&
         (metric.applies == nullptr || metric.applies(batch));
}

void FoldSequences(const BatchSums& sums, size_t term,
                   const std::string& metric, int layer,
                   ModelScalars& scalars) {
  for (int64_t b = 0; b < sums.sequences(); ++b) {
    double sum = 0;
    for (int64_t h = 0; h < sums.values(term); ++h) {
      sum += sums.At(term, b, h, 0).sum;
    }
    scalars.AddSequence(metric, layer, sum, sums.values(term));
  }
}

absl::Status CheckFinite(const MetricVector& vector, bool sparse) {
  for (size_t i = 0; i < vector.values.size(); ++i) {
    if (sparse && std::isnan(vector.values[i])) continue;
    // A standard error that is not a number is one that cannot be told.
    if (std::isfinite(vector.values[i]) &&
        !std::isinf(vector.standard_error[i])) {
      continue;
    }
    return absl::DataLossError(absl::StrCat(
        "layer ", vector.layer.value_or(0), ": metric ", vector.metric,
        " of domain ", vector.domain, " is not finite at index ", i));
  }
  return absl::OkStatus();
}

bool IsKnown(const std::string& name) {
  const auto& all = AllDescriptors();
  return std::any_of(all.begin(), all.end(),
                     [&](const Descriptor& d) { return d.name == name; });
}

bool IsSparse(const std::string& name) {
  const auto& all = AllDescriptors();
  return std::any_of(all.begin(), all.end(), [&](const Descriptor& d) {
    return d.name == name && d.sparse;
  });
}

absl::Status UnknownMetric(const std::string& name) {
  std::vector<std::string> known;
  for (const Descriptor& d : AllDescriptors()) known.push_back(d.name);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown metric '", name, "'; known are: ", kDefaultMetrics,
                   " and ", absl::StrJoin(known, ", ")));
}

}  // namespace

struct MeasurementBuilder::State {
  MeasurementOptions options;
  std::vector<std::string> emitted;  // names, sorted
  std::vector<bool> computed;        // per metric of the registry
  std::map<int, LayerState> layers;
  KnownNorms norms;
  std::vector<ModelScalars> scalars;                  // per domain
  std::map<std::pair<int, int>, SinkIdentity> sinks;  // by domain and layer
  std::map<std::pair<int, int>, MassiveDimensions> massive;  // likewise
  // The batch that came last, whose sums a GPU may still be computing.
  std::optional<PendingBatch> pending;

  bool Emits(const std::string& name) const {
    return std::binary_search(emitted.begin(), emitted.end(), name);
  }
  std::string Label(size_t domain, int64_t group) const;
  LayerState& LayerOf(const LayerBatch& batch);
  void FoldPending();
  const at::Tensor& FactorOf(const LayerBatch& batch, LayerState& layer) const;
  std::vector<Asked> Ask(const LayerBatch& batch,
                         std::vector<Term>& terms) const;
  void Fold(const BatchSums& sums, const Asked& asked, const LayerBatch& batch,
            Groups& groups);
  std::vector<MetricVector> Collect(int layer, const LayerState& state) const;
};

std::string MeasurementBuilder::State::Label(size_t domain,
                                             int64_t group) const {
  return options.domains[domain].Group(group);
}

LayerState& MeasurementBuilder::State::LayerOf(const LayerBatch& batch) {
  TORCH_CHECK(batch.domain >= 0 &&
                  batch.domain < static_cast<int>(options.domains.size()),
              "no domain ", batch.domain);
  LayerState& layer = layers[batch.layer];
  if (layer.domains.empty()) {
    layer.domains.resize(options.domains.size(),
                         std::vector<Groups>(computed.size()));
  }
  return layer;
}

const at::Tensor& MeasurementBuilder::State::FactorOf(const LayerBatch& batch,
                                                      LayerState& layer) const {
  const at::Tensor& projection_DHE = batch.output_projection_DHE;
  if (projection_DHE.defined() && batch.z_BHTE.defined() &&
      !(layer.projection &&
        layer.projection->lock() == projection_DHE.getIntrusivePtr())) {
    layer.projection.emplace(projection_DHE.getIntrusivePtr());
    layer.write_factor_HRE = WriteFactor(projection_DHE, batch.z_BHTE.size(1));
  }
  return layer.write_factor_HRE;
}

std::vector<Asked> MeasurementBuilder::State::Ask(
    const LayerBatch& batch, std::vector<Term>& terms) const {
  const unsigned available = Available(batch);
  const std::vector<Metric>& metrics = LayerMetrics();
  std::vector<Asked> asked;
  for (size_t m = 0; m < metrics.size(); ++m) {
    if (!computed[m] || !Applies(metrics[m], batch, available)) continue;
    Asked a{m, PlaceOf(metrics[m].value, terms), 0};
    if (metrics[m].reduction == Reduction::kRatio) {
      a.reference = PlaceOf(metrics[m].reference, terms);
    }
    asked.push_back(a);
  }
  return asked;
}

void MeasurementBuilder::State::Fold(const BatchSums& sums, const Asked& asked,
                                     const LayerBatch& batch, Groups& groups) {
  const Metric& metric = LayerMetrics()[asked.metric];
  const bool ratio = metric.reduction == Reduction::kRatio;
  if (!sums.Has(asked.value) || (ratio && !sums.Has(asked.reference))) return;
  const bool classes = metric.by_class && batch.row_classes_BT.defined();
  const size_t count =
      classes ? 1 + options.domains[batch.domain].classes.size() : 1;
  if (groups.size() < count) groups.resize(count);
  for (size_t group = 0; group < count; ++group) {
    if (!groups[group]) {
      groups[group].emplace(
          metric, sums.values(asked.value),
          options.sequence_values && metric.descriptor.by_sequence);
    }
    groups[group]->Fold(sums, asked, group);
  }
  if (ModelScalars::WantsSequences(metric.descriptor.name)) {
    FoldSequences(sums, asked.value, metric.descriptor.name, batch.layer,
                  scalars[batch.domain]);
  }
}

void MeasurementBuilder::State::FoldPending() {
  if (!pending) return;
  PendingBatch batch = *std::move(pending);
  pending.reset();
  batch.sums.Wait();
  std::vector<Groups>& metrics =
      LayerOf(batch.facts).domains[batch.facts.domain];
  for (const Asked& asked : batch.asked) {
    Fold(batch.sums, asked, batch.facts, metrics[asked.metric]);
  }
  if (batch.sink_columns_BHC.defined()) {
    sinks[{batch.facts.domain, batch.facts.layer}].Fold(
        batch.sink_columns_BHC, batch.sink_mass_BHC, batch.facts.tokens_BT);
  }
  if (batch.massive.value_BD.defined()) {
    massive[{batch.facts.domain, batch.facts.layer}].Fold(batch.massive);
  }
}

std::vector<MetricVector> MeasurementBuilder::State::Collect(
    int layer, const LayerState& state) const {
  std::vector<MetricVector> vectors;
  for (size_t domain = 0; domain < state.domains.size(); ++domain) {
    for (size_t m = 0; m < state.domains[domain].size(); ++m) {
      const Groups& groups = state.domains[domain][m];
      for (size_t group = 0; group < groups.size(); ++group) {
        std::optional<MetricVector> vector;
        const Descriptor& metric = LayerMetrics()[m].descriptor;
        if (groups[group]) vector = groups[group]->Finish();
        if (!vector) continue;
        vector->domain = Label(domain, group);
        vector->metric = metric.name;
        vector->layer = layer;
        vectors.push_back(*std::move(vector));
      }
    }
  }
  return vectors;
}

MeasurementBuilder::MeasurementBuilder(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
MeasurementBuilder::~MeasurementBuilder() = default;

absl::StatusOr<std::unique_ptr<MeasurementBuilder>> MeasurementBuilder::Create(
    const MeasurementOptions& options) {
  auto state = std::make_unique<State>();
  state->options = options;
  for (const std::string& name : options.metrics) {
    if (name != kDefaultMetrics && !IsKnown(name)) return UnknownMetric(name);
  }
  for (const Descriptor& d : DescriptorsOf(options.metrics)) {
    state->emitted.push_back(d.name);
  }
  state->emitted.push_back(kProbeLoss);
  std::sort(state->emitted.begin(), state->emitted.end());

  std::vector<std::string> wanted = state->emitted;
  for (const std::string& name : state->emitted) {
    for (std::string& behind : MetricsBehind(name)) {
      wanted.push_back(std::move(behind));
    }
  }
  for (const Metric& metric : LayerMetrics()) {
    state->computed.push_back(
        std::count(wanted.begin(), wanted.end(), metric.descriptor.name) > 0);
  }
  for (const Domain& domain : options.domains) {
    state->scalars.emplace_back(domain.classes.size(), state->emitted);
  }
  return std::unique_ptr<MeasurementBuilder>(
      new MeasurementBuilder(std::move(state)));
}

unsigned MeasurementBuilder::needs() const {
  unsigned needs = 0;
  const std::vector<Metric>& metrics = LayerMetrics();
  for (size_t m = 0; m < metrics.size(); ++m) {
    if (state_->computed[m]) needs |= metrics[m].needs;
  }
  return needs;
}

void MeasurementBuilder::FoldLayer(const LayerBatch& batch) {
  at::NoGradGuard no_grad;
  LayerState& layer = state_->LayerOf(batch);
  std::vector<Term> terms;
  const std::vector<Asked> asked = state_->Ask(batch, terms);
  if (asked.empty()) return;
  LayerStatistics statistics(batch, state_->FactorOf(batch, layer),
                             state_->norms.Find(batch.resid_pre_BTD));
  // Before the sums: when they have arrived, these have.
  at::Tensor sink_columns_BHC, sink_mass_BHC;
  if (state_->Emits(kSinkCount) && batch.tokens_BT.defined() &&
      (Available(batch) & kNeedsQueryKey) != 0) {
    sink_columns_BHC = StartCopyToCpu(statistics.sinks().column_BHC);
    sink_mass_BHC = StartCopyToCpu(statistics.sinks().mass_BHC);
  }
  BatchSums sums(statistics, terms,
                 state_->options.domains[batch.domain].classes.size());
  if (statistics.has_residual_moments()) {
    state_->norms.Keep(batch.resid_post_BTD, statistics.residual_norm_BT());
  }
  // Now that the device has work, what it had done before is folded.
  state_->FoldPending();
  state_->pending.emplace(PendingBatch{WithoutTensors(batch),
                                       asked,
                                       std::move(sums),
                                       std::move(sink_columns_BHC),
                                       std::move(sink_mass_BHC),
                                       {}});
  if (state_->Emits(kMassiveCount) && batch.resid_post_BTD.defined()) {
    state_->pending->massive = MassiveEntriesOf(statistics.residual_BTD(),
                                                statistics.massive_bound_B());
  }
}

void MeasurementBuilder::FoldLoss(int domain, const at::Tensor& loss_BT,
                                  const at::Tensor& row_classes_BT) {
  at::NoGradGuard no_grad;
  const auto& domains = state_->options.domains;
  TORCH_CHECK(domain >= 0 && domain < static_cast<int>(domains.size()),
              "no domain ", domain);
  // The last row of a sequence has a class but no next token.
  state_->scalars[domain].FoldLoss(loss_BT, row_classes_BT);
}

absl::StatusOr<std::vector<MetricVector>> MeasurementBuilder::FinishLayer(
    int layer) {
  if (state_->pending && state_->pending->facts.layer == layer) {
    state_->FoldPending();
  }
  const auto found = state_->layers.find(layer);
  if (found == state_->layers.end()) return std::vector<MetricVector>();
  std::vector<MetricVector> vectors = state_->Collect(layer, found->second);
  state_->layers.erase(found);
  for (const MetricVector& vector : vectors) {
    absl::Status status = CheckFinite(vector, IsSparse(vector.metric));
    if (!status.ok()) return status;
  }
  for (size_t domain = 0; domain < state_->scalars.size(); ++domain) {
    state_->scalars[domain].AddLayer(vectors, state_->Label(domain, 0));
  }
  vectors.erase(std::remove_if(vectors.begin(), vectors.end(),
                               [&](const MetricVector& vector) {
                                 return !state_->Emits(vector.metric);
                               }),
                vectors.end());
  return vectors;
}

absl::StatusOr<std::vector<MetricVector>> MeasurementBuilder::FinishModel() {
  state_->FoldPending();
  std::vector<MetricVector> vectors;
  for (size_t domain = 0; domain < state_->scalars.size(); ++domain) {
    std::vector<std::string> labels = {state_->Label(domain, 0)};
    const size_t classes = state_->options.domains[domain].classes.size();
    for (size_t c = 1; c <= classes; ++c) {
      labels.push_back(state_->Label(domain, c));
    }
    for (MetricVector& vector : state_->scalars[domain].Finish(labels)) {
      if (state_->Emits(vector.metric)) vectors.push_back(std::move(vector));
    }
  }
  return vectors;
}

std::vector<SinkToken> MeasurementBuilder::Sinks() const {
  std::vector<SinkToken> all;
  for (const auto& [place, identity] : state_->sinks) {
    for (SinkToken& sink : identity.Finish()) {
      sink.domain = state_->options.domains[place.first].label;
      sink.layer = place.second;
      all.push_back(std::move(sink));
    }
  }
  return all;
}

std::vector<MassiveDimension> MeasurementBuilder::Massive() const {
  std::vector<MassiveDimension> all;
  for (const auto& [place, dimensions] : state_->massive) {
    for (MassiveDimension& massive : dimensions.Finish()) {
      massive.domain = state_->options.domains[place.first].label;
      massive.layer = place.second;
      all.push_back(std::move(massive));
    }
  }
  return all;
}

bool FewSequenceValues(int64_t metrics, int64_t layers, int64_t heads,
                       int64_t sequences) {
  const int64_t of_layer = metrics * heads * sequences;
  return of_layer <= kMaxSequenceValuesOfLayer &&
         of_layer * layers <= kMaxSequenceValues;
}

const std::vector<Descriptor>& AllDescriptors() {
  static const auto& descriptors = *[] {
    auto* all = new std::vector<Descriptor>;
    for (const Metric& metric : LayerMetrics()) {
      all->push_back(metric.descriptor);
    }
    for (const ModelMetric& metric : ModelMetrics()) {
      all->push_back(metric.descriptor);
    }
    for (const Descriptor& side : SideDescriptors()) all->push_back(side);
    return all;
  }();
  return descriptors;
}

std::vector<Descriptor> DescriptorsOf(const std::vector<std::string>& metrics) {
  std::vector<Descriptor> descriptors;
  const auto has = [&](const std::string& name) {
    return std::find(metrics.begin(), metrics.end(), name) != metrics.end();
  };
  const bool by_default = metrics.empty() || has(kDefaultMetrics);
  for (const Descriptor& d : AllDescriptors()) {
    if ((by_default && !d.on_request) || d.name == kProbeLoss || has(d.name)) {
      descriptors.push_back(d);
    }
  }
  return descriptors;
}

}  // namespace sinkwatch::metrics

#include "worker/executor/executor.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "ATen/Context.h"
#include "absl/strings/str_cat.h"
#include "c10/core/InferenceMode.h"
#include "c10/util/Exception.h"
#include "spdlog/spdlog.h"
#include "worker/executor/ablation_run.h"
#include "worker/executor/batches.h"
#include "worker/executor/device_errors.h"
#include "worker/executor/layer_recorder.h"
#include "worker/executor/loss.h"
#include "worker/executor/model_parts.h"
#include "worker/executor/side_run.h"
#include "worker/executor/used_tokens.h"
#include "worker/executor/weight_loader.h"
#include "worker/executor/weight_source.h"
#include "worker/executor/weight_stream.h"
#include "worker/metrics/ablation_metrics.h"
#include "worker/metrics/measurement_builder.h"

namespace sinkwatch::executor {
namespace {

std::vector<metrics::Domain> DomainsOf(const probe::Corpus& corpus) {
  std::vector<metrics::Domain> domains;
  for (const probe::Domain& domain : corpus.domains()) {
    domains.push_back({domain.label, domain.class_names});
  }
  return domains;
}

// Metrics that the choice of heads needs and that nobody asked for.
std::vector<std::string> SilentMetrics(const ExecuteOptions& options) {
  if (options.ablation.policy.none()) return {};
  std::vector<std::string> silent = metrics::HeadSignMetrics();
  for (const metrics::Descriptor& asked :
       metrics::DescriptorsOf(options.metrics)) {
    silent.erase(std::remove(silent.begin(), silent.end(), asked.name),
                 silent.end());
  }
  return silent;
}

// Whether the values of single sequences are few enough to be handed out.
bool GivesSequenceValues(const model::ModelShape& shape,
                         const probe::Corpus& corpus,
                         const ExecuteOptions& options) {
  int64_t by_sequence = 0, sequences = 0;
  for (const metrics::Descriptor& d : metrics::DescriptorsOf(options.metrics)) {
    by_sequence += d.by_sequence;
  }
  for (const probe::Domain& domain : corpus.domains()) {
    sequences += domain.tokens_NT.size(0) *
                 (1 + static_cast<int64_t>(domain.class_names.size()));
  }
  return metrics::FewSequenceValues(by_sequence, shape.layers, shape.heads,
                                    sequences);
}

metrics::MeasurementOptions MeasurementOptionsOf(
    const model::ModelShape& shape, const probe::Corpus& corpus,
    const ExecuteOptions& options) {
  metrics::MeasurementOptions measurement;
  measurement.metrics = options.metrics;
  for (std::string& silent : SilentMetrics(options)) {
    measurement.metrics.push_back(std::move(silent));
  }
  measurement.domains = DomainsOf(corpus);
  measurement.sequence_values = GivesSequenceValues(shape, corpus, options);
  return measurement;
}

std::vector<AblationBatch> AblationBatchesOf(
    const std::vector<Batch>& batches) {
  std::vector<AblationBatch> ablated;
  for (const Batch& batch : batches) {
    ablated.push_back({batch.domain, batch.tokens_BT, batch.row_classes_BT});
  }
  return ablated;
}

// One run of a corpus through a checkpoint.
class Execution {
 public:
  Execution(const model::Architecture& architecture,
            checkpoint::Checkpoint& checkpoint, const probe::Corpus& corpus,
            const ExecuteOptions& options, const ExecuteCallbacks& callbacks,
            metrics::MeasurementBuilder& measurement)
      : checkpoint_(checkpoint),
        architecture_(architecture),
        callbacks_(callbacks),
        measurement_(measurement),
        options_(options),
        side_runs_(MakeSideRuns(architecture, corpus, options.metrics,
                                options.device, options.tokens_per_batch)),
        used_tokens_(corpus, architecture.shape().vocabulary,
                     TokensOf(side_runs_)),
        device_(options.device),
        parts_(architecture, used_tokens_.rows(), options.device),
        batches_(CutIntoBatches(corpus, used_tokens_, options.tokens_per_batch,
                                options.device)),
        loader_(checkpoint, options.device, options.dtype) {
    for (const Batch& batch : batches_) sequences_ += batch.sequences();
    if (options.ablation.policy.none()) return;
    ablation_ = std::make_unique<AblationRun>(
        architecture, options.ablation, DomainsOf(corpus),
        AblationBatchesOf(batches_), corpus.digest(), options.tokens_per_batch,
        [this] { return AfterBatch(batches_[0], /*counts=*/false); });
  }

  absl::Status Run() {
    // The rows of the probe's tokens stand for all.
    for (const model::TensorSpec& spec : architecture_.HeadTensors()) {
      WarnIfNotTied(checkpoint_, spec, used_tokens_.rows());
    }
    absl::Status status =
        ablation_ == nullptr ? absl::OkStatus() : ablation_->Check();
    StartStream();
    if (status.ok()) status = Embed();
    const int layers = architecture_.shape().layers;
    for (int layer = 0; status.ok() && layer < layers; ++layer) {
      status = RunLayer(layer);
    }
    if (status.ok()) status = RunHead();
    if (status.ok()) status = RunSideRunsBack();
    if (status.ok()) status = FinishSideRuns();
    while (status.ok() && ablation_ != nullptr && ablation_->HasMore()) {
      status = RunAblationPass();
    }
    if (status.ok()) loader_.FinishDigests();
    if (!status.ok() || ablation_ == nullptr) return status;
    return Pass(ablation_->Finish());
  }

  double waited_seconds() const { return loader_.waited_seconds(); }
  // Null if no heads were ablated.
  const AblationRun* ablation() const { return ablation_.get(); }

 private:
  absl::Status Embed() {
    auto weights = stream_->Next();
    if (!weights.ok()) return weights.status();
    for (Batch& batch : batches_) {
      batch.x_BTD = architecture_.Embed(*weights, batch.embedding_rows_BT);
      batch.embedding_rows_BT = at::Tensor();
      metrics::LayerBatch folded = NewLayerBatch(batch, -1);
      folded.resid_post_BTD = batch.x_BTD;
      measurement_.FoldLayer(folded);
      absl::Status status = AfterBatch(batch);
      if (!status.ok()) return status;
    }
    for (const auto& side : side_runs_) side->Start(EmbedBy(*weights));
    return device_.is_cpu() ? TellBelow(0) : absl::OkStatus();
  }

  absl::Status RunLayer(int layer) {
    auto weights = stream_->Next();
    if (!weights.ok()) return weights.status();
    if (ablation_ != nullptr) ablation_->KeepInputs(Streams());
    for (size_t i = 0; i < batches_.size(); ++i) {
      RunBatchOrHalves(layer, *weights, i);
      absl::Status status = TellBelow(layer);
      if (status.ok()) status = AfterBatch(batches_[i]);
      if (!status.ok()) return status;
    }
    for (const auto& side : side_runs_) {
      side->RunLayer(layer, *weights);
      absl::Status status = AfterBatch(batches_[0], /*counts=*/false);
      if (!status.ok()) return status;
    }
    if (ablation_ != nullptr) return RunAblations(layer, *weights);
    return device_.is_cpu() ? TellBelow(layer + 1) : absl::OkStatus();
  }

  // The streams as they stand, in the order of their sequences.
  std::vector<at::Tensor> Streams() const {
    std::vector<at::Tensor> streams;
    for (const Batch& batch : batches_) streams.push_back(batch.x_BTD);
    return streams;
  }

  // The layer's values, which the choice of heads needs, then the heads.
  absl::Status RunAblations(int layer, const model::TensorMap& weights) {
    absl::Status status = TellBelow(layer);
    if (!status.ok()) return status;
    auto values = measurement_.FinishLayer(next_told_++);
    if (values.ok()) status = ablation_->RunLayer(layer, weights, *values);
    if (!status.ok()) return status;
    return Pass(std::move(values));
  }

  // Where memory runs out, this batch and those after it become smaller ones.
  void RunBatchOrHalves(int layer, const model::TensorMap& weights, size_t i) {
    while (true) {
      try {
        return RunBatch(layer, weights, batches_[i]);
      } catch (const c10::Error& error) {
        if (!IsOutOfMemory(error) || !HalveFrom(i, batches_)) throw;
      }
      ReleaseDeviceMemory(device_);
      spdlog::warn(
          "no memory for a batch; it is halved device={} layer={} sequences={}",
          device_.str(), layer, batches_[i].sequences());
    }
  }

  // Either the whole batch is folded and its stream moved on, or, where
  // something is thrown, nothing has changed.
  void RunBatch(int layer, const model::TensorMap& weights, Batch& batch) {
    metrics::LayerBatch folded = NewLayerBatch(batch, layer);
    DescribeLayer(architecture_, layer, weights, folded);
    LayerRecorder recorder(folded, measurement_.needs());
    at::Tensor x_BTD =
        architecture_.Block(layer, weights, batch.x_BTD, recorder);
    measurement_.FoldLayer(folded);
    batch.x_BTD = std::move(x_BTD);
  }

  // `weights` must outlive it.
  SideRun::Embed EmbedBy(const model::TensorMap& weights) const {
    return [this, &weights](const at::Tensor& tokens_BT) {
      return architecture_.Embed(
          weights, used_tokens_.Renumber(tokens_BT.to(at::kCPU)).to(device_));
    };
  }

  // Once more through all weights, from the last to the first, for the side
  // runs that go back.
  absl::Status RunSideRunsBack() {
    std::vector<SideRun*> back;
    for (const auto& side : side_runs_) {
      if (side->GoesBack()) back.push_back(side.get());
    }
    if (back.empty()) return absl::OkStatus();
    StartStreamBack();
    absl::Status status = EachHeadSlice([&](const auto& head, int64_t first) {
      for (SideRun* side : back) side->AddHeadSliceBack(head, first);
      return AfterBatch(batches_[0], /*counts=*/false);
    });
    for (int layer = architecture_.shape().layers - 1;
         status.ok() && layer >= 0; --layer) {
      auto weights = stream_->Next();
      if (!weights.ok()) return weights.status();
      for (SideRun* side : back) side->RunLayerBack(layer, *weights);
      status = AfterBatch(batches_[0], /*counts=*/false);
    }
    return status;
  }

  absl::Status FinishSideRuns() {
    for (const auto& side : side_runs_) {
      absl::Status status = Pass(side->Finish());
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  void StartStream() {
    stream_ = std::make_unique<WeightStream>(
        loader_, parts_.count(),
        [this](int64_t part) { return parts_.Request(part); },
        PartsAhead(device_));
  }

  // From the output matrix to the first layer.
  void StartStreamBack() {
    stream_ = std::make_unique<WeightStream>(
        loader_, parts_.count_back(),
        [this](int64_t part) { return parts_.RequestBack(part); },
        PartsAhead(device_));
  }

  // The slices of the output matrix, which are next in the stream.
  absl::Status EachHeadSlice(
      const std::function<absl::Status(const model::TensorMap& head,
                                       int64_t first)>& take) {
    for (int64_t first = 0; first < architecture_.shape().vocabulary;) {
      auto head = stream_->Next();
      if (!head.ok()) return head.status();
      absl::Status status = take(*head, first);
      if (!status.ok()) return status;
      first += head->at("lm_head").size(0);
    }
    return absl::OkStatus();
  }

  absl::Status RunHead() {
    std::vector<NextTokenLoss> losses;
    for (const Batch& batch : batches_) losses.emplace_back(batch.tokens_BT);
    absl::Status taken = EachHeadSlice([&](const auto& head, int64_t first) {
      const bool last = first + head.at("lm_head").size(0) ==
                        architecture_.shape().vocabulary;
      for (size_t i = 0; i < batches_.size(); ++i) {
        losses[i].AddSlice(architecture_, head, first, batches_[i].x_BTD);
        absl::Status status = TellBelow(architecture_.shape().layers);
        if (status.ok()) status = AfterBatch(batches_[i], last);
        if (!status.ok()) return status;
      }
      for (const auto& side : side_runs_) side->AddHeadSlice(head, first);
      return ablation_ == nullptr ? absl::OkStatus()
                                  : ablation_->AddHeadSlice(head, first);
    });
    if (!taken.ok()) return taken;
    std::vector<at::Tensor> of_rows;
    for (size_t i = 0; i < batches_.size(); ++i) {
      of_rows.push_back(losses[i].Finish());
      measurement_.FoldLoss(batches_[i].domain, of_rows[i],
                            batches_[i].row_classes_BT);
    }
    if (ablation_ != nullptr) ablation_->FoldLosses(of_rows);
    return Pass(measurement_.FinishModel());
  }

  // Once more through all weights, for heads whose streams had no room.
  absl::Status RunAblationPass() {
    StartStream();
    auto embedding = stream_->Next();
    if (!embedding.ok()) return embedding.status();
    ablation_->StartPass(EmbedBy(*embedding));
    const int layers = architecture_.shape().layers;
    for (int layer = 0; layer < layers; ++layer) {
      auto weights = stream_->Next();
      if (!weights.ok()) return weights.status();
      absl::Status status = ablation_->RunLayer(layer, *weights, {});
      if (!status.ok()) return status;
    }
    absl::Status taken = EachHeadSlice([&](const auto& head, int64_t first) {
      return ablation_->AddHeadSlice(head, first);
    });
    if (!taken.ok()) return taken;
    ablation_->FoldLosses({});
    return absl::OkStatus();
  }

  metrics::LayerBatch NewLayerBatch(const Batch& batch, int layer) const {
    metrics::LayerBatch folded;
    folded.domain = batch.domain;
    folded.layer = layer;
    folded.tokens_BT = batch.cpu_tokens_BT;
    folded.row_classes_BT = batch.row_classes_BT;
    return folded;
  }

  // Hands out the values of all layers below `layer` that were not told yet. On
  // a GPU that is after the first batch of the next layer, so that the card has
  // work meanwhile.
  absl::Status TellBelow(int layer) {
    absl::Status status;
    while (status.ok() && next_told_ < layer) {
      status = Pass(measurement_.FinishLayer(next_told_++));
    }
    return status;
  }

  absl::Status Pass(
      absl::StatusOr<std::vector<metrics::MetricVector>> values) const {
    if (!values.ok()) {
      return absl::Status(
          values.status().code(),
          absl::StrCat(checkpoint_.folder(), ": ", values.status().message()));
    }
    const std::vector<std::string> silent = SilentMetrics(options_);
    values->erase(std::remove_if(values->begin(), values->end(),
                                 [&](const metrics::MetricVector& vector) {
                                   return std::count(silent.begin(),
                                                     silent.end(),
                                                     vector.metric) > 0;
                                 }),
                  values->end());
    if (!callbacks_.on_values) return absl::OkStatus();
    return callbacks_.on_values(*std::move(values));
  }

  // `counts`: whether it is a step of the progress that is shown.
  absl::Status AfterBatch(const Batch& batch, bool counts = true) {
    if (counts) sequences_done_ += batch.sequences();
    const double parts = architecture_.shape().layers + 2;
    if (callbacks_.on_progress) {
      callbacks_.on_progress(sequences_done_ / (parts * sequences_));
    }
    if (callbacks_.cancelled && callbacks_.cancelled()) {
      return absl::CancelledError("the measurement was cancelled");
    }
    return absl::OkStatus();
  }

  checkpoint::Checkpoint& checkpoint_;
  const model::Architecture& architecture_;
  const ExecuteCallbacks& callbacks_;
  metrics::MeasurementBuilder& measurement_;
  const ExecuteOptions& options_;
  const std::vector<std::unique_ptr<SideRun>> side_runs_;
  const UsedTokens used_tokens_;
  const at::Device device_;
  const ModelParts parts_;
  std::vector<Batch> batches_;
  WeightLoader loader_;
  std::unique_ptr<WeightStream> stream_;   // of the pass under way
  std::unique_ptr<AblationRun> ablation_;  // null: no head is changed
  int next_told_ = -1;                     // layer
  int64_t sequences_ = 0;
  int64_t sequences_done_ = 0;  // once a part of the model
};

absl::Status InWords(const absl::Status& error, const std::string& folder,
                     const ExecuteOptions& options) {
  if (error.code() != absl::StatusCode::kResourceExhausted) return error;
  return absl::ResourceExhaustedError(absl::StrCat(
      folder, ": no memory on ", options.device.str(),
      " for the probe, of which ", options.tokens_per_batch,
      " tokens at a time (--tokens_per_batch): ", error.message()));
}

}  // namespace

absl::StatusOr<ExecuteSummary> Execute(const model::Architecture& architecture,
                                       checkpoint::Checkpoint& checkpoint,
                                       const probe::Corpus& corpus,
                                       const ExecuteOptions& options,
                                       const ExecuteCallbacks& callbacks) {
  absl::Status fits = corpus.CheckFits(architecture.shape().vocabulary,
                                       architecture.shape().max_positions);
  if (!fits.ok()) return fits;
  const auto there = CheckWeights(architecture, checkpoint);
  if (!there.ok()) return there.status();
  auto measurement = metrics::MeasurementBuilder::Create(
      MeasurementOptionsOf(architecture.shape(), corpus, options));
  if (!measurement.ok()) return measurement.status();
  // float32 means float32: no TF32 products on a GPU.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);

  const auto start = std::chrono::steady_clock::now();
  ExecuteSummary summary;
  // Everything that touches the device stands in here.
  absl::Status status = CatchDeviceErrors(options.device, [&] {
    const c10::InferenceMode guard;
    Execution execution(architecture, checkpoint, corpus, options, callbacks,
                        **measurement);
    const absl::Status ran = execution.Run();
    summary.load_seconds = execution.waited_seconds();
    if (const AblationRun* const ablation = execution.ablation()) {
      summary.notes = ablation->Notes();
      summary.head_states = ablation->states();
    }
    return ran;
  });
  if (!status.ok()) return InWords(status, checkpoint.folder(), options);
  status = checkpoint.CheckUnchanged();
  if (!status.ok()) return status;

  const std::chrono::duration<double> all =
      std::chrono::steady_clock::now() - start;
  summary.compute_seconds = all.count() - summary.load_seconds;
  if (!GivesSequenceValues(architecture.shape(), corpus, options)) {
    summary.notes.push_back(
        "the values of single sequences are left out: there are too many");
  }
  summary.sinks = (*measurement)->Sinks();
  summary.massive = (*measurement)->Massive();
  summary.content_digest = checkpoint.ContentDigest();
  summary.tensors = checkpoint.TensorDigests();
  return summary;
}

}  // namespace sinkwatch::executor

#include "worker/executor/executor.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "ATen/Context.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "c10/core/InferenceMode.h"
#include "c10/util/Exception.h"
#include "worker/executor/loss.h"
#include "worker/executor/used_tokens.h"
#include "worker/executor/weight_loader.h"
#include "worker/executor/weight_source.h"
#include "worker/metrics/measurement_builder.h"

namespace sinkwatch::executor {
namespace {

using model::AttentionKind;
using model::Point;

// Elements of the output matrix that are held at a time: 16 MiB of float32, of
// which there are two, one being read.
constexpr int64_t kHeadElements = int64_t{1} << 22;

// A few sequences of one domain and the stream that they have become.
struct Batch {
  int domain = 0;
  at::Tensor tokens_BT;
  at::Tensor embedding_rows_BT;  // the tokens, renumbered to the rows in memory
  at::Tensor row_classes_BT;
  at::Tensor x_BTD;
};

// Keeps what the metrics fold of one pass through one layer.
class LayerRecorder final : public model::Recorder {
 public:
  explicit LayerRecorder(metrics::LayerBatch& layer) : layer_(layer) {}

  void Record(Point point, int, const at::Tensor& tensor) override {
    switch (point) {
      case Point::kResidPre:
        layer_.resid_pre_BTD = tensor;
        break;
      case Point::kQ:
        layer_.q_BHTE = tensor;
        break;
      case Point::kK:
        layer_.k_BGTE = tensor;
        break;
      case Point::kV:
        layer_.v_BGTE = tensor;
        break;
      case Point::kZ:
        layer_.z_BHTE = tensor;
        break;
      case Point::kResidPost:
        layer_.resid_post_BTD = tensor;
        break;
      case Point::kAttnOut:
      case Point::kResidMid:
      case Point::kMlpOut:
        break;  // no metric asks for them
    }
  }

 private:
  metrics::LayerBatch& layer_;
};

std::vector<Batch> CutIntoBatches(const probe::Corpus& corpus,
                                  const UsedTokens& used,
                                  const ExecuteOptions& options) {
  const int64_t step =
      std::max<int64_t>(1, options.tokens_per_batch / corpus.sequence_length());
  std::vector<Batch> batches;
  for (size_t domain = 0; domain < corpus.domains().size(); ++domain) {
    const probe::Domain& text = corpus.domains()[domain];
    for (int64_t begin = 0; begin < text.tokens_NT.size(0); begin += step) {
      const int64_t end = std::min(begin + step, text.tokens_NT.size(0));
      Batch batch;
      batch.domain = static_cast<int>(domain);
      const at::Tensor tokens_BT = text.tokens_NT.slice(0, begin, end);
      batch.tokens_BT = tokens_BT.to(options.device);
      batch.embedding_rows_BT = used.Renumber(tokens_BT).to(options.device);
      if (text.row_classes_NT.defined()) {
        batch.row_classes_BT = text.row_classes_NT.slice(0, begin, end);
      }
      batches.push_back(std::move(batch));
    }
  }
  return batches;
}

metrics::MeasurementOptions MeasurementOptionsOf(
    const probe::Corpus& corpus, const ExecuteOptions& options) {
  metrics::MeasurementOptions measurement;
  measurement.metrics = options.metrics;
  for (const probe::Domain& domain : corpus.domains()) {
    measurement.domains.push_back({domain.label, domain.class_names});
  }
  return measurement;
}

kernels::AttentionOptions AttentionOptionsOf(
    const model::AttentionShape& shape) {
  kernels::AttentionOptions options;
  options.scale = shape.scale;
  options.window = shape.window;
  if (shape.kind == AttentionKind::kRelu) {
    options.normalisation = kernels::Normalisation::kRelu;
  }
  return options;
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
        used_tokens_(corpus, architecture.shape().vocabulary),
        batches_(CutIntoBatches(corpus, used_tokens_, options)),
        loader_(checkpoint, options.device, options.dtype) {}

  absl::Status Run() {
    // The rows of the probe's tokens stand for all.
    for (const model::TensorSpec& spec : architecture_.HeadTensors()) {
      WarnOfOtherCopies(checkpoint_, spec, used_tokens_.rows());
    }
    absl::Status status = Embed();
    const int layers = architecture_.shape().layers;
    for (int layer = 0; status.ok() && layer < layers; ++layer) {
      status = RunLayer(layer);
    }
    if (status.ok()) status = RunHead();
    return status;
  }

  double waited_seconds() const { return loader_.waited_seconds(); }

 private:
  absl::Status Embed() {
    loader_.Prefetch({architecture_.EmbeddingTensors(),
                      "embed_tokens",
                      {},
                      used_tokens_.rows()});
    auto weights = loader_.Take();
    if (!weights.ok()) return weights.status();
    loader_.Prefetch({architecture_.LayerTensors(0)});
    for (Batch& batch : batches_) {
      batch.x_BTD = architecture_.Embed(*weights, batch.embedding_rows_BT);
      batch.embedding_rows_BT = at::Tensor();
      metrics::LayerBatch folded = NewLayerBatch(batch, -1);
      folded.resid_post_BTD = batch.x_BTD;
      measurement_.FoldLayer(folded);
      absl::Status status = AfterBatch();
      if (!status.ok()) return status;
    }
    return FinishLayer(-1);
  }

  absl::Status RunLayer(int layer) {
    auto weights = loader_.Take();
    if (!weights.ok()) return weights.status();
    const bool last = layer + 1 == architecture_.shape().layers;
    loader_.Prefetch(
        last ? HeadSlice(0)
             : WeightRequest{architecture_.LayerTensors(layer + 1)});
    for (Batch& batch : batches_) {
      RunBatch(layer, *weights, batch);
      absl::Status status = AfterBatch();
      if (!status.ok()) return status;
    }
    return FinishLayer(layer);
  }

  void RunBatch(int layer, const model::TensorMap& weights, Batch& batch) {
    metrics::LayerBatch folded = NewLayerBatch(batch, layer);
    const model::AttentionShape& attention =
        architecture_.shape().attention[layer];
    folded.attention = AttentionOptionsOf(attention);
    folded.attention.learned_sinks_H =
        architecture_.LearnedSinks(layer, weights);
    folded.output_projection_DHE =
        architecture_.OutputProjection(layer, weights);
    LayerRecorder recorder(folded);
    batch.x_BTD = architecture_.Block(layer, weights, batch.x_BTD, recorder);
    measurement_.FoldLayer(folded);
  }

  // Rows of the output matrix from `first` on, as many as are held at a time.
  WeightRequest HeadSlice(int64_t first) const {
    const model::ModelShape& shape = architecture_.shape();
    const int64_t rows = std::max<int64_t>(1, kHeadElements / shape.width);
    return {architecture_.HeadTensors(),
            "lm_head",
            {first, std::min(rows, shape.vocabulary - first)}};
  }

  absl::Status RunHead() {
    std::vector<NextTokenLoss> losses;
    for (const Batch& batch : batches_) losses.emplace_back(batch.tokens_BT);
    const int64_t vocabulary = architecture_.shape().vocabulary;
    for (int64_t first = 0; first < vocabulary;) {
      auto weights = loader_.Take();
      if (!weights.ok()) return weights.status();
      const int64_t next = first + weights->at("lm_head").size(0);
      if (next < vocabulary) loader_.Prefetch(HeadSlice(next));
      for (size_t i = 0; i < batches_.size(); ++i) {
        losses[i].AddSlice(architecture_, *weights, first, batches_[i].x_BTD);
        absl::Status status = AfterBatch(next == vocabulary);
        if (!status.ok()) return status;
      }
      first = next;
    }
    for (size_t i = 0; i < batches_.size(); ++i) {
      measurement_.FoldLoss(batches_[i].domain, losses[i].Finish(),
                            batches_[i].row_classes_BT);
    }
    return Pass(measurement_.FinishModel());
  }

  metrics::LayerBatch NewLayerBatch(const Batch& batch, int layer) const {
    metrics::LayerBatch folded;
    folded.domain = batch.domain;
    folded.layer = layer;
    folded.row_classes_BT = batch.row_classes_BT;
    return folded;
  }

  absl::Status FinishLayer(int layer) {
    return Pass(measurement_.FinishLayer(layer));
  }

  absl::Status Pass(
      absl::StatusOr<std::vector<metrics::MetricVector>> values) const {
    if (!values.ok()) {
      return absl::Status(
          values.status().code(),
          absl::StrCat(checkpoint_.folder(), ": ", values.status().message()));
    }
    if (!callbacks_.on_values) return absl::OkStatus();
    return callbacks_.on_values(*std::move(values));
  }

  // `counts`: whether it is a step of the progress that is shown.
  absl::Status AfterBatch(bool counts = true) {
    if (counts) ++batches_done_;
    const double parts = architecture_.shape().layers + 2;
    if (callbacks_.on_progress) {
      callbacks_.on_progress(batches_done_ / (parts * batches_.size()));
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
  const UsedTokens used_tokens_;
  std::vector<Batch> batches_;
  WeightLoader loader_;
  int64_t batches_done_ = 0;
};

absl::string_view FirstLine(absl::string_view text) {
  return text.substr(0, text.find('\n'));
}

// LibTorch's CPU allocator throws no class of its own.
bool IsOutOfMemory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         absl::StrContains(error.what_without_backtrace(),
                           "DefaultCPUAllocator");
}

absl::Status NoMemoryError(const std::string& folder,
                           const ExecuteOptions& options, const char* why) {
  return absl::ResourceExhaustedError(
      absl::StrCat(folder, ": no memory on ", options.device.str(),
                   " for the probe, of which ", options.tokens_per_batch,
                   " tokens at a time (--tokens_per_batch): ", FirstLine(why)));
}

absl::Status RunGuarded(Execution& execution, const std::string& folder,
                        const ExecuteOptions& options) {
  const c10::InferenceMode guard;
  try {
    return execution.Run();
  } catch (const c10::Error& error) {
    const char* const what = error.what_without_backtrace();
    if (IsOutOfMemory(error)) return NoMemoryError(folder, options, what);
    return absl::InternalError(absl::StrCat(folder, ": ", what));
  } catch (const std::bad_alloc& error) {
    return NoMemoryError(folder, options, error.what());
  }
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
  absl::Status there = CheckWeights(architecture, checkpoint);
  if (!there.ok()) return there;
  auto measurement = metrics::MeasurementBuilder::Create(
      MeasurementOptionsOf(corpus, options));
  if (!measurement.ok()) return measurement.status();
  // float32 means float32: no TF32 products on a GPU.
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);

  const auto start = std::chrono::steady_clock::now();
  Execution execution(architecture, checkpoint, corpus, options, callbacks,
                      **measurement);
  absl::Status status = RunGuarded(execution, checkpoint.folder(), options);
  if (!status.ok()) return status;
  status = checkpoint.CheckUnchanged();
  if (!status.ok()) return status;

  ExecuteSummary summary;
  summary.load_seconds = execution.waited_seconds();
  const std::chrono::duration<double> all =
      std::chrono::steady_clock::now() - start;
  summary.compute_seconds = all.count() - summary.load_seconds;
  summary.content_digest = checkpoint.ContentDigest();
  summary.tensors = checkpoint.TensorDigests();
  return summary;
}

}  // namespace sinkwatch::executor

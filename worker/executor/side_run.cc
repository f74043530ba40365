#include "worker/executor/side_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ATen/ops/cat.h"
#include "absl/strings/str_cat.h"
#include "worker/executor/head_attribution_run.h"
#include "worker/executor/layer_skip_run.h"
#include "worker/executor/lens_run.h"
#include "worker/executor/picked_stream.h"
#include "worker/executor/quantized_run.h"
#include "worker/executor/selectivity_run.h"
#include "worker/metrics/side_metrics.h"

namespace sinkwatch::executor {
namespace {

// The picked sequences as the model has them, once for all that compare with
// them. It is called behind these: what they see of it in RunLayer enters the
// layer.
class PlainRun final : public SideRun {
 public:
  PlainRun(const model::Architecture& architecture, const probe::Corpus& corpus,
           at::Device device)
      : domains_(PickSequences(corpus)),
        stream_(architecture, domains_, device) {}

  const std::vector<PickedDomain>& domains() const { return domains_; }
  PickedStream& stream() { return stream_; }

  void Start(const Embed& embed) override {
    std::vector<at::Tensor> x_PTD;
    for (const PickedDomain& domain : domains_) {
      x_PTD.push_back(embed(domain.tokens_PT));
    }
    stream_.Begin(std::move(x_PTD));
  }

  void RunLayer(int layer, const model::TensorMap& weights) override {
    status_.Update(stream_.RunLayer(layer, weights));
  }

  void AddHeadSlice(const model::TensorMap& head, int64_t first) override {
    stream_.AddHeadSlice(head, first);
  }

  absl::StatusOr<std::vector<metrics::MetricVector>> Finish() override {
    if (!status_.ok()) return status_;
    return std::vector<metrics::MetricVector>();
  }

 private:
  const std::vector<PickedDomain> domains_;
  PickedStream stream_;
  absl::Status status_;
};

using Runs = std::vector<std::unique_ptr<SideRun>>;

bool CompareWithPlain(const std::vector<std::string>& metrics) {
  return metrics::Asks(metrics, metrics::kLayerSkip) ||
         metrics::Asks(metrics, metrics::kQuantDelta) ||
         metrics::Asks(metrics, metrics::kLens) ||
         metrics::Asks(metrics, metrics::kHeadAttribution);
}

// Those that compare with `plain`.
Runs MakeComparingRuns(const model::Architecture& architecture,
                       const std::vector<std::string>& metrics,
                       at::Device device, int64_t tokens_per_batch,
                       PlainRun& plain) {
  const auto& domains = plain.domains();
  Runs runs;
  if (metrics::Asks(metrics, metrics::kLayerSkip)) {
    runs.push_back(std::make_unique<LayerSkipRun>(
        architecture, domains, metrics, device, plain.stream()));
  }
  if (metrics::Asks(metrics, metrics::kQuantDelta)) {
    runs.push_back(std::make_unique<QuantizedRun>(
        architecture, domains, metrics, device, plain.stream()));
  }
  if (metrics::Asks(metrics, metrics::kLens)) {
    runs.push_back(std::make_unique<LensRun>(architecture, domains, metrics,
                                             device, plain.stream()));
  }
  if (metrics::Asks(metrics, metrics::kHeadAttribution)) {
    runs.push_back(std::make_unique<HeadAttributionRun>(
        architecture, domains, metrics, tokens_per_batch, plain.stream()));
  }
  return runs;
}

}  // namespace

absl::StatusOr<std::vector<metrics::MetricVector>> CheckedFinite(
    std::vector<metrics::MetricVector> values) {
  for (const metrics::MetricVector& vector : values) {
    for (float value : vector.values) {
      if (std::isfinite(value)) continue;
      return absl::DataLossError(absl::StrCat(
          "metric ", vector.metric, " of domain ", vector.domain,
          vector.layer ? absl::StrCat(" in layer ", *vector.layer) : "",
          " is not finite"));
    }
  }
  return values;
}

Runs MakeSideRuns(const model::Architecture& architecture,
                  const probe::Corpus& corpus,
                  const std::vector<std::string>& metrics, at::Device device,
                  int64_t tokens_per_batch) {
  Runs runs;
  if (CompareWithPlain(metrics)) {
    auto plain = std::make_unique<PlainRun>(architecture, corpus, device);
    runs = MakeComparingRuns(architecture, metrics, device, tokens_per_batch,
                             *plain);
    runs.push_back(std::move(plain));
  }
  if (metrics::Asks(metrics, metrics::kSelectivity)) {
    runs.push_back(std::make_unique<SelectivityRun>(architecture, metrics,
                                                    tokens_per_batch));
  }
  return runs;
}

at::Tensor TokensOf(const Runs& runs) {
  std::vector<at::Tensor> tokens;
  for (const auto& run : runs) {
    const at::Tensor of_run = run->tokens();
    if (of_run.defined()) tokens.push_back(of_run.flatten());
  }
  return tokens.empty() ? at::Tensor() : at::cat(tokens);
}

}  // namespace sinkwatch::executor

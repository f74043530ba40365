#include "worker/measure/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "c10/util/Exception.h"
#include "spdlog/spdlog.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/measure/compute_dtype.h"
#include "worker/measure/device.h"
#include "worker/measure/protocol.h"
#include "worker/metrics/ablation_metrics.h"
#include "worker/metrics/measurement_builder.h"
#include "worker/model/registry.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::worker {
namespace {

MeasureFacts FactsOf(const MeasureRequest& request,
                     const model::ModelShape& shape,
                     const executor::UnusedTensors& unused,
                     const probe::Corpus& corpus) {
  MeasureFacts facts;
  facts.model = shape;
  facts.unused = unused;
  facts.probe_name = corpus.name();
  facts.probe_digest = corpus.digest();
  facts.sequence_length = corpus.sequence_length();
  facts.bos_policy = corpus.bos_policy();
  facts.protocol = request.protocol;
  facts.dtype = ComputeDtypeName(request.dtype);
  facts.device = DeviceTitle(request.device);
  for (const probe::Domain& domain : corpus.domains()) {
    facts.domains.push_back(domain.label);
  }
  facts.metrics = metrics::DescriptorsOf(request.metrics);
  const base::AblationPolicy& policy = request.ablation.policy;
  if (!policy.none()) {
    for (auto& metric : metrics::AblationDescriptors(policy)) {
      facts.metrics.push_back(std::move(metric));
    }
  }
  return facts;
}

// A mark on a status; its code and message stay.
constexpr char kProbeFault[] = "sinkwatch/probe";

absl::Status ProbeFault(absl::Status status) {
  if (!status.ok()) status.SetPayload(kProbeFault, absl::Cord());
  return status;
}

absl::Status CheckDigest(const MeasureRequest& request,
                         const probe::Corpus& corpus) {
  if (request.probe_digest.empty() || request.probe_digest == corpus.digest()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      request.probe, "/probe.json: the digest is ", corpus.digest(),
      " and the job asks for ", request.probe_digest,
      ": the probe was changed after the server read it"));
}

// Why the losses among `values` cannot be those of a trained model, if so. One
// domain may well be beyond the model (shuffled text), so the lowest counts.
std::string ImplausibleLoss(const std::vector<metrics::MetricVector>& values,
                            int64_t vocabulary) {
  const double most = std::log(static_cast<double>(vocabulary)) + 1;
  double lowest = std::numeric_limits<double>::infinity();
  bool measured = false;
  for (const metrics::MetricVector& vector : values) {
    if (vector.metric != metrics::kProbeLoss) continue;
    measured = true;
    for (float loss : vector.values) {
      if (!std::isfinite(loss)) {
        return absl::StrFormat("the probe loss of domain %s is not finite",
                               vector.domain);
      }
      lowest = std::min<double>(lowest, loss);
    }
  }
  if (!measured || lowest <= most) return "";
  return absl::StrFormat(
      "the lowest probe loss of a domain is %.4g, above ln(vocabulary) + 1 = "
      "%.4g: wrong weights, or another tokenizer",
      lowest, most);
}

// The request with the metrics of its protocol, if that fits the probe.
absl::StatusOr<MeasureRequest> AsProtocolHasIt(const MeasureRequest& request,
                                               const probe::Corpus& corpus) {
  MeasureRequest followed = request;
  if (request.protocol.empty()) return followed;
  const auto protocol = FindProtocol(request.protocol);
  if (!protocol.ok()) return protocol.status();
  absl::Status fits =
      CheckProbe(*protocol, corpus.sequence_length(), corpus.bos_policy());
  if (!fits.ok()) return fits;
  followed.metrics = MetricsOf(*protocol, request.metrics);
  return followed;
}

absl::StatusOr<MeasureSummary> RunCorpus(
    const MeasureRequest& request, const model::Architecture& architecture,
    checkpoint::Checkpoint& checkpoint, const probe::Corpus& corpus,
    const MeasureCallbacks& callbacks) {
  std::string implausible;
  executor::ExecuteCallbacks during = callbacks;
  during.on_values = [&](std::vector<metrics::MetricVector> values) {
    if (implausible.empty()) {
      implausible = ImplausibleLoss(values, architecture.shape().vocabulary);
    }
    return callbacks.on_values ? callbacks.on_values(std::move(values))
                               : absl::OkStatus();
  };
  auto executed =
      executor::Execute(architecture, checkpoint, corpus, request, during);
  if (!executed.ok()) return executed.status();
  return MeasureSummary{*std::move(executed), std::move(implausible)};
}

void WarnOfUnused(const std::string& checkpoint,
                  const executor::UnusedTensors& unused) {
  if (unused.count == 0) return;
  spdlog::warn(
      "checkpoint has tensors that its config does not ask for "
      "path={} n={} first={}",
      checkpoint, unused.count, absl::StrJoin(unused.first, ","));
}

}  // namespace

bool IsProbeFault(const absl::Status& status) {
  return status.GetPayload(kProbeFault).has_value();
}

absl::StatusOr<MeasureSummary> Measure(const MeasureRequest& request,
                                       const MeasureCallbacks& callbacks) try {
  const auto checkpoint =
      checkpoint::Checkpoint::Open(request.checkpoint, request.model_config);
  if (!checkpoint.ok()) return checkpoint.status();
  const auto architecture = model::CreateArchitecture((*checkpoint)->config());
  if (!architecture.ok()) return architecture.status();
  const auto corpus = probe::Corpus::Read(request.probe);
  if (!corpus.ok()) return ProbeFault(corpus.status());
  absl::Status status = ProbeFault(CheckDigest(request, *corpus));
  if (!status.ok()) return status;
  const auto followed = AsProtocolHasIt(request, *corpus);
  if (!followed.ok()) return followed.status();
  const auto unused = executor::CheckWeights(**architecture, **checkpoint);
  if (!unused.ok()) return unused.status();
  WarnOfUnused(request.checkpoint, *unused);
  if (callbacks.on_start) {
    status = callbacks.on_start(
        FactsOf(*followed, (*architecture)->shape(), *unused, *corpus));
    if (!status.ok()) return status;
  }
  return RunCorpus(*followed, **architecture, **checkpoint, *corpus, callbacks);
} catch (const c10::Error& error) {
  return absl::InternalError(error.what_without_backtrace());
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("no memory for the probe or the model");
}

}  // namespace sinkwatch::worker

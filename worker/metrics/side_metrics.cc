#include "worker/metrics/side_metrics.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::metrics {
namespace {

constexpr char kCircuits[] = "arXiv 2606.02378";
constexpr char kSyntheticCost[] =
    "a pass of 500 synthetic sequences of 256 tokens through the layers, once "
    "for all selectivity metrics";
constexpr char kSkipCost[] =
    "eight passes of 16 sequences a domain, once for all layer_skip metrics";
constexpr char kQuantCost[] =
    "a forward pass of 16 sequences a domain for each width, and one as it is";
constexpr char kLensCost[] =
    "the output matrix on 128 rows a domain of every layer, once for all lens "
    "metrics";

constexpr char kAttributionCost[] =
    "a forward and, from a second reading of all weights, another and a "
    "backward pass of 16 sequences a domain; what enters each layer is kept, "
    "at most 1 GiB";

Descriptor Describe(const std::string& name, const std::string& unit,
                    Scope scope, const std::string& meaning,
                    const std::string& formula, const std::string& source,
                    const std::string& cost) {
  Descriptor descriptor;
  descriptor.name = name;
  descriptor.unit = unit;
  descriptor.scope = scope;
  descriptor.meaning = meaning;
  descriptor.formula = formula;
  descriptor.source = source;
  descriptor.on_request = true;
  descriptor.cost = cost;
  return descriptor;
}

std::string PlaceOf(const std::string& target) {
  if (target == "induction") return "B's position";
  if (target == "previous") return "t - 1";
  if (target == "duplicate") return "the first A's position";
  if (target == "first") return "0";
  if (target == "self") return "t";
  return "the 8 positions before t, averaged";
}

void AppendSelectivity(std::vector<Descriptor>& all) {
  const std::string sequences =
      "over synthetic sequences [filler] A B [filler] A, t the second A";
  const std::string others =
      "the mean of A[t,k] over 50 random other positions k (as many as there "
      "are, where sequences are short)";
  for (const char* target : kSelectivityTargets) {
    const std::string place = PlaceOf(target);
    all.push_back(Describe(
        absl::StrCat(kSelectivity, target), "ratio", Scope::kHead,
        absl::StrCat("How much more the head attends to ", place,
                     " than elsewhere on synthetic sequences; unbounded, so "
                     "read selectivity_mass_",
                     target, " beside it."),
        absl::StrCat("mean ", sequences, ", of A[t,k] at k = ", place,
                     ", divided by the mean of ", others),
        kCircuits, kSyntheticCost));
    all.back().threshold = kSelectivityOfClass;
  }
  all.push_back(Describe(
      "selectivity_null", "ratio", Scope::kHead,
      "The same ratio of a random position: what chance gives.",
      absl::StrCat("mean ", sequences, ", of A[t,k] at one random other k, ",
                   "divided by the mean of ", others),
      kCircuits, kSyntheticCost));
  for (const char* target : kSelectivityTargets) {
    all.push_back(Describe(absl::StrCat(kSelectivity, "mass_", target), "ratio",
                           Scope::kHead,
                           absl::StrCat("Mean attention to ", PlaceOf(target),
                                        " on synthetic sequences."),
                           absl::StrCat("mean ", sequences,
                                        ", of A[t,k] at k = ", PlaceOf(target)),
                           kCircuits, kSyntheticCost));
  }
  for (const char* target : kSelectivityTargets) {
    all.push_back(Describe(
        absl::StrCat(kSelectivity, target, kShareSuffix), "ratio",
        Scope::kLayer,
        absl::StrCat("Share of the layer's heads whose class is that of "
                     "attention to ",
                     PlaceOf(target), "."),
        absl::StrCat("share of heads with selectivity_", target,
                     " >= ", kSelectivityOfClass,
                     ", and none of the other five above it"),
        kCircuits, kSyntheticCost));
  }
}

void AppendSkip(const std::string& part, const std::string& words,
                std::vector<Descriptor>& all) {
  const std::string skipped =
      absl::StrCat("with what ", words, " adds to the stream set to 0");
  const auto add = [&](const std::string& what, const std::string& unit,
                       const std::string& meaning, const std::string& formula) {
    all.push_back(
        Describe(absl::StrCat(kLayerSkip, part, "_", what), unit, Scope::kLayer,
                 absl::StrCat("What skipping ", words,
                              " of this early layer does to ", meaning, "."),
                 absl::StrCat(formula, " ", skipped,
                              ", minus the same as it is; layers 0 to 3"),
                 "Guo et al., arXiv 2410.13835 (interventions)", kSkipCost));
  };
  add("delta_loss", "nats", "the loss",
      "mean over rows with a next token of the loss");
  add("sink_attention", "ratio", "the sinks of the layers after it",
      "mean over heads of the layers after it of sink_attention");
  add("value_norm_ratio", "ratio", "the drained values of the layers after it",
      "mean over heads of the layers after it of value_norm_ratio");
  add("residual_norm_sink", "activation", "the residual peak",
      "mean over the layers from it on of residual_norm_sink");
}

void AppendQuantDelta(const std::string& bits, std::vector<Descriptor>& all) {
  all.push_back(Describe(
      absl::StrCat(kQuantDelta, "w", bits), "ratio", Scope::kModel,
      absl::StrCat("What rounding the layers' matrices to ", bits,
                   " bits costs, as a share of the loss."),
      absl::StrCat(
          "CE_q / CE - 1, CE the mean loss and CE_q that with every matrix of "
          "the layers rounded to the nearest of 2^",
          bits,
          " - 1 levels, symmetric, one scale (absmax) for each row and 128 "
          "inputs; embedding and output matrix stay"),
      "after arXiv 2510.06213, whose numbers are of GPTQ", kQuantCost));
}

void AppendLens(std::vector<Descriptor>& all) {
  const std::string rows =
      "mean over 8 evenly spaced rows of each picked sequence of ";
  const std::string p =
      "p the softmax of final norm and output matrix on the layer's stream";
  const auto add = [&](const std::string& what, const std::string& meaning,
                       const std::string& formula) {
    all.push_back(Describe(absl::StrCat(kLens, what), "nats", Scope::kLayer,
                           meaning, absl::StrCat(rows, formula, "; ", p),
                           "logit lens; llm-internal-medicine", kLensCost));
  };
  add("ce", "Loss if the model ended after this layer.", "-ln p(next token)");
  add("entropy", "How undecided the model still is after this layer.",
      "-sum p ln p");
  add("kl", "How far the prediction after this layer is from the last layer's.",
      "sum p_L ln(p_L / p), p_L of the last layer");
}

void AppendAttribution(std::vector<Descriptor>& all) {
  const std::string slope =
      "sum over t of <dCE/dz_t, z_t>, z the head's output before the output "
      "projection and CE the loss of a sequence";
  all.push_back(Describe(
      kHeadAttribution, "nats", Scope::kHead,
      "What switching the head off would do to the loss, to first order. Near "
      "0 "
      "wherever training has converged, however much the head is needed: read "
      "head_attribution_size.",
      absl::StrCat("minus the ", slope,
                   "; mean over rows that have a next "
                   "token"),
      "Taylor expansion; Michel et al., arXiv 1905.10650", kAttributionCost));
  all.push_back(Describe(
      absl::StrCat(kHeadAttribution, "_size"), "nats", Scope::kHead,
      "How much the loss of single sequences leans on the head, to first "
      "order: "
      "a screening of all heads at once; head_ablation_delta_loss_zero is "
      "exact.",
      absl::StrCat("mean over sequences of the absolute value of the ", slope,
                   ", divided by its rows that have a next token"),
      "Michel et al., arXiv 1905.10650", kAttributionCost));
}

std::vector<Descriptor> All() {
  std::vector<Descriptor> all;
  AppendSelectivity(all);
  AppendSkip("attn", "attention", all);
  AppendSkip("mlp", "the MLP", all);
  AppendQuantDelta("4", all);
  AppendQuantDelta("8", all);
  AppendLens(all);
  AppendAttribution(all);
  return all;
}

}  // namespace

const std::vector<Descriptor>& SideDescriptors() {
  static const auto& descriptors = *new std::vector<Descriptor>(All());
  return descriptors;
}

bool Asks(const std::vector<std::string>& metrics, const std::string& family) {
  return std::any_of(
      metrics.begin(), metrics.end(),
      [&](const std::string& name) { return absl::StartsWith(name, family); });
}

bool AsksFor(const std::vector<std::string>& metrics, const std::string& name) {
  return std::find(metrics.begin(), metrics.end(), name) != metrics.end();
}

}  // namespace sinkwatch::metrics

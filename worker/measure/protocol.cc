#include "worker/measure/protocol.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace sinkwatch::worker {
namespace {

// The three signatures of Guo et al.
std::vector<std::string> Signatures() {
  return {
      "sink_attention",         "dormant_query_frac", "sink_delta_logit",
      "value_norm_sink",        "value_norm_rest",    "value_norm_ratio",
      "head_write_frac",        "residual_norm_sink", "residual_norm_rest_mean",
      "residual_norm_rest_max", "residual_norm_ratio"};
}

std::vector<std::string> With(std::vector<std::string> metrics,
                              const std::string& more) {
  metrics.push_back(more);
  return metrics;
}

std::vector<Protocol> All() {
  const std::string paper = "Guo et al., arXiv 2410.13835";
  return {
      {"paper",
       "Llama of the paper: sink, drain, peak; 64 tokens behind a BOS",
       paper,
       Signatures(),
       64,
       {"stored", "prepend"},
       "a head rests where more than half of a query's attention is on token 0 "
       "(the scatter of Llama-2's layer 16 head 25 splits there); its cause is "
       "--ablate=16.25 --ablation_modes=zero on prose and on code"},
      {"paper-olmo",
       "OLMo of the paper: the same over training; 8 tokens, no BOS",
       paper,
       With(Signatures(), "sink_attention_set"),
       8,
       {"none"},
       "layer 24 is the paper's; its delta logit averages over future keys "
       "too and its value norms are of one sequence, ours are neither"},
      {"gu",
       "Sink^eps: share of heads with mean attention on token 0 above eps",
       "Gu et al., arXiv 2410.10781",
       {"sink_attention_gu", "sink_indicator_020", "sink_indicator_030",
        "sink_indicator_080", "sink_rate_030"},
       64,
       {"none"},
       "eps .3 over all rows, row 0 included; 100 sequences there"},
      {"sun",
       "massive activations of sequences of 4096 tokens",
       "Sun et al., arXiv 2402.17762; arXiv 2503.22329",
       {"massive_max", "massive_median", "massive_ratio", "massive_count"},
       4096,
       {},
       "massive: above 100 and above 1000 times the median of the layer's "
       "stream; 10 sequences there"},
      {"osp",
       "kurtosis of tokens that stand alone (outlier-safe pretraining)",
       "arXiv 2506.19697",
       {"kurtosis_first_token"},
       0,
       {"none"},
       "its script makes each token of C4 a sequence of its own, so the first "
       "token of each sequence stands for it; its number is the mean over all "
       "hidden states, final norm included, ours is by layer"},
      {"circuits",
       "selectivity of heads on synthetic sequences",
       "arXiv 2606.02378",
       {"selectivity_induction", "selectivity_previous",
        "selectivity_duplicate", "selectivity_first", "selectivity_self",
        "selectivity_local", "selectivity_null", "selectivity_mass_induction",
        "selectivity_mass_previous", "selectivity_mass_duplicate",
        "selectivity_mass_first", "selectivity_mass_self",
        "selectivity_mass_local", "selectivity_induction_share",
        "selectivity_previous_share", "selectivity_duplicate_share",
        "selectivity_first_share", "selectivity_self_share",
        "selectivity_local_share"},
       0,
       {},
       "a head is of the class with the largest selectivity if that is at "
       "least 30, part of a circuit from 50; 500 sequences where the source "
       "takes 2,000; the probe gives the loss alone"},
  };
}

}  // namespace

const std::vector<Protocol>& Protocols() {
  static const auto& protocols = *new std::vector<Protocol>(All());
  return protocols;
}

absl::StatusOr<Protocol> FindProtocol(const std::string& name) {
  std::vector<std::string> known;
  for (const Protocol& protocol : Protocols()) {
    if (protocol.name == name) return protocol;
    known.push_back(protocol.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown protocol '", name,
                   "'; known are: ", absl::StrJoin(known, ", ")));
}

absl::Status CheckProbe(const Protocol& protocol, int64_t sequence_length,
                        const std::string& bos_policy) {
  if (protocol.sequence_length > 0 &&
      protocol.sequence_length != sequence_length) {
    return absl::InvalidArgumentError(
        absl::StrCat("protocol ", protocol.name, " is of sequences of ",
                     protocol.sequence_length, " tokens (", protocol.citation,
                     "); the probe's sequence_length is ", sequence_length));
  }
  const std::vector<std::string>& allowed = protocol.bos_policies;
  if (!allowed.empty() &&
      std::find(allowed.begin(), allowed.end(), bos_policy) == allowed.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "protocol ", protocol.name, " is of probes whose bos_policy is ",
        absl::StrJoin(allowed, " or "), " (", protocol.citation,
        "); the probe's is ", bos_policy));
  }
  return absl::OkStatus();
}

std::vector<std::string> MetricsOf(const Protocol& protocol,
                                   const std::vector<std::string>& named) {
  std::vector<std::string> metrics = protocol.metrics;
  for (const std::string& name : named) {
    if (std::find(metrics.begin(), metrics.end(), name) == metrics.end()) {
      metrics.push_back(name);
    }
  }
  return metrics;
}

}  // namespace sinkwatch::worker

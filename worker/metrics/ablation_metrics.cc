#include "worker/metrics/ablation_metrics.h"

#include "absl/strings/str_cat.h"

namespace sinkwatch::metrics {
namespace {

using base::AblationMode;

// The cuts of dormant_head_frac, and its mirror image.
constexpr double kMostQueries = 0.9, kFewQueries = 0.1, kDrained = 0.5;
// Of what the head writes where it writes most.
constexpr double kLittle = 0.3;

const char* WhatBecomes(AblationMode mode) {
  switch (mode) {
    case AblationMode::kZero:
      return "z_t := 0";
    case AblationMode::kToSink:
      return "z_t := v_0 in rows that see key 0";
    case AblationMode::kNoSink:
      return "key 0 hidden in rows t >= 1 that see it, the rest renormalised "
             "(ReLU: its weight := 0)";
  }
  return "";
}

const char* WhatItTells(AblationMode mode) {
  switch (mode) {
    case AblationMode::kZero:
      return "what the model loses without it: near 0 where it is dormant, "
             "well above where it is needed";
    case AblationMode::kToSink:
      return "what the model loses if it must rest on the first token: near 0 "
             "where it does so anyway";
    case AblationMode::kNoSink:
      return "what the model loses if it may not rest on the first token: "
             "above 0 where the sink is needed";
  }
  return "";
}

Descriptor Describe(const std::string& name, Scope scope,
                    const std::string& what, AblationMode mode) {
  Descriptor descriptor;
  descriptor.name = name;
  descriptor.unit = "nats";
  descriptor.scope = scope;
  descriptor.meaning = absl::StrCat(
      "Loss with ", what,
      " changed, minus the loss as it is: ", WhatItTells(mode), ".");
  descriptor.formula = absl::StrCat(
      "mean over rows t >= 0 that have a next token of -ln p'(token t+1 | "
      "tokens <= t) + ln p(token t+1 | tokens <= t), paired by row; p' with ",
      WhatBecomes(mode), " in ", what);
  descriptor.source = "Guo et al., arXiv 2410.13835";
  descriptor.sparse = true;
  descriptor.on_request = true;
  descriptor.cost = absl::StrCat("a forward pass from the layer on, for each ",
                                 scope == Scope::kHead ? "head" : "group",
                                 " and mode (--ablate)");
  return descriptor;
}

std::string WordsOf(std::optional<HeadState> state) {
  if (!state) return "all heads of the layer";
  return absl::StrCat("all heads of the layer that are ", HeadStateName(*state),
                      " on the domain");
}

}  // namespace

const char* HeadStateName(HeadState state) {
  switch (state) {
    case HeadState::kActive:
      return "active";
    case HeadState::kMixed:
      return "mixed";
    case HeadState::kDormant:
      return "dormant";
    case HeadState::kBroadcast:
      return "broadcast";
    case HeadState::kQuiet:
      return "quiet";
  }
  return "";
}

HeadState StateOf(const HeadSigns& signs) {
  if (signs.dormant_query_frac >= kMostQueries) {
    const bool drained = signs.value_norm_ratio.value_or(0) <= kDrained;
    return drained ? HeadState::kDormant : HeadState::kBroadcast;
  }
  if (!(signs.dormant_query_frac <= kFewQueries)) return HeadState::kMixed;
  const bool quiet =
      signs.head_write_frac && signs.most_head_write_frac &&
      *signs.head_write_frac <= kLittle * *signs.most_head_write_frac;
  return quiet ? HeadState::kQuiet : HeadState::kActive;
}

const std::vector<std::string>& HeadSignMetrics() {
  static const auto& names = *new std::vector<std::string>{
      "dormant_query_frac", "value_norm_ratio", "head_write_frac"};
  return names;
}

std::string HeadAblationMetric(AblationMode mode) {
  return absl::StrCat("head_ablation_delta_loss_", AblationModeName(mode));
}

std::string GroupAblationMetric(std::optional<HeadState> state,
                                AblationMode mode) {
  return absl::StrCat("head_group_ablation_delta_loss_",
                      state ? absl::StrCat(HeadStateName(*state), "_") : "",
                      AblationModeName(mode));
}

std::vector<Descriptor> AblationDescriptors(
    const base::AblationPolicy& policy) {
  std::vector<Descriptor> all;
  for (AblationMode mode : policy.modes) {
    if (policy.HasHeads()) {
      all.push_back(
          Describe(HeadAblationMetric(mode), Scope::kHead, "the head", mode));
    }
    if (!policy.HasGroups()) continue;
    all.push_back(Describe(GroupAblationMetric(std::nullopt, mode),
                           Scope::kLayer, WordsOf(std::nullopt), mode));
    for (HeadState state : kHeadStates) {
      all.push_back(Describe(GroupAblationMetric(state, mode), Scope::kLayer,
                             WordsOf(state), mode));
    }
  }
  return all;
}

}  // namespace sinkwatch::metrics

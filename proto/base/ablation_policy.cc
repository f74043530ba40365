#include "proto/base/ablation_policy.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace sinkwatch::base {
namespace {

// Layers and heads of a model: what a measurement may have.
constexpr int kMax = 1024;

absl::Status Wrong(absl::string_view part) {
  return absl::InvalidArgumentError(absl::StrCat(
      "ablation: \"", part,
      "\" is none of none, auto, all, or a list of heads (3.5), of all heads "
      "of a layer (3.*), of layers (3) and of \"layers\""));
}

bool ReadNumber(absl::string_view text, int& number) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(text, &number) && number < kMax;
}

absl::StatusOr<AblationTarget> ReadTarget(absl::string_view part) {
  AblationTarget target;
  if (part == "layers") {
    target.kind = AblationTarget::Kind::kAllGroups;
    return target;
  }
  const std::vector<absl::string_view> numbers = absl::StrSplit(part, '.');
  if (numbers.size() > 2 || !ReadNumber(numbers[0], target.layer)) {
    return Wrong(part);
  }
  if (numbers.size() == 1) {
    target.kind = AblationTarget::Kind::kGroups;
  } else if (numbers[1] == "*") {
    target.kind = AblationTarget::Kind::kEachHead;
  } else if (!ReadNumber(numbers[1], target.head)) {
    return Wrong(part);
  }
  return target;
}

absl::Status ReadChoice(absl::string_view heads, AblationPolicy& policy) {
  if (heads.empty() || heads == "none") return absl::OkStatus();
  if (heads == "all") {
    policy.choice = AblationChoice::kAll;
    return absl::OkStatus();
  }
  if (heads == "auto") {
    policy.choice = AblationChoice::kAuto;
    return absl::OkStatus();
  }
  policy.choice = AblationChoice::kListed;
  for (absl::string_view part : absl::StrSplit(heads, ',')) {
    auto target = ReadTarget(absl::StripAsciiWhitespace(part));
    if (!target.ok()) return target.status();
    policy.targets.push_back(*target);
  }
  return absl::OkStatus();
}

absl::Status ReadMode(const std::string& name, AblationPolicy& policy) {
  for (AblationMode mode : kAblationModes) {
    if (name != AblationModeName(mode)) continue;
    if (std::count(policy.modes.begin(), policy.modes.end(), mode) == 0) {
      policy.modes.push_back(mode);
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "ablation: mode \"", name, "\" is none of zero, to_sink, no_sink"));
}

}  // namespace

const char* AblationModeName(AblationMode mode) {
  switch (mode) {
    case AblationMode::kZero:
      return "zero";
    case AblationMode::kToSink:
      return "to_sink";
    case AblationMode::kNoSink:
      return "no_sink";
  }
  return "";
}

bool AblationPolicy::HasHeads() const {
  return choice == AblationChoice::kAll || choice == AblationChoice::kAuto ||
         std::any_of(targets.begin(), targets.end(), [](const auto& target) {
           return target.kind == AblationTarget::Kind::kHead ||
                  target.kind == AblationTarget::Kind::kEachHead;
         });
}

bool AblationPolicy::HasGroups() const {
  return std::any_of(targets.begin(), targets.end(), [](const auto& target) {
    return target.kind == AblationTarget::Kind::kGroups ||
           target.kind == AblationTarget::Kind::kAllGroups;
  });
}

absl::StatusOr<AblationPolicy> ReadAblationPolicy(
    absl::string_view heads, const std::vector<std::string>& modes,
    double budget) {
  AblationPolicy policy;
  absl::Status status = ReadChoice(absl::StripAsciiWhitespace(heads), policy);
  for (const std::string& mode : modes) {
    if (status.ok()) status = ReadMode(mode, policy);
  }
  if (!status.ok()) return status;
  if (!(budget >= 0) || std::isinf(budget)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ablation: budget ", budget, " is no finite share of at least 0"));
  }
  policy.names_modes = !policy.modes.empty();
  if (!policy.names_modes) {
    policy.modes.assign(std::begin(kAblationModes), std::end(kAblationModes));
  }
  if (budget > 0) {
    policy.budget = budget;
  } else if (policy.choice == AblationChoice::kAuto) {
    policy.budget = kDefaultAblationBudget;
  }
  return policy;
}

}  // namespace sinkwatch::base

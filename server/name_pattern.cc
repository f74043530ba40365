#include "server/name_pattern.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "re2/re2.h"

namespace sinkwatch::server {
namespace {

constexpr int64_t kMaxMemory = int64_t{1} << 20;
constexpr size_t kMaxPattern = 1000;

absl::Status CheckStepPattern(const std::string& text) {
  const auto pattern = NamePattern::Compile(text);
  if (!pattern.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "step_pattern: ", std::string(pattern.status().message())));
  }
  static const std::set<std::string> kGroups = {"step", "tokens", "stage",
                                                "seed"};
  for (const auto& [index, name] : pattern->groups()) {
    if (kGroups.count(name) != 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("step_pattern: group \"", name,
                     "\" is none of step, tokens, stage, seed"));
  }
  if (pattern->HasGroup("step") || pattern->HasGroup("tokens")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "step_pattern: it has no group step and no group tokens, as "
      "(?P<step>\\d+)");
}

absl::Status CheckRunsBelow(const v1::RunConfig& run) {
  const auto pattern = NamePattern::Compile(run.runs_below().pattern());
  if (!pattern.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "runs_below.pattern: ", std::string(pattern.status().message())));
  }
  if (run.manifest().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "runs_below: a run with a manifest has no runs below it");
}

}  // namespace

NamePattern::NamePattern(std::shared_ptr<const re2::RE2> pattern)
    : pattern_(std::move(pattern)) {}

absl::StatusOr<NamePattern> NamePattern::Compile(const std::string& text) {
  if (text.empty() || text.size() > kMaxPattern) {
    return absl::InvalidArgumentError(
        absl::StrCat("a pattern has 1 to ", kMaxPattern, " characters"));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxMemory);
  auto pattern = std::make_shared<const re2::RE2>(text, options);
  if (!pattern->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no RE2: ", pattern->error()));
  }
  return NamePattern(std::move(pattern));
}

const std::map<int, std::string>& NamePattern::groups() const {
  return pattern_->CapturingGroupNames();
}

bool NamePattern::HasGroup(const std::string& name) const {
  return pattern_->NamedCapturingGroups().count(name) != 0;
}

std::optional<std::map<std::string, std::string>> NamePattern::Match(
    const std::string& name) const {
  const int count = 1 + pattern_->NumberOfCapturingGroups();
  std::vector<re2::StringPiece> parts(count);
  if (!pattern_->Match(name, 0, name.size(), re2::RE2::ANCHOR_BOTH,
                       parts.data(), count)) {
    return std::nullopt;
  }
  std::map<std::string, std::string> groups;
  for (const auto& [index, group] : pattern_->CapturingGroupNames()) {
    if (parts[index].data() != nullptr) {
      groups[group] = std::string(parts[index]);
    }
  }
  return groups;
}

absl::Status CheckPatterns(const v1::RunConfig& run) {
  if (!run.found_below().empty()) {
    return absl::InvalidArgumentError("found_below is the server's to set");
  }
  if (!run.step_pattern().empty()) {
    absl::Status status = CheckStepPattern(run.step_pattern());
    if (!status.ok()) return status;
  }
  return run.has_runs_below() ? CheckRunsBelow(run) : absl::OkStatus();
}

}  // namespace sinkwatch::server

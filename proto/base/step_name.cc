#include "proto/base/step_name.h"

#include <map>
#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace sinkwatch::base {
namespace {

constexpr size_t kMaxName = 200;

int64_t TokenCount(const std::string& digits, const std::string& unit) {
  int64_t tokens = 0;
  if (!absl::SimpleAtoi(digits, &tokens)) return 0;
  static const std::map<std::string, int64_t> kUnits = {{"", 1},
                                                        {"K", 1000},
                                                        {"M", 1000000},
                                                        {"B", 1000000000},
                                                        {"T", 1000000000000}};
  const int64_t factor = kUnits.at(unit);
  return tokens > INT64_MAX / factor ? 0 : tokens * factor;
}

std::optional<StepName> ParseForeignName(const std::string& name) {
  static const std::regex kPattern(R"((global_step)?(\d+))");
  std::smatch match;
  StepName parsed;
  if (!std::regex_match(name, match, kPattern) ||
      !absl::SimpleAtoi(match[2].str(), &parsed.step)) {
    return std::nullopt;
  }
  parsed.form = match[1].matched ? NameForm::kGlobalStep : NameForm::kNumber;
  return parsed;
}

}  // namespace

std::optional<StepName> ParseStepName(const std::string& name) {
  if (name.size() > kMaxName || IsUnderWay(name)) return std::nullopt;
  static const std::regex kPattern(
      R"((?:(stage\d+(?:-ingredient\d+(?:\+\d+)*)?|ingredient\d+(?:\+\d+)*)-)?)"
      R"((step|checkpoint|ckpt)[-_]?(\d+))"
      R"((?:-tokens(\d+)([KMBT]?))?)"
      R"(((?:\+\d+)*(?:-nooptim)?(?:-reshard\d+)?)(-unsharded)?(-hf)?)");
  std::smatch match;
  if (!std::regex_match(name, match, kPattern)) return ParseForeignName(name);
  StepName parsed;
  if (match[2].str() == "checkpoint") parsed.form = NameForm::kCheckpoint;
  parsed.stage = match[1].str();
  if (!absl::SimpleAtoi(match[3].str(), &parsed.step)) return std::nullopt;
  if (match[4].matched) {
    parsed.tokens = TokenCount(match[4].str(), match[5].str());
  }
  parsed.variant = std::string(absl::StripPrefix(match[6].str(), "-"));
  parsed.unsharded = match[7].matched;
  parsed.converted = match[8].matched;
  return parsed;
}

bool IsUnderWay(const std::string& name) {
  return absl::EndsWith(name, "-tmp") || absl::EndsWith(name, ".tmp") ||
         absl::StartsWith(name, "tmp") || absl::EndsWith(name, ".incomplete") ||
         absl::EndsWith(name, ".part");
}

bool IsStageFolder(const std::string& name) {
  static const std::regex kPattern(R"(.*(stage|ingredient)\d.*|soup(ed)?)");
  return name.size() <= kMaxName && !IsUnderWay(name) && name.front() != '.' &&
         std::regex_match(name, kPattern);
}

}  // namespace sinkwatch::base

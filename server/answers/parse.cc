#include "server/answers/parse.h"

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace sinkwatch::answers {
namespace {

constexpr char kRuleUrl[] = "sinkwatch/rule";
constexpr size_t kMaxList = 4096;

bool AppendInts(absl::string_view item, std::vector<int32_t>* list) {
  int32_t first = 0;
  int32_t last = 0;
  // A dash at the start is a sign (layer -1 is the embedding output).
  const size_t dash = item.find('-', 1);
  const bool range = dash != absl::string_view::npos;
  if (!absl::SimpleAtoi(item.substr(0, dash), &first)) {
    return false;
  }
  last = first;
  if (range && !absl::SimpleAtoi(item.substr(dash + 1), &last)) {
    return false;
  }
  if (last < first || static_cast<size_t>(int64_t{last} - first) >= kMaxList ||
      list->size() >= kMaxList) {
    return false;
  }
  for (int64_t i = first; i <= last; ++i) {
    list->push_back(static_cast<int32_t>(i));
  }
  return true;
}

}  // namespace

absl::Status BadParameter(absl::string_view rule, absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kRuleUrl, absl::Cord(rule));
  return status;
}

std::string RuleOf(const absl::Status& status) {
  if (auto rule = status.GetPayload(kRuleUrl); rule.has_value()) {
    return std::string(*rule);
  }
  return absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
}

absl::StatusOr<std::vector<int32_t>> ParseInts(const std::string& text) {
  std::vector<int32_t> list;
  if (text.empty() || text == "*") return list;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    if (item.empty() || !AppendInts(item, &list)) {
      return BadParameter(
          "not_a_list",
          absl::StrCat("\"", text, "\" is not a list like 0,2,5-7 or *"));
    }
  }
  return list;
}

}  // namespace sinkwatch::answers

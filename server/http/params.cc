#include "server/http/params.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/answers/parse.h"

namespace sinkwatch::http {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> Decode(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

}  // namespace

std::string EscapeParameter(absl::string_view value) {
  std::string out;
  for (const char c : value) {
    if (absl::ascii_isalnum(c) || absl::StrContains("-._~", c)) {
      out.push_back(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return out;
}

absl::StatusOr<Params> Params::Parse(absl::string_view query,
                                     const std::vector<std::string>& allowed) {
  Params params;
  for (absl::string_view pair : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = Decode(pair.substr(0, equals));
    const auto value = Decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name.has_value() || !value.has_value()) {
      return answers::BadParameter(
          "encoding", absl::StrCat("\"", pair, "\" has a broken % escape"));
    }
    if (std::find(allowed.begin(), allowed.end(), *name) == allowed.end()) {
      return answers::BadParameter(
          "unknown_parameter",
          absl::StrCat("there is no parameter \"", *name, "\"; there are ",
                       absl::StrJoin(allowed, ", ")));
    }
    if (!params.values_.emplace(*name, *value).second) {
      return answers::BadParameter(
          "repeated_parameter", absl::StrCat("\"", *name, "\" is given twice"));
    }
  }
  return params;
}

void Params::Fail(absl::string_view rule, const std::string& message) {
  if (status_.ok()) status_ = answers::BadParameter(rule, message);
}

std::string Params::Text(const std::string& name,
                         absl::string_view otherwise) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::string(otherwise) : it->second;
}

std::string Params::Required(const std::string& name) {
  const std::string text = Text(name, "");
  if (text.empty()) {
    Fail("missing_parameter", absl::StrCat("\"", name, "\" is needed"));
  }
  return text;
}

int64_t Params::Int(const std::string& name, int64_t otherwise, int64_t min,
                    int64_t max) {
  const auto it = values_.find(name);
  if (it == values_.end() || it->second.empty()) return otherwise;
  int64_t value = 0;
  if (!absl::SimpleAtoi(it->second, &value)) {
    Fail("not_a_number",
         absl::StrCat(name, "=", it->second, " is not a whole number"));
    return otherwise;
  }
  if (value < min || value > max) {
    Fail("out_of_range",
         absl::StrCat(name, "=", value, " is not in [", min, ", ", max, "]"));
    return otherwise;
  }
  return value;
}

double Params::Number(const std::string& name, double otherwise) {
  const auto it = values_.find(name);
  if (it == values_.end() || it->second.empty()) return otherwise;
  double value = 0;
  if (!absl::SimpleAtod(it->second, &value) || !std::isfinite(value)) {
    Fail("not_a_number",
         absl::StrCat(name, "=", it->second, " is not a number"));
    return otherwise;
  }
  return value;
}

bool Params::Bool(const std::string& name) {
  const std::string text = Text(name, "0");
  if (text == "1" || text == "true") return true;
  if (text != "0" && text != "false") {
    Fail("not_a_boolean",
         absl::StrCat(name, "=", text, " is neither true nor false"));
  }
  return false;
}

std::vector<int32_t> Params::Ints(const std::string& name) {
  absl::StatusOr<std::vector<int32_t>> list =
      answers::ParseInts(Text(name, ""));
  if (list.ok()) return *std::move(list);
  Fail("not_a_list", absl::StrCat(name, ": ", list.status().message()));
  return {};
}

std::string Params::Choice(const std::string& name,
                           const std::vector<std::string>& choices) {
  const std::string text = Text(name, choices.front());
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    Fail("unknown_value", absl::StrCat(name, "=", text, " is none of ",
                                       absl::StrJoin(choices, ", ")));
    return choices.front();
  }
  return text;
}

}  // namespace sinkwatch::http

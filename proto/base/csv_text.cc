#include "proto/base/csv_text.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "proto/base/utf8.h"

namespace sinkwatch::base {
namespace {

// In East Asia the wide forms of = + - @ begin one too.
bool IsFormula(absl::string_view text) {
  constexpr absl::string_view kStarts = "=+-@\t\r\n";
  const absl::string_view first = text.substr(0, Utf8CharacterBytes(text));
  const bool is_wide = first == "\uFF1D" || first == "\uFF0B" ||
                       first == "\uFF0D" || first == "\uFF20";
  double number = 0;
  return is_wide || (first.size() == 1 && absl::StrContains(kStarts, first) &&
                     !absl::SimpleAtod(text, &number));
}

// Without what drives a terminal, but with the lines and tabs that a cell may
// have.
std::string Shown(absl::string_view text) {
  std::string shown;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of("\t\r\n", at), text.size());
    absl::StrAppend(&shown, OneLine(text.substr(at, end - at)),
                    text.substr(end, 1));
    at = end + 1;
  }
  return shown;
}

}  // namespace

void AppendCsvText(absl::string_view text, std::string* out) {
  const bool quoted = text.find_first_of(",\"\r\n") != absl::string_view::npos;
  if (quoted) out->push_back('"');
  if (IsFormula(text)) out->push_back('\'');
  for (char c : Shown(text)) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  if (quoted) out->push_back('"');
}

}  // namespace sinkwatch::base

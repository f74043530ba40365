#include "proto/base/csv_text.h"

#include "absl/strings/numbers.h"

namespace sinkwatch::base {
namespace {

bool IsFormula(absl::string_view text) {
  constexpr absl::string_view kStarts = "=+-@\t\r\n";
  double number = 0;
  return !text.empty() && kStarts.find(text[0]) != absl::string_view::npos &&
         !absl::SimpleAtod(text, &number);
}

}  // namespace

void AppendCsvText(absl::string_view text, std::string* out) {
  const bool quoted = text.find_first_of(",\"\r\n") != absl::string_view::npos;
  if (quoted) out->push_back('"');
  if (IsFormula(text)) out->push_back('\'');
  for (char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  if (quoted) out->push_back('"');
}

}  // namespace sinkwatch::base

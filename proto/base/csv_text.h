#ifndef SINKWATCH_PROTO_BASE_CSV_TEXT_H_
#define SINKWATCH_PROTO_BASE_CSV_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace sinkwatch::base {

// Appends a cell that is text as RFC 4180 has it: in quotes where it holds a
// comma, a quote or the end of a line. Text that a spreadsheet would run as a
// formula, as it begins with = + - @ or a control character and is no number,
// gets an apostrophe in front, which spreadsheets read as "this is text". What
// drives a terminal is escaped as OneLine does, but for tabs and ends of lines.
void AppendCsvText(absl::string_view text, std::string* out);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_CSV_TEXT_H_

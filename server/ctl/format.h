#ifndef SINKWATCH_SERVER_CTL_FORMAT_H_
#define SINKWATCH_SERVER_CTL_FORMAT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/answers/table.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::ctl {

enum class Format { kTable, kJson, kCsv };

// Of "json" and "csv"; anything else is a table.
Format ParseFormat(const std::string& name);

// The text with '?' for each control character, and each byte that is no text:
// a name must not drive somebody's terminal.
std::string Printable(absl::string_view text);

// Columns aligned, numbers to the right, two spaces between; a line of column
// names above. Cells are Printable.
std::string AlignedTable(const answers::Table& table);

// The same with the columns that fit into lines of `width`, at least two, and
// below it how many and which are left out, and how they can be seen.
std::string FittedTable(const answers::Table& table, int width);

// The table in `format`; JSON is the list of records.
std::string Formatted(const answers::Table& table, Format format);

// The only row of a table as a line, for streams, which have no end to close a
// list at: a JSON object, or CSV without its header.
std::string FormattedRow(const answers::Table& table, Format format);

// Only `columns`, in that order; one that is not there has no values.
answers::Table Pick(const answers::Table& table,
                    const std::vector<std::string>& columns);

// `columns` without those of `where_any` in which no row has anything: no
// value, an empty text, or 0.
std::vector<std::string> WithoutEmpty(
    const answers::Table& table, const std::vector<std::string>& columns,
    const std::vector<std::string>& where_any);

// Each metric as a paragraph: name, unit, scope, meaning, formula, source.
std::string MetricParagraphs(const answers::Table& metrics);

// domain, metric, layer, index, value, stderr, count: a row per value. The
// index is a head's, or 0.
answers::Table ValuesTable(const v1::Measurement& measurement);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_FORMAT_H_

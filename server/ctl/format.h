#ifndef SINKWATCH_SERVER_CTL_FORMAT_H_
#define SINKWATCH_SERVER_CTL_FORMAT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/answers/table.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::ctl {

enum class Format { kTable, kJson, kCsv };

// INVALID_ARGUMENT for anything but "table", "json", "csv".
absl::StatusOr<Format> ParseFormat(const std::string& name);

// Columns aligned, numbers to the right, two spaces between; a line of column
// names above. Control characters in cells become '?', so that a file name
// cannot drive the terminal.
std::string AlignedTable(const answers::Table& table);

// The table in `format`; JSON is the list of records.
std::string Formatted(const answers::Table& table, Format format);

// The only row of a table as a line, for streams, which have no end to close a
// list at: a JSON object, or CSV without its header.
std::string FormattedRow(const answers::Table& table, Format format);

// Only `columns`, in that order, under `names`.
answers::Table Pick(const answers::Table& table,
                    const std::vector<std::string>& columns,
                    const std::vector<std::string>& names);

// Each metric as a paragraph: name, unit, scope, meaning, formula, source.
std::string MetricParagraphs(const answers::Table& metrics);

// A measurement with the names that `sinkwatch_worker measure` writes, in its
// order, and checkpoint.stage besides, which only a server knows.
std::string MeasurementJson(const v1::Measurement& measurement);
// domain, metric, layer, index, value, stderr, count: a row per value, with the
// names of the worker's CSV. The index is a head's, or 0.
answers::Table MeasurementTable(const v1::Measurement& measurement);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_FORMAT_H_

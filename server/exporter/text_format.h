#ifndef SINKWATCH_SERVER_EXPORTER_TEXT_FORMAT_H_
#define SINKWATCH_SERVER_EXPORTER_TEXT_FORMAT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "prometheus/metric_family.h"
#include "server/exporter/sample_family.h"

namespace sinkwatch::exporter {

// Prometheus text format 0.0.4, written into one string: no stream, no locale.
// (prometheus-cpp's serializer does the same through an ostream, character by
// character; figures in README.md.)

// "# HELP" and "# TYPE" of a family; `type` is "gauge", "counter", ...
void AppendFamilyHeader(absl::string_view name, absl::string_view help,
                        absl::string_view type, std::string* out);

// The shortest decimal that reads back as `value`; NaN, +Inf, -Inf by name.
void AppendNumber(double value, std::string* out);
// Of a float: its own shortest decimal, not that of the double it widens to.
void AppendNumber(float value, std::string* out);

// `,name="value"` with backslash, quote and newline escaped; without the comma
// at the start of `out`.
void AppendLabel(absl::string_view name, absl::string_view value,
                 std::string* out);

// A family, of gauges or quantiles; the format has no native histograms.
void AppendTextFamily(const SampleFamily& family, std::string* out);

// Families as prometheus-cpp collects them, empty ones left out. Returns the
// number of series written.
int64_t AppendFamilies(const std::vector<prometheus::MetricFamily>& families,
                       std::string* out);

// Series that AppendFamilies would write.
int64_t CountSeries(const std::vector<prometheus::MetricFamily>& families);

// Valid UTF-8 without control characters, 1 to 128 bytes.
bool IsLabelValue(absl::string_view value);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_TEXT_FORMAT_H_

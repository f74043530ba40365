#ifndef SINKWATCH_SERVER_EXPORTER_FAMILY_NAME_H_
#define SINKWATCH_SERVER_EXPORTER_FAMILY_NAME_H_

#include <string>

#include "absl/strings/string_view.h"
#include "sinkwatch/v1/measurement.pb.h"

namespace sinkwatch::exporter {

// "sinkwatch_" + the metric's name + its unit, as Prometheus names things: the
// unit once, and never "count". What ends as a part of another type does
// (_count, _sum, _bucket, _total, _info, _created) gets `_value` behind.
std::string FamilyName(const v1::MetricDescriptor& metric);
// ... + "_by_head": a gauge of each head.
std::string HeadFamilyName(const v1::MetricDescriptor& metric);
// ... + "_heads": a native histogram over heads.
std::string HistogramFamilyName(const v1::MetricDescriptor& metric);

// The metric's meaning, its unit and how it is shown.
std::string HelpOf(const v1::MetricDescriptor& metric,
                   absl::string_view shown_as);

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_FAMILY_NAME_H_

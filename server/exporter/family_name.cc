#include "server/exporter/family_name.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/names.h"

namespace sinkwatch::exporter {
namespace {

std::string WithUnit(const v1::MetricDescriptor& metric) {
  const std::string& unit = metric.unit();
  const bool in_name = absl::StrContains(absl::StrCat("_", metric.name(), "_"),
                                         absl::StrCat("_", unit, "_"));
  if (!server::IsMetricName(unit) || unit == "count" || in_name) {
    return metric.name();
  }
  return absl::StrCat(metric.name(), "_", unit);
}

}  // namespace

std::string FamilyName(const v1::MetricDescriptor& metric) {
  const std::string name = WithUnit(metric);
  for (const char* reserved :
       {"_count", "_sum", "_bucket", "_total", "_info", "_created"}) {
    if (absl::EndsWith(name, reserved)) {
      return absl::StrCat("sinkwatch_", name, "_value");
    }
  }
  return absl::StrCat("sinkwatch_", name);
}

std::string HeadFamilyName(const v1::MetricDescriptor& metric) {
  return absl::StrCat("sinkwatch_", WithUnit(metric), "_by_head");
}

std::string HistogramFamilyName(const v1::MetricDescriptor& metric) {
  return absl::StrCat("sinkwatch_", WithUnit(metric), "_heads");
}

std::string HelpOf(const v1::MetricDescriptor& metric,
                   absl::string_view shown_as) {
  std::string help(absl::StripSuffix(metric.meaning(), "."));
  if (help.empty()) help = metric.name();
  if (!metric.unit().empty()) absl::StrAppend(&help, " [", metric.unit(), "]");
  absl::StrAppend(&help, shown_as, ".");
  return help;
}

}  // namespace sinkwatch::exporter

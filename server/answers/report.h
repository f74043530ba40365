#ifndef SINKWATCH_SERVER_ANSWERS_REPORT_H_
#define SINKWATCH_SERVER_ANSWERS_REPORT_H_

#include <string>
#include <vector>

#include "sinkwatch/v1/analysis_service.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

// A run on one page: what is to be said, plots, definitions, caveats. Same
// input, same bytes.
namespace sinkwatch::answers {

struct Report {
  std::string run;
  v1::SummarizeResponse summary;
  // Of ReportSeries, as far as there are values.
  std::vector<v1::QuerySeriesResponse> series;
  // Of ReportChecks: published values, drawn beside the curves and told in a
  // table.
  std::vector<v1::CheckReferencesResponse> checks;
};

// The series that a report plots: of each headline metric, or where there is
// none each with a threshold, the band over all heads and layers in each
// domain; then of other metrics where they jumped. 24 plots at most; the report
// says how many there would be.
std::vector<v1::QuerySeriesRequest> ReportSeries(
    const std::string& run, const v1::SummarizeResponse& summary);

// What to ask for published values: `asked` (its run, model and tolerances) of
// each reference in each domain.
std::vector<v1::CheckReferencesRequest> ReportChecks(
    const v1::CheckReferencesRequest& asked,
    const std::vector<std::string>& references,
    const v1::SummarizeResponse& summary);

// Plots are pictures inside of it: no other file belongs to it.
std::string ReportMarkdown(const Report& report);
std::string ReportHtml(const Report& report);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_REPORT_H_

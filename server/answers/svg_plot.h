#ifndef SINKWATCH_SERVER_ANSWERS_SVG_PLOT_H_
#define SINKWATCH_SERVER_ANSWERS_SVG_PLOT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sinkwatch/v1/analysis_service.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::answers {

// A published value beside a curve.
struct PlotPoint {
  double step = 0;
  double value = 0;
  // Says its colour: green, red, grey where there is no own value.
  v1::ReferenceVerdict verdict = v1::REFERENCE_VERDICT_ABSENT;
  std::string title;  // its tool tip
};

// What stands beside the curves of a plot.
struct PlotMarks {
  // Drawn across, as a broken line.
  std::optional<double> threshold;
  // Intervals (after, by] that are shaded.
  std::vector<std::pair<int64_t, int64_t>> intervals;
  std::vector<PlotPoint> points;
};

// A series over ln(1 + step) as an SVG picture that needs no style sheet, with
// its definition as a tool tip and ticks at round numbers: a band ("min",
// "p10", "median", "p90", "max" by its columns' statistics) as two shades and a
// line, other columns as lines, twelve at most. Empty for a series without
// values. Texts are escaped.
std::string SvgPlot(const v1::QuerySeriesResponse& series,
                    const std::string& title, const PlotMarks& marks);

// "<" as "&lt;", and the like: for HTML and SVG, attributes included.
std::string EscapeMarkup(const std::string& text);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_SVG_PLOT_H_

#ifndef SINKWATCH_SERVER_CTL_CHART_H_
#define SINKWATCH_SERVER_CTL_CHART_H_

#include <string>

#include "server/answers/table.h"

namespace sinkwatch::ctl {

// Columns of a terminal that does not say, and those of a chart's y axis.
inline constexpr int kDefaultColumns = 80;
inline constexpr int kChartMargin = 13;

struct ChartOptions {
  int width = 72;   // columns of the plot, without its axis
  int height = 18;  // lines of the plot
  std::string x_label = "step";
  // x is log10(1 + step): the axis is labelled with steps all the same.
  bool x_is_log_step = false;
};

// A series table (x and one column per series) drawn with characters, for a
// terminal of any kind: each series has a letter or digit, a '#' stands where
// several meet. More than 12 series are drawn as their band: '.' from the 10th
// to the 90th percentile, 'o' the median, '-' the least and the largest. A
// table without a value gives a line that says so.
std::string DrawChart(const answers::Table& series,
                      const ChartOptions& options);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_CHART_H_

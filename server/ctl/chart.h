#ifndef SINKWATCH_SERVER_CTL_CHART_H_
#define SINKWATCH_SERVER_CTL_CHART_H_

#include <string>

#include "server/answers/table.h"

namespace sinkwatch::ctl {

struct ChartOptions {
  int width = 72;   // columns of the plot, without its axis
  int height = 18;  // lines of the plot
  std::string x_label = "step";
};

// A series table (x and one column per series) drawn with characters, for a
// terminal of any kind: each series has a letter or digit, a '#' stands where
// several meet. At most 36 series are drawn and named below; more is said in
// words. A table without a value gives a line that says so.
std::string DrawChart(const answers::Table& series,
                      const ChartOptions& options);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_CHART_H_

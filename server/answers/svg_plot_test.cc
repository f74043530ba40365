#include "server/answers/svg_plot.h"

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

v1::QuerySeriesResponse Lines(const std::vector<std::vector<float>>& rows) {
  v1::QuerySeriesResponse series;
  for (size_t c = 0; c < rows[0].size(); ++c) {
    series.add_columns()->set_label("L" + std::to_string(c));
  }
  int64_t step = 0;
  for (const std::vector<float>& row : rows) {
    series.add_steps(step);
    step = step * 10 + 9;
    for (float value : row) series.add_values(value);
  }
  return series;
}

// The points of the polyline number `line`.
std::vector<std::string> PointsOf(const std::string& svg, size_t line) {
  size_t at = 0;
  for (size_t i = 0; i <= line; ++i) {
    at = svg.find("<polyline points=\"", at + 1);
    if (at == std::string::npos) return {};
  }
  const size_t begin = at + 18;
  return absl::StrSplit(svg.substr(begin, svg.find('"', begin) - begin), ' ',
                        absl::SkipEmpty());
}

TEST(SvgPlotTest, StepsStandOnALogarithmicAxis) {
  // ln(1 + step) of 0, 9, 99 is even; so are the values.
  const std::string svg = SvgPlot(Lines({{0}, {1}, {2}}), "t", {});
  // From x = 64 to 628; 5 % of room above and below of 24 to 192.
  EXPECT_EQ(PointsOf(svg, 0), (std::vector<std::string>{
                                  "64.0,184.4", "346.0,108.0", "628.0,31.6"}));
}

TEST(SvgPlotTest, WhatIsNotThereIsLeftOut) {
  const std::string svg = SvgPlot(Lines({{0, 1}, {NAN, 2}, {2, 3}}), "t", {});
  EXPECT_EQ(PointsOf(svg, 0).size(), 2u);
  EXPECT_EQ(PointsOf(svg, 1).size(), 3u);
  EXPECT_FALSE(absl::StrContains(svg, "nan"));
  EXPECT_EQ(SvgPlot(Lines({{NAN}, {NAN}}), "t", {}), "");
  EXPECT_FALSE(absl::StrContains(SvgPlot(Lines({{1}}), "t", {}), "nan"));
}

TEST(SvgPlotTest, MarksAreDrawn) {
  PlotMarks marks;
  marks.threshold = .5;
  marks.intervals = {{9, 99}};
  marks.points = {{9, 5}};
  const std::string svg = SvgPlot(Lines({{0}, {1}, {2}}), "t", marks);
  EXPECT_TRUE(absl::StrContains(svg, "stroke-dasharray"));
  EXPECT_TRUE(absl::StrContains(svg, "<title>(9, 99]</title>"));
  EXPECT_TRUE(absl::StrContains(svg, "<circle"));
}

TEST(SvgPlotTest, TextsAreEscaped) {
  const std::string svg = SvgPlot(Lines({{0}, {1}}), "<b> & \"c\"", {});
  EXPECT_TRUE(absl::StrContains(svg, "&lt;b&gt; &amp; &quot;c&quot;"));
  EXPECT_FALSE(absl::StrContains(svg, "<b>"));
}

}  // namespace
}  // namespace sinkwatch::answers

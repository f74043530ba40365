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

TEST(SvgPlotTest, OneCheckpointIsADot) {
  const std::string svg = SvgPlot(Lines({{1, 2}}), "t", {});
  EXPECT_TRUE(absl::StrContains(svg, "<circle"));
  EXPECT_TRUE(PointsOf(svg, 0).empty());
}

TEST(SvgPlotTest, MarksAreDrawn) {
  PlotMarks marks;
  marks.threshold = .5;
  marks.intervals = {{9, 99}};
  marks.points = {{9, 5, v1::REFERENCE_VERDICT_ABSENT, ""}};
  const std::string svg = SvgPlot(Lines({{0}, {1}, {2}}), "t", marks);
  EXPECT_TRUE(absl::StrContains(svg, "stroke-dasharray"));
  EXPECT_TRUE(absl::StrContains(svg, "<title>(9, 99]</title>"));
  EXPECT_TRUE(absl::StrContains(svg, "<circle"));
}

TEST(SvgPlotTest, APublishedValueIsOfTheColourOfItsVerdict) {
  PlotMarks marks;
  marks.points = {{9, 1, v1::REFERENCE_VERDICT_PASS, "Guo & al."},
                  {99, 2, v1::REFERENCE_VERDICT_FAIL, ""}};
  const std::string svg = SvgPlot(Lines({{0}, {1}, {2}}), "t", marks);
  const size_t pass = svg.find("stroke=\"#2ca02c\"");
  ASSERT_NE(pass, std::string::npos);
  EXPECT_TRUE(absl::StrContains(svg.substr(pass), "Guo &amp; al."));
  EXPECT_TRUE(absl::StrContains(svg, "stroke=\"#d62728\""));
}

std::vector<std::string> TextsOf(const std::string& svg) {
  std::vector<std::string> texts;
  for (size_t at = 0; (at = svg.find("<text ", at)) != std::string::npos;) {
    const size_t begin = svg.find('>', at) + 1;
    at = svg.find('<', begin);
    texts.push_back(svg.substr(begin, at - begin));
  }
  return texts;
}

TEST(SvgPlotTest, TicksAreRoundNumbers) {
  v1::QuerySeriesResponse series = Lines({{0}, {.8F}, {.4F}, {.4F}, {.4F}});
  // 5 % of room around 0 to .8; steps 0, 9, 99, 999, 9999.
  EXPECT_EQ(TextsOf(SvgPlot(series, "t", {})),
            (std::vector<std::string>{"0", "0.2", "0.4", "0.6", "0.8", "0", "1",
                                      "10", "100", "1k",
                                      "training step, logarithmic", "t"}));
  for (int i = 0; i < 5; ++i) series.set_steps(i, 100'000 * (i + 1));
  const auto texts = TextsOf(SvgPlot(series, "t", {}));
  EXPECT_EQ(texts[5], "100k");
  EXPECT_EQ(texts[6], "200k");
  EXPECT_EQ(texts[7], "500k");
}

TEST(SvgPlotTest, TextsAreEscaped) {
  const std::string svg = SvgPlot(Lines({{0}, {1}}), "<b> & \"c\"", {});
  EXPECT_TRUE(absl::StrContains(svg, "&lt;b&gt; &amp; &quot;c&quot;"));
  EXPECT_FALSE(absl::StrContains(svg, "<b>"));
}

}  // namespace
}  // namespace sinkwatch::answers

#include "server/answers/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace sinkwatch::answers {
namespace {

constexpr double kWidth = 640, kHeight = 224;
constexpr double kLeft = 64, kRight = 12, kTop = 24, kBottom = 32;
constexpr int kMaxLines = 12;
const char* const kColours[] = {"#1f77b4", "#d62728", "#2ca02c",
                                "#9467bd", "#ff7f0e", "#17becf"};

double LogStep(double step) { return std::log1p(step); }

// Where values stand on the picture.
struct Frame {
  double x_low, x_high, y_low, y_high;

  double X(double step) const {
    const double share = (LogStep(step) - x_low) / (x_high - x_low);
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double Y(double value) const {
    const double share = (value - y_low) / (y_high - y_low);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  }
};

float ValueAt(const v1::QuerySeriesResponse& series, int row, int column) {
  return series.values(row * series.columns_size() + column);
}

// Empty where nothing is known. Room is left where all is the same.
std::optional<Frame> FrameOf(const v1::QuerySeriesResponse& series,
                             const PlotMarks& marks) {
  double low = INFINITY, high = -INFINITY;
  const auto take = [&](double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (float value : series.values()) take(value);
  if (!(low <= high) || series.steps().empty()) return std::nullopt;
  if (marks.threshold.has_value()) take(*marks.threshold);
  for (const PlotPoint& point : marks.points) take(point.value);
  const double room = high > low ? .05 * (high - low) : 1;
  double first = LogStep(static_cast<double>(series.steps(0)));
  double last =
      LogStep(static_cast<double>(series.steps(series.steps_size() - 1)));
  if (!(last > first)) last = first + 1;
  return Frame{first, last, low - room, high + room};
}

// The places of a column's values, gaps passed over.
std::vector<std::pair<double, double>> PlacesOf(
    const v1::QuerySeriesResponse& series, int column, const Frame& frame) {
  std::vector<std::pair<double, double>> places;
  for (int row = 0; row < series.steps_size(); ++row) {
    const float value = ValueAt(series, row, column);
    if (!std::isfinite(value)) continue;
    places.emplace_back(frame.X(static_cast<double>(series.steps(row))),
                        frame.Y(value));
  }
  return places;
}

std::string PointsText(const std::vector<std::pair<double, double>>& places) {
  std::string text;
  for (const auto& [x, y] : places) {
    absl::StrAppendFormat(&text, "%.1f,%.1f ", x, y);
  }
  return text;
}

int ColumnOf(const v1::QuerySeriesResponse& series, const char* statistic) {
  for (int c = 0; c < series.columns_size(); ++c) {
    if (series.columns(c).statistic() == statistic) return c;
  }
  return -1;
}

void AppendShade(const v1::QuerySeriesResponse& series, int low, int high,
                 double opacity, const Frame& frame, std::string* svg) {
  if (low < 0 || high < 0) return;
  auto outline = PlacesOf(series, low, frame);
  const auto upper = PlacesOf(series, high, frame);
  outline.insert(outline.end(), upper.rbegin(), upper.rend());
  absl::StrAppendFormat(
      svg, "<polygon points=\"%s\" fill=\"%s\" fill-opacity=\"%.2f\"/>",
      PointsText(outline), kColours[0], opacity);
}

// Of one checkpoint, of which a line shows nothing, a dot.
void AppendLine(const v1::QuerySeriesResponse& series, int column,
                const char* colour, const Frame& frame, std::string* svg) {
  const auto places = PlacesOf(series, column, frame);
  if (places.size() == 1) {
    absl::StrAppendFormat(svg,
                          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" "
                          "fill=\"%s\"><title>%s</title></circle>",
                          places[0].first, places[0].second, colour,
                          EscapeMarkup(series.columns(column).label()));
    return;
  }
  absl::StrAppendFormat(svg,
                        "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" "
                        "stroke-width=\"1.5\"><title>%s</title></polyline>",
                        PointsText(places), colour,
                        EscapeMarkup(series.columns(column).label()));
}

void AppendCurves(const v1::QuerySeriesResponse& series, const Frame& frame,
                  std::string* svg) {
  const int median = ColumnOf(series, "median");
  if (median >= 0 && series.columns_size() >= 5) {
    AppendShade(series, ColumnOf(series, "min"), ColumnOf(series, "max"), .15,
                frame, svg);
    AppendShade(series, ColumnOf(series, "p10"), ColumnOf(series, "p90"), .3,
                frame, svg);
    AppendLine(series, median, kColours[0], frame, svg);
    return;
  }
  for (int c = 0; c < std::min(series.columns_size(), kMaxLines); ++c) {
    AppendLine(series, c, kColours[c % 6], frame, svg);
  }
}

void AppendText(double x, double y, const char* anchor, const std::string& text,
                std::string* svg) {
  absl::StrAppendFormat(
      svg,
      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"11\" "
      "font-family=\"sans-serif\" fill=\"#333\">%s</text>",
      x, y, anchor, EscapeMarkup(text));
}

// The round numbers of a range: 1, 2 or 5 times a power of ten apart, four to
// eight of them.
std::vector<double> RoundNumbers(double low, double high) {
  const double rough = (high - low) / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double apart = 10 * power;
  for (const double times : {5., 2., 1.}) {
    if (times * power >= rough) apart = times * power;
  }
  std::vector<double> numbers;
  for (double n = std::ceil(low / apart); n * apart <= high; ++n) {
    numbers.push_back(n * apart + 0.0);  // -0 is written as 0
  }
  return numbers;
}

// "500", "20k", "1M".
std::string StepText(double step) {
  if (step >= 1e6) return absl::StrFormat("%gM", step / 1e6);
  if (step >= 1e3) return absl::StrFormat("%gk", step / 1e3);
  return absl::StrFormat("%g", step);
}

// Powers of ten; their doubles and halves as well where these are few.
std::vector<double> StepTicks(const Frame& frame) {
  std::vector<double> ticks;
  const bool few = frame.x_high - frame.x_low < 5;  // two powers and a bit
  for (double power = 1; LogStep(power) <= frame.x_high; power *= 10) {
    for (const double step : {power, 2 * power, 5 * power}) {
      if ((step == power || few) && LogStep(step) >= frame.x_low &&
          LogStep(step) <= frame.x_high) {
        ticks.push_back(step);
      }
    }
  }
  if (frame.x_low == 0) ticks.insert(ticks.begin(), 0);
  return ticks;
}

void AppendGrid(double x1, double y1, double x2, double y2, std::string* svg) {
  absl::StrAppendFormat(svg,
                        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                        "y2=\"%.1f\" stroke=\"#e4e4e4\"/>",
                        x1, y1, x2, y2);
}

void AppendAxes(const Frame& frame, std::string* svg) {
  for (const double value : RoundNumbers(frame.y_low, frame.y_high)) {
    const double y = frame.Y(value);
    AppendGrid(kLeft, y, kWidth - kRight, y, svg);
    AppendText(kLeft - 6, y + 4, "end", absl::StrFormat("%.4g", value), svg);
  }
  for (const double step : StepTicks(frame)) {
    const double x = frame.X(step);
    AppendGrid(x, kTop, x, kHeight - kBottom, svg);
    AppendText(x, kHeight - kBottom + 14, "middle", StepText(step), svg);
  }
  absl::StrAppendFormat(svg,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                        "height=\"%.1f\" fill=\"none\" stroke=\"#999\"/>",
                        kLeft, kTop, kWidth - kLeft - kRight,
                        kHeight - kTop - kBottom);
  AppendText(kWidth - kRight, kHeight - 2, "end", "training step, logarithmic",
             svg);
}

void AppendMarks(const PlotMarks& marks, const Frame& frame, std::string* svg) {
  for (const auto& [after, by] : marks.intervals) {
    const double left = frame.X(static_cast<double>(after));
    const double right = frame.X(static_cast<double>(by));
    if (!(right > left) || left < kLeft - 1) continue;
    absl::StrAppendFormat(
        svg,
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
        "fill=\"#ff7f0e\" fill-opacity=\"0.25\"><title>(%d, %d]</title></rect>",
        left, kTop, right - left, kHeight - kTop - kBottom, after, by);
  }
  if (marks.threshold.has_value()) {
    absl::StrAppendFormat(svg,
                          "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                          "y2=\"%.1f\" stroke=\"#666\" "
                          "stroke-dasharray=\"4 3\"/>",
                          kLeft, kWidth - kRight, frame.Y(*marks.threshold),
                          frame.Y(*marks.threshold));
  }
}

const char* ColourOf(v1::ReferenceVerdict verdict) {
  switch (verdict) {
    case v1::REFERENCE_VERDICT_PASS:
      return "#2ca02c";
    case v1::REFERENCE_VERDICT_FAIL:
      return "#d62728";
    default:
      return "#888";
  }
}

void AppendPoints(const PlotMarks& marks, const Frame& frame,
                  std::string* svg) {
  for (const PlotPoint& point : marks.points) {
    const double x = frame.X(point.step);
    if (x < kLeft - 1 || x > kWidth - kRight + 1) continue;
    absl::StrAppendFormat(svg,
                          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" "
                          "fill=\"#fff\" fill-opacity=\"0.6\" "
                          "stroke=\"%s\" stroke-width=\"1.5\"><title>%s"
                          "</title></circle>",
                          x, frame.Y(point.value), ColourOf(point.verdict),
                          EscapeMarkup(point.title));
  }
}

// What the shades and the line are.
void AppendLegend(const v1::QuerySeriesResponse& series, std::string* svg) {
  if (ColumnOf(series, "median") < 0 || series.columns_size() < 5) return;
  AppendText(kWidth - kRight, 15, "end",
             "line: median; shades: 10 to 90 %, least to most", svg);
}

}  // namespace

std::string EscapeMarkup(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"\"", "&quot;"},
                                    {"'", "&#39;"}});
}

std::string SvgPlot(const v1::QuerySeriesResponse& series,
                    const std::string& title, const PlotMarks& marks) {
  const std::optional<Frame> frame = FrameOf(series, marks);
  if (!frame.has_value()) return "";
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "width=\"%.0f\" height=\"%.0f\" role=\"img\"><title>%s</title>"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>",
      kWidth, kHeight, kWidth, kHeight,
      EscapeMarkup(absl::StrCat(title, ". ", series.metric().meaning())));
  AppendAxes(*frame, &svg);
  AppendMarks(marks, *frame, &svg);
  AppendCurves(series, *frame, &svg);
  AppendPoints(marks, *frame, &svg);
  AppendText(kLeft, 15, "start", title, &svg);
  AppendLegend(series, &svg);
  return svg + "</svg>";
}

}  // namespace sinkwatch::answers

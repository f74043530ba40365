#include "server/ctl/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sinkwatch::ctl {
namespace {

constexpr char kMarks[] = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr size_t kMaxLines = 12;
constexpr int kAxisWidth = 10;

std::optional<double> NumberOf(const answers::Cell& cell) {
  double value = 0;
  if (const auto* f = std::get_if<float>(&cell)) {
    value = *f;
  } else if (const auto* d = std::get_if<double>(&cell)) {
    value = *d;
  } else if (const auto* i = std::get_if<int64_t>(&cell)) {
    value = static_cast<double>(*i);
  } else {
    return std::nullopt;
  }
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  // Place of `value` on `cells` cells.
  int Place(double value, int cells) const {
    if (high == low) return cells / 2;
    const double share = (value - low) / (high - low);
    return static_cast<int>(std::lround(share * (cells - 1)));
  }
};

// The finite values of a row, ascending.
std::vector<double> SortedValues(const std::vector<answers::Cell>& row) {
  std::vector<double> values;
  for (size_t c = 1; c < row.size(); ++c) {
    if (const auto value = NumberOf(row[c])) values.push_back(*value);
  }
  std::sort(values.begin(), values.end());
  return values;
}

double Quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

// What is drawn: rows of characters, and where values lie on them.
class Canvas {
 public:
  Canvas(const answers::Table& series, const ChartOptions& options)
      : options_(options),
        lines_(options.height, std::string(options.width, ' ')) {
    for (const auto& row : series.rows) {
      const std::vector<double> values = SortedValues(row);
      if (values.empty()) continue;
      x_.Add(*NumberOf(row[0]));
      y_.Add(values.front());
      y_.Add(values.back());
    }
  }

  bool empty() const { return y_.empty(); }
  const Range& x() const { return x_; }
  const Range& y() const { return y_; }
  std::vector<std::string> lines() && { return std::move(lines_); }

  char& At(double x, double y) {
    const int line = options_.height - 1 - y_.Place(y, options_.height);
    return lines_[line][x_.Place(x, options_.width)];
  }

  // '.' wherever nothing is from `low` to `high`.
  void Fill(double x, double low, double high) {
    const int column = x_.Place(x, options_.width);
    for (int place = y_.Place(low, options_.height);
         place <= y_.Place(high, options_.height); ++place) {
      char& mark = lines_[options_.height - 1 - place][column];
      if (mark == ' ') mark = '.';
    }
  }

 private:
  const ChartOptions& options_;
  Range x_;
  Range y_;
  std::vector<std::string> lines_;
};

void DrawLines(const answers::Table& series, Canvas* canvas) {
  for (const auto& row : series.rows) {
    for (size_t s = 0; s + 1 < row.size(); ++s) {
      const auto value = NumberOf(row[s + 1]);
      if (!value.has_value()) continue;
      char& mark = canvas->At(*NumberOf(row[0]), *value);
      mark = mark == ' ' || mark == kMarks[s] ? kMarks[s] : '#';
    }
  }
}

void DrawBand(const answers::Table& series, Canvas* canvas) {
  for (const auto& row : series.rows) {
    const std::vector<double> values = SortedValues(row);
    if (values.empty()) continue;
    const double x = *NumberOf(row[0]);
    canvas->At(x, values.front()) = '-';
    canvas->At(x, values.back()) = '-';
    canvas->Fill(x, Quantile(values, 0.1), Quantile(values, 0.9));
  }
  for (const auto& row : series.rows) {
    const std::vector<double> values = SortedValues(row);
    if (values.empty()) continue;
    canvas->At(*NumberOf(row[0]), Quantile(values, 0.5)) = 'o';
  }
}

// The lines behind the axis of y, which is labelled at both ends and between.
std::string Plot(std::vector<std::string> lines, const Range& y) {
  const int height = static_cast<int>(lines.size());
  std::string text;
  for (int line = 0; line < height; ++line) {
    const bool labelled = line == 0 || line == height - 1 || line == height / 2;
    const double share = 1 - static_cast<double>(line) / (height - 1);
    const std::string label =
        labelled ? absl::StrFormat("%.4g", y.low + share * (y.high - y.low))
                 : "";
    lines[line].erase(lines[line].find_last_not_of(' ') + 1);
    absl::StrAppend(
        &text, absl::StrFormat("%*s |%s\n", kAxisWidth, label, lines[line]));
  }
  return text;
}

// A step or a number of tokens, whole.
std::string XLabel(double value) { return absl::StrFormat("%.0f", value); }

// Both ends of x, and its name between.
std::string LinearAxis(const Range& x, const ChartOptions& options) {
  const std::string left = XLabel(x.low);
  const std::string right = XLabel(x.high);
  const std::string middle = absl::StrCat(" ", options.x_label, " ");
  const int room = options.width - static_cast<int>(left.size() + right.size());
  const int pad = std::max(0, room - static_cast<int>(middle.size()));
  return absl::StrCat(
      std::string(kAxisWidth + 1, ' '), "+", std::string(options.width, '-'),
      "\n", std::string(kAxisWidth + 2, ' '), left, std::string(pad / 2, ' '),
      middle, std::string(pad - pad / 2, ' '), right, "\n");
}

// The steps between both ends that are 0 or a power of ten, and the ends.
std::vector<double> LogTicks(const Range& x) {
  std::vector<double> steps = {std::pow(10, x.low) - 1,
                               std::pow(10, x.high) - 1};
  for (double step = 1; step < steps[1]; step *= 10) {
    if (step > steps[0]) steps.push_back(step);
  }
  return steps;
}

// Ticks with the steps that they stand at, as many as have room.
std::string LogAxis(const Range& x, const ChartOptions& options) {
  std::string line(options.width, '-');
  std::string labels(options.width, ' ');
  for (double step : LogTicks(x)) {
    const std::string label = XLabel(step);
    const int place = x.Place(std::log10(1 + step), options.width);
    const int length = static_cast<int>(label.size());
    const int start =
        std::clamp(place - length / 2, 0, std::max(0, options.width - length));
    const int before = std::max(0, start - 1);
    if (labels.substr(before, length + 2).find_first_not_of(' ') !=
        std::string::npos) {
      continue;
    }
    labels.replace(start, length, label);
    line[place] = '+';
  }
  labels.erase(labels.find_last_not_of(' ') + 1);
  return absl::StrCat(std::string(kAxisWidth + 1, ' '), "+", line, "\n",
                      std::string(kAxisWidth + 2, ' '), labels, "\n",
                      std::string(kAxisWidth + 2, ' '), options.x_label,
                      ", on a logarithmic axis\n");
}

std::string Legend(const answers::Table& series) {
  const size_t count = series.columns.size() - 1;
  if (count > kMaxLines) {
    return absl::StrCat("  ", count,
                        " series: o median, . 10th to 90th percentile, - least "
                        "and largest\n");
  }
  std::string text;
  std::string line = "  ";
  for (size_t s = 0; s < count; ++s) {
    const std::string entry =
        absl::StrFormat("%c=%s  ", kMarks[s], series.columns[s + 1]);
    if (line.size() + entry.size() > 80) {
      absl::StrAppend(&text, line, "\n");
      line = "  ";
    }
    line += entry;
  }
  return absl::StrCat(text, line, "\n");
}

}  // namespace

std::string DrawChart(const answers::Table& series,
                      const ChartOptions& options) {
  Canvas canvas(series, options);
  if (canvas.empty()) return "  (no values)\n";
  if (series.columns.size() - 1 > kMaxLines) {
    DrawBand(series, &canvas);
  } else {
    DrawLines(series, &canvas);
  }
  const std::string axis = options.x_is_log_step
                               ? LogAxis(canvas.x(), options)
                               : LinearAxis(canvas.x(), options);
  const Range y = canvas.y();
  return absl::StrCat(Plot(std::move(canvas).lines(), y), axis, Legend(series));
}

}  // namespace sinkwatch::ctl

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
constexpr size_t kMaxSeries = sizeof(kMarks) - 1;
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

// Calls `point` with series, x and value of every value that is drawn.
template <typename Point>
void ForEachPoint(const answers::Table& series, const Point& point) {
  const size_t drawn = std::min(series.columns.size() - 1, kMaxSeries);
  for (const auto& row : series.rows) {
    for (size_t s = 0; s < drawn; ++s) {
      const auto value = NumberOf(row[s + 1]);
      if (value.has_value()) point(s, *NumberOf(row[0]), *value);
    }
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

// Both ends of x, and its name between.
std::string XAxis(const Range& x, const ChartOptions& options) {
  const std::string left = absl::StrFormat("%.6g", x.low);
  const std::string right = absl::StrFormat("%.6g", x.high);
  const std::string middle = absl::StrCat(" ", options.x_label, " ");
  const int room = options.width - static_cast<int>(left.size() + right.size());
  const int pad = std::max(0, room - static_cast<int>(middle.size()));
  return absl::StrCat(
      std::string(kAxisWidth + 1, ' '), "+", std::string(options.width, '-'),
      "\n", std::string(kAxisWidth + 2, ' '), left, std::string(pad / 2, ' '),
      middle, std::string(pad - pad / 2, ' '), right, "\n");
}

// The legend, and what is not drawn.
std::string Legend(const answers::Table& series) {
  const size_t count = series.columns.size() - 1;
  std::string text;
  std::string line = "  ";
  for (size_t s = 0; s < std::min(count, kMaxSeries); ++s) {
    const std::string entry =
        absl::StrFormat("%c=%s  ", kMarks[s], series.columns[s + 1]);
    if (line.size() + entry.size() > 80) {
      absl::StrAppend(&text, line, "\n");
      line = "  ";
    }
    line += entry;
  }
  absl::StrAppend(&text, line, "\n");
  if (count > kMaxSeries) {
    absl::StrAppend(&text, "  (", count - kMaxSeries,
                    " more series are not drawn: choose --layer, --head or "
                    "--agg)\n");
  }
  return text;
}

}  // namespace

std::string DrawChart(const answers::Table& series,
                      const ChartOptions& options) {
  Range x;
  Range y;
  ForEachPoint(series, [&](size_t, double at, double value) {
    x.Add(at);
    y.Add(value);
  });
  if (y.empty()) return "  (no values)\n";
  std::vector<std::string> lines(options.height,
                                 std::string(options.width, ' '));
  ForEachPoint(series, [&](size_t s, double at, double value) {
    const int line = options.height - 1 - y.Place(value, options.height);
    char& mark = lines[line][x.Place(at, options.width)];
    mark = mark == ' ' || mark == kMarks[s] ? kMarks[s] : '#';
  });
  return absl::StrCat(Plot(std::move(lines), y), XAxis(x, options),
                      Legend(series));
}

}  // namespace sinkwatch::ctl

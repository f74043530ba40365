#include "server/analytics/thinning.h"

namespace sinkwatch::analytics {
namespace {

// Below this many buckets a drawing that keeps every column's extremes has too
// few steps to show a shape.
constexpr size_t kMinBuckets = 50;

// The places of the smallest and the largest value of some columns in some
// rows.
struct Extremes {
  const Matrix& matrix;
  bool found = false;
  float low = 0, high = 0;
  size_t low_row = 0, high_row = 0;

  void See(size_t row, size_t column) {
    const float value = matrix.values[row * matrix.columns + column];
    if (!(value == value)) return;
    if (!found || value < low) low = value, low_row = row;
    if (!found || value > high) high = value, high_row = row;
    found = true;
  }
  void Mark(std::vector<bool>& kept) const {
    if (!found) return;
    kept[low_row] = true;
    kept[high_row] = true;
  }
};

void KeepOfEachColumn(const Matrix& matrix, size_t begin, size_t end,
                      std::vector<bool>& kept) {
  for (size_t column = 0; column < matrix.columns; ++column) {
    Extremes extremes{matrix};
    for (size_t row = begin; row < end; ++row) extremes.See(row, column);
    extremes.Mark(kept);
  }
}

void KeepOfAllColumns(const Matrix& matrix, size_t begin, size_t end,
                      std::vector<bool>& kept) {
  Extremes extremes{matrix};
  for (size_t row = begin; row < end; ++row) {
    for (size_t column = 0; column < matrix.columns; ++column) {
      extremes.See(row, column);
    }
  }
  extremes.Mark(kept);
}

}  // namespace

std::vector<size_t> KeptRows(const Matrix& matrix, size_t max_points) {
  const size_t rows = matrix.rows();
  std::vector<bool> kept(rows, rows <= max_points);
  if (rows > max_points) {
    const size_t of_each = (max_points - 2) / (2 * matrix.columns);
    const bool each = of_each >= kMinBuckets;
    const size_t buckets = each ? of_each : (max_points - 2) / 2;
    kept.front() = kept.back() = true;
    for (size_t i = 0; i < buckets; ++i) {
      const size_t begin = 1 + i * (rows - 2) / buckets;
      const size_t end = 1 + (i + 1) * (rows - 2) / buckets;
      (each ? KeepOfEachColumn : KeepOfAllColumns)(matrix, begin, end, kept);
    }
  }
  std::vector<size_t> list;
  for (size_t row = 0; row < rows; ++row) {
    if (kept[row]) list.push_back(row);
  }
  return list;
}

}  // namespace sinkwatch::analytics

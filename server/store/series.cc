#include "server/store/series.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/value_blob.h"

namespace sinkwatch::store {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool Wanted(const std::set<int32_t>& set, int32_t number) {
  return set.empty() || set.count(number) > 0;
}

// `rows` rows of `from` columns as rows of `to` columns; places[j] is where
// column j goes.
std::vector<float> Spread(const std::vector<float>& matrix, size_t rows,
                          const std::vector<size_t>& places, size_t to) {
  std::vector<float> wide(rows * to, kNan);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t j = 0; j < places.size(); ++j) {
      wide[row * to + places[j]] = matrix[row * places.size() + j];
    }
  }
  return wide;
}

void ReverseRows(std::vector<float>& matrix, size_t columns) {
  if (columns == 0) return;
  const size_t rows = matrix.size() / columns;
  for (size_t low = 0; low < rows / 2; ++low) {
    std::swap_ranges(matrix.begin() + low * columns,
                     matrix.begin() + (low + 1) * columns,
                     matrix.begin() + (rows - 1 - low) * columns);
  }
}

}  // namespace

SeriesBuilder::SeriesBuilder(const SeriesQuery& query, int64_t expected,
                             std::shared_ptr<CellBudget::Hold> hold)
    : layers_(query.layers.begin(), query.layers.end()),
      heads_(query.heads.begin(), query.heads.end()),
      max_cells_(query.max_cells),
      expected_(expected) {
  series_.hold = std::move(hold);
}

absl::Status SeriesBuilder::Add(int64_t step, int64_t tokens,
                                absl::string_view bytes) {
  const auto blob = BlobView::Parse(bytes);
  if (!blob.ok()) {
    series_.damaged[step] = std::string(blob.status().message());
    return absl::OkStatus();
  }
  if (shape_ != blob->shape()) {
    absl::Status status = Arrange(*blob);
    if (!status.ok()) return status;
  }
  const size_t columns = series_.columns.size();
  absl::Status status = MakeRoom(columns);
  if (!status.ok()) return status;
  const size_t row = series_.steps.size() * columns;
  series_.steps.push_back(step);
  series_.tokens.push_back(tokens);
  series_.values.resize(row + columns, kNan);
  series_.standard_errors.resize(row + columns, kNan);
  for (const Span& span : spans_) {
    blob->CopyValues(span.from, span.count,
                     series_.values.data() + row + span.to);
    blob->CopyStandardErrors(span.from, span.count,
                             series_.standard_errors.data() + row + span.to);
  }
  return absl::OkStatus();
}

// For one more step of so many columns, or for all that are expected.
absl::Status SeriesBuilder::MakeRoom(size_t columns) {
  const int64_t steps = static_cast<int64_t>(series_.steps.size()) + 1;
  const int64_t width = static_cast<int64_t>(columns);
  if (steps * width > max_cells_) {
    return absl::OutOfRangeError(
        absl::StrCat("the series has more than ", max_cells_, " values (",
                     columns, " columns in at least ", steps, " steps)"));
  }
  const int64_t cells =
      std::min(std::max(steps, expected_) * width, max_cells_);
  if (series_.hold != nullptr) {
    absl::Status status = series_.hold->Grow(cells);
    if (!status.ok()) return status;
  }
  if (steps > expected_) return absl::OkStatus();
  series_.values.reserve(cells);
  series_.standard_errors.reserve(cells);
  return absl::OkStatus();
}

absl::Status SeriesBuilder::Arrange(const BlobView& blob) {
  shape_ = std::string(blob.shape());
  std::vector<std::pair<SeriesColumn, size_t>> here;  // with its place
  const int width = blob.width();
  for (size_t i = 0; i < blob.layers(); ++i) {
    const std::optional<int> layer = blob.layer(i);
    if (layer.has_value() && !Wanted(layers_, *layer)) continue;
    for (int index = 0; index < width; ++index) {
      if (width > 1 && !Wanted(heads_, index)) continue;
      here.push_back({{layer, index}, i * width + index});
    }
  }
  std::sort(here.begin(), here.end());
  std::vector<SeriesColumn> columns, all;
  for (const auto& [column, place] : here) columns.push_back(column);
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  std::set_union(columns.begin(), columns.end(), series_.columns.begin(),
                 series_.columns.end(), std::back_inserter(all));
  absl::Status status = MakeRoom(all.size());
  if (!status.ok()) return status;
  if (all != series_.columns) Widen(all);

  spans_.clear();
  for (const auto& [column, from] : here) {
    const size_t to =
        std::lower_bound(all.begin(), all.end(), column) - all.begin();
    if (!spans_.empty() && spans_.back().from + spans_.back().count == from &&
        spans_.back().to + spans_.back().count == to) {
      ++spans_.back().count;
    } else {
      spans_.push_back({from, to, 1});
    }
  }
  return absl::OkStatus();
}

void SeriesBuilder::Widen(const std::vector<SeriesColumn>& columns) {
  std::vector<size_t> places;
  for (const SeriesColumn& column : series_.columns) {
    places.push_back(std::lower_bound(columns.begin(), columns.end(), column) -
                     columns.begin());
  }
  const size_t rows = series_.steps.size();
  series_.values = Spread(series_.values, rows, places, columns.size());
  series_.standard_errors =
      Spread(series_.standard_errors, rows, places, columns.size());
  series_.columns = columns;
}

Series SeriesBuilder::Finish() {
  if (!series_.steps.empty() && series_.steps.front() > series_.steps.back()) {
    std::reverse(series_.steps.begin(), series_.steps.end());
    std::reverse(series_.tokens.begin(), series_.tokens.end());
    ReverseRows(series_.values, series_.columns.size());
    ReverseRows(series_.standard_errors, series_.columns.size());
  }
  return std::move(series_);
}

}  // namespace sinkwatch::store

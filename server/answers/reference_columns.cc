#include "server/answers/reference_columns.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"

namespace sinkwatch::answers {
namespace {

std::optional<Cell> PlaceOf(const v1::ReferencePoint& point,
                            const std::string& x) {
  if (x == "tokens") {
    if (!point.has_tokens()) return std::nullopt;
    return Cell(int64_t{point.tokens()});
  }
  if (!point.has_step()) return std::nullopt;
  if (x == "step") return Cell(int64_t{point.step()});
  return Cell(std::log10(1.0 + static_cast<double>(point.step())));
}

std::string NameOf(const v1::ReferencePoint& point) {
  std::string name = absl::StrCat(point.reference(), ": ", point.model());
  if (point.has_layer()) absl::StrAppend(&name, " L", point.layer());
  if (point.has_head()) {
    absl::StrAppend(&name, point.has_layer() ? "H" : " H", point.head());
  }
  return name;
}

using Row = std::vector<Cell>;

// The row of that x, made in its place if there is none.
Row& RowAt(const Cell& place, Table* table) {
  auto& rows = table->rows;
  const auto at = std::lower_bound(
      rows.begin(), rows.end(), place,
      [](const Row& row, const Cell& cell) { return row[0] < cell; });
  if (at != rows.end() && (*at)[0] == place) return *at;
  Row row(table->columns.size());
  row[0] = place;
  return *rows.insert(at, std::move(row));
}

}  // namespace

void LayReferences(const v1::ListReferencesResponse& references,
                   const std::string& x, Table* series) {
  std::map<std::string, size_t> columns;
  for (const v1::ReferencePoint& point : references.points()) {
    const std::optional<Cell> place = PlaceOf(point, x);
    if (!place.has_value()) continue;
    const auto [column, is_new] =
        columns.emplace(NameOf(point), series->columns.size());
    if (is_new) {
      series->columns.push_back(column->first);
      for (Row& row : series->rows) row.emplace_back();
    }
    Cell& cell = RowAt(*place, series)[column->second];
    if (std::holds_alternative<std::monostate>(cell)) cell = point.value();
  }
}

}  // namespace sinkwatch::answers

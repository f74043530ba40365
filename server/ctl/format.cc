#include "server/ctl/format.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "proto/base/utf8.h"

namespace sinkwatch::ctl {
namespace {

using answers::Cell;
using answers::Table;

// Of a last column that is text: more of it goes into further lines.
constexpr size_t kMinLastWidth = 16;

// Columns on a terminal: bytes that do not continue a UTF-8 sequence.
size_t Width(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

bool IsNumber(const Cell& cell) {
  return std::holds_alternative<int64_t>(cell) ||
         std::holds_alternative<float>(cell) ||
         std::holds_alternative<double>(cell);
}

// Numbers, and at least one.
bool IsNumeric(const Table& table, size_t column) {
  bool any = false;
  for (const auto& row : table.rows) {
    if (IsNumber(row[column])) {
      any = true;
    } else if (!std::holds_alternative<std::monostate>(row[column])) {
      return false;
    }
  }
  return any;
}

void AppendPadded(const std::string& text, size_t width, bool right, bool last,
                  std::string* out) {
  const std::string pad(width - Width(text), ' ');
  if (right) absl::StrAppend(out, pad, text);
  if (!right) absl::StrAppend(out, text, last ? "" : pad);
  out->append(last ? "\n" : "  ");
}

// Texts and widths of a table on a terminal.
struct Layout {
  std::vector<size_t> width;
  std::vector<bool> right;
  std::vector<std::vector<std::string>> texts;
};

Layout LayoutOf(const Table& table) {
  const size_t columns = table.columns.size();
  Layout layout{std::vector<size_t>(columns), std::vector<bool>(columns), {}};
  for (const auto& row : table.rows) {
    layout.texts.emplace_back();
    for (const Cell& cell : row) {
      layout.texts.back().push_back(Printable(answers::CellText(cell)));
    }
  }
  for (size_t c = 0; c < columns; ++c) {
    layout.right[c] = IsNumeric(table, c);
    layout.width[c] = Width(table.columns[c]);
    for (const auto& row : layout.texts) {
      layout.width[c] = std::max(layout.width[c], Width(row[c]));
    }
  }
  return layout;
}

// The first `columns` of the table.
std::string Aligned(const Table& table, const Layout& layout, size_t columns) {
  std::string out;
  for (size_t c = 0; c < columns; ++c) {
    AppendPadded(table.columns[c], layout.width[c], layout.right[c],
                 c + 1 == columns, &out);
  }
  for (const auto& row : layout.texts) {
    for (size_t c = 0; c < columns; ++c) {
      AppendPadded(row[c], layout.width[c], layout.right[c], c + 1 == columns,
                   &out);
    }
  }
  return out;
}

// The number of columns if there is none of that name.
size_t PlaceOf(const Table& table, const std::string& column) {
  return std::find(table.columns.begin(), table.columns.end(), column) -
         table.columns.begin();
}

bool IsNothing(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return text->empty();
  if (const auto* count = std::get_if<int64_t>(&cell)) return *count == 0;
  if (const auto* list = std::get_if<std::vector<std::string>>(&cell)) {
    return list->empty();
  }
  return std::holds_alternative<std::monostate>(cell);
}

}  // namespace

std::string Printable(absl::string_view text) {
  return base::ReplaceControls(
      text, [](absl::string_view) { return std::string("?"); });
}

Format ParseFormat(const std::string& name) {
  if (name == "json") return Format::kJson;
  return name == "csv" ? Format::kCsv : Format::kTable;
}

std::string AlignedTable(const Table& table) {
  return Aligned(table, LayoutOf(table), table.columns.size());
}

std::string FittedTable(const Table& table, int width) {
  const Layout layout = LayoutOf(table);
  const size_t columns = table.columns.size();
  size_t shown = 0, used = 0;
  // The last column may be text of any length, which a terminal wraps.
  while (shown < columns) {
    const size_t needed = std::min(layout.width[shown], kMinLastWidth);
    const bool last = shown + 1 == columns;
    used += (shown == 0 ? 0 : 2) + (last ? needed : layout.width[shown]);
    if (used > static_cast<size_t>(width) && shown >= 2) break;
    ++shown;
  }
  std::string out = Aligned(table, layout, shown);
  if (shown == columns) return out;
  absl::StrAppend(&out, "(", columns - shown, " of ", columns,
                  " columns are cut: ", table.columns[shown],
                  shown + 2 < columns   ? " ... "
                  : shown + 1 < columns ? ", "
                                        : "",
                  shown + 1 < columns ? table.columns.back() : "",
                  "; --all shows every column, --format=csv has them)\n");
  return out;
}

std::string Formatted(const Table& table, Format format) {
  switch (format) {
    case Format::kJson:
      return answers::ToRecords(table);
    case Format::kCsv:
      return answers::ToCsv(table);
    case Format::kTable:
      break;
  }
  return AlignedTable(table);
}

std::string FormattedRow(const Table& table, Format format) {
  const std::string text = Formatted(table, format);
  if (format != Format::kJson) return text.substr(text.find('\n') + 1);
  const size_t start = text.find('{');
  return text.substr(start, text.rfind('}') + 1 - start) + "\n";
}

Table Pick(const Table& table, const std::vector<std::string>& columns) {
  Table picked{columns, std::vector<std::vector<Cell>>(table.rows.size())};
  for (const std::string& column : columns) {
    const size_t c = PlaceOf(table, column);
    for (size_t r = 0; r < table.rows.size(); ++r) {
      picked.rows[r].push_back(c < table.columns.size() ? table.rows[r][c]
                                                        : Cell());
    }
  }
  return picked;
}

std::vector<std::string> WithoutEmpty(
    const Table& table, const std::vector<std::string>& columns,
    const std::vector<std::string>& where_any) {
  std::vector<std::string> kept;
  for (const std::string& column : columns) {
    const size_t c = PlaceOf(table, column);
    const bool nothing = std::all_of(
        table.rows.begin(), table.rows.end(),
        [&](const auto& row) { return c >= row.size() || IsNothing(row[c]); });
    const bool may_go = std::find(where_any.begin(), where_any.end(), column) !=
                        where_any.end();
    if (!nothing || !may_go) kept.push_back(column);
  }
  return kept;
}

std::string MetricParagraphs(const Table& metrics) {
  std::string out;
  for (const auto& row : metrics.rows) {
    const auto text = [&](size_t c) {
      return Printable(answers::CellText(row[c]));
    };
    absl::StrAppend(&out, text(0), "  [", text(1), ", one value per ", text(2),
                    "]\n    ", text(3), "\n    = ", text(4),
                    "\n    source: ", text(5), "\n\n");
  }
  return out;
}

Table ValuesTable(const v1::Measurement& m) {
  Table table{
      {"domain", "metric", "layer", "index", "value", "stderr", "count"}, {}};
  for (const v1::MetricVector& v : m.vectors()) {
    for (int i = 0; i < v.values_size(); ++i) {
      const bool has_error = i < v.standard_errors_size();
      table.rows.push_back({v.domain(), v.metric(),
                            v.has_layer() ? Cell(int64_t{v.layer()}) : Cell(),
                            int64_t{i}, v.values(i),
                            has_error ? Cell(v.standard_errors(i)) : Cell(),
                            int64_t{v.count()}});
    }
  }
  return table;
}

}  // namespace sinkwatch::ctl

#include "server/ctl/format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::ctl {
namespace {

using answers::Cell;
using answers::Table;
using nlohmann::json;
using nlohmann::ordered_json;

std::string Plain(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

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

// The shortest decimal of a float, as JSON; null if it is not finite.
json Number(float value) {
  const std::string text =
      answers::ToCsv({{"v"}, {{Cell(value)}}}).substr(3);  // behind "v\r\n"
  return text == "\r\n" ? json() : json::parse(text);
}

json Numbers(const google::protobuf::RepeatedField<float>& values) {
  json list = json::array();
  for (float value : values) list.push_back(Number(value));
  return list;
}

// Why, or null.
json Implausible(const v1::Measurement& m) {
  if (!m.implausible()) return nullptr;
  if (!m.implausible_reason().empty()) return m.implausible_reason();
  return "marked by its worker; this store did not keep the reason yet";
}

ordered_json VectorJson(const v1::MetricVector& vector) {
  return {{"domain", vector.domain()},
          {"metric", vector.metric()},
          {"layer", vector.has_layer() ? json(vector.layer()) : json()},
          {"values", Numbers(vector.values())},
          {"stderr", Numbers(vector.standard_errors())},
          {"count", vector.count()}};
}

}  // namespace

absl::StatusOr<Format> ParseFormat(const std::string& name) {
  if (name == "table") return Format::kTable;
  if (name == "json") return Format::kJson;
  if (name == "csv") return Format::kCsv;
  return absl::InvalidArgumentError(
      absl::StrCat("--format=", name, " is none of table, json, csv"));
}

std::string AlignedTable(const Table& table) {
  const size_t columns = table.columns.size();
  std::vector<size_t> width(columns);
  std::vector<bool> right(columns);
  std::vector<std::vector<std::string>> texts;
  for (const auto& row : table.rows) {
    texts.emplace_back();
    for (const Cell& cell : row) {
      texts.back().push_back(Plain(answers::CellText(cell)));
    }
  }
  for (size_t c = 0; c < columns; ++c) {
    right[c] = IsNumeric(table, c);
    width[c] = Width(table.columns[c]);
    for (const auto& row : texts) width[c] = std::max(width[c], Width(row[c]));
  }
  std::string out;
  for (size_t c = 0; c < columns; ++c) {
    AppendPadded(table.columns[c], width[c], right[c], c + 1 == columns, &out);
  }
  for (const auto& row : texts) {
    for (size_t c = 0; c < columns; ++c) {
      AppendPadded(row[c], width[c], right[c], c + 1 == columns, &out);
    }
  }
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

Table Pick(const Table& table, const std::vector<std::string>& columns,
           const std::vector<std::string>& names) {
  Table picked{names, std::vector<std::vector<Cell>>(table.rows.size())};
  for (const std::string& column : columns) {
    const auto it =
        std::find(table.columns.begin(), table.columns.end(), column);
    const size_t c = it - table.columns.begin();
    for (size_t r = 0; r < table.rows.size(); ++r) {
      picked.rows[r].push_back(c < table.columns.size() ? table.rows[r][c]
                                                        : Cell());
    }
  }
  return picked;
}

std::string MetricParagraphs(const Table& metrics) {
  std::string out;
  for (const auto& row : metrics.rows) {
    const auto text = [&](size_t c) {
      return Plain(answers::CellText(row[c]));
    };
    absl::StrAppend(&out, text(0), "  [", text(1), ", one value per ", text(2),
                    "]\n    ", text(3), "\n    = ", text(4),
                    "\n    source: ", text(5), "\n\n");
  }
  return out;
}

std::string MeasurementJson(const v1::Measurement& m) {
  const v1::MeasurementHeader& header = m.header();
  ordered_json out;
  out["spec_version"] = header.spec_version();
  out["checkpoint"] = {{"path", header.checkpoint().path()},
                       {"run", header.checkpoint().run()},
                       {"stage", header.checkpoint().stage()},
                       {"step", header.checkpoint().step()},
                       {"architecture", header.model().architecture()},
                       {"content_digest", m.content_digest()}};
  out["probe"] = {{"name", header.probe().name()},
                  {"digest", header.probe().digest()},
                  {"sequence_length", header.sequence_length()},
                  {"bos_policy", header.bos_policy()}};
  out["model"] = {{"layers", header.model().layers()},
                  {"heads", header.model().heads()},
                  {"kv_heads", header.model().kv_heads()},
                  {"head_dim", header.model().head_dim()},
                  {"width", header.model().width()},
                  {"vocabulary", header.model().vocabulary()}};
  out["dtype"] = header.dtype();
  out["device"] = header.device();
  out["implausible"] = Implausible(m);
  out["measurements"] = ordered_json::array();
  for (const v1::MetricVector& vector : m.vectors()) {
    out["measurements"].push_back(VectorJson(vector));
  }
  return out.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Table MeasurementTable(const v1::Measurement& m) {
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

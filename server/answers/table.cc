#include "server/answers/table.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "proto/base/csv_text.h"
#include "proto/base/json_string.h"
#include "proto/base/shortest_float.h"

namespace sinkwatch::answers {
namespace {

void AppendJson(const Cell& cell, std::string* out) {
  struct Visitor {
    std::string* out;
    void operator()(std::monostate) const { out->append("null"); }
    void operator()(bool value) const { out->append(value ? "true" : "false"); }
    void operator()(int64_t value) const { absl::StrAppend(out, value); }
    void operator()(float value) const {
      if (!base::AppendShortest(value, out)) out->append("null");
    }
    void operator()(double value) const {
      if (!base::AppendShortest(value, out)) out->append("null");
    }
    void operator()(const std::string& text) const {
      out->append(base::JsonString(text));
    }
    void operator()(const std::vector<std::string>& list) const {
      out->append("[");
      out->append(absl::StrJoin(list, ",", [](std::string* o, const auto& s) {
        o->append(base::JsonString(s));
      }));
      out->append("]");
    }
  };
  std::visit(Visitor{out}, cell);
}

void AppendCsv(const Cell& cell, std::string* out) {
  if (std::holds_alternative<std::monostate>(cell)) return;
  if (const auto* list = std::get_if<std::vector<std::string>>(&cell)) {
    base::AppendCsvText(absl::StrJoin(*list, ";"), out);
  } else if (const auto* text = std::get_if<std::string>(&cell)) {
    base::AppendCsvText(*text, out);
  } else {
    std::string json;
    AppendJson(cell, &json);
    if (json != "null") out->append(json);
  }
}

std::string TextOf(const Extras& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false,
                    Extras::error_handler_t::replace);
}

}  // namespace

std::string ToJson(const Table& table, const Extras& extras) {
  std::string out = "{";
  for (const auto& [name, value] : extras.items()) {
    absl::StrAppend(&out, base::JsonString(name), ":", TextOf(value), ",");
  }
  out += "\"columns\":";
  AppendJson(table.columns, &out);
  out += ",\"rows\":[";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    out += r == 0 ? "\n[" : ",\n[";
    for (size_t c = 0; c < table.rows[r].size(); ++c) {
      if (c > 0) out.push_back(',');
      AppendJson(table.rows[r][c], &out);
    }
    out.push_back(']');
  }
  out += "]}\n";
  return out;
}

std::string ToRecords(const Table& table) {
  std::vector<std::string> keys;
  for (const std::string& column : table.columns) {
    keys.push_back(base::JsonString(column) + ":");
  }
  std::string out = "[";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    out += r == 0 ? "\n{" : ",\n{";
    for (size_t c = 0; c < table.rows[r].size(); ++c) {
      if (c > 0) out.push_back(',');
      out += keys[c];
      AppendJson(table.rows[r][c], &out);
    }
    out.push_back('}');
  }
  out += "]\n";
  return out;
}

std::string ToCsv(const Table& table) {
  std::string out;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    if (c > 0) out.push_back(',');
    base::AppendCsvText(table.columns[c], &out);
  }
  out += "\r\n";
  for (const std::vector<Cell>& row : table.rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (c > 0) out.push_back(',');
      AppendCsv(row[c], &out);
    }
    out += "\r\n";
  }
  return out;
}

std::string CellText(const Cell& cell) {
  const auto number = [](double value) -> std::string {
    return std::isfinite(value) ? absl::StrFormat("%.6g", value) : "-";
  };
  if (const auto* value = std::get_if<float>(&cell)) return number(*value);
  if (const auto* value = std::get_if<double>(&cell)) return number(*value);
  if (const auto* value = std::get_if<bool>(&cell))
    return *value ? "yes" : "no";
  if (const auto* value = std::get_if<int64_t>(&cell)) {
    return absl::StrCat(*value);
  }
  if (const auto* list = std::get_if<std::vector<std::string>>(&cell)) {
    return list->empty() ? "-" : absl::StrJoin(*list, ", ");
  }
  const auto* text = std::get_if<std::string>(&cell);
  return text == nullptr || text->empty() ? "-" : *text;
}

}  // namespace sinkwatch::answers

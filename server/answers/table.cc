#include "server/answers/table.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::answers {
namespace {

// Shortest decimal that reads back; false, writing nothing, if not finite.
template <typename Number>
bool AppendNumber(Number value, std::string* out) {
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(value)) return false;
  }
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out->append(buffer, end.ptr - buffer);
  return true;
}

void AppendJson(const Cell& cell, std::string* out) {
  struct Visitor {
    std::string* out;
    void operator()(std::monostate) const { out->append("null"); }
    void operator()(bool value) const { out->append(value ? "true" : "false"); }
    void operator()(int64_t value) const { AppendNumber(value, out); }
    void operator()(float value) const {
      if (!AppendNumber(value, out)) out->append("null");
    }
    void operator()(double value) const {
      if (!AppendNumber(value, out)) out->append("null");
    }
    void operator()(const std::string& text) const {
      out->append(JsonString(text));
    }
    void operator()(const std::vector<std::string>& list) const {
      out->append("[");
      out->append(absl::StrJoin(list, ",", [](std::string* o, const auto& s) {
        o->append(JsonString(s));
      }));
      out->append("]");
    }
  };
  std::visit(Visitor{out}, cell);
}

void AppendCsvText(std::string_view text, std::string* out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  for (char c : text) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

void AppendCsv(const Cell& cell, std::string* out) {
  if (std::holds_alternative<std::monostate>(cell)) return;
  if (const auto* list = std::get_if<std::vector<std::string>>(&cell)) {
    AppendCsvText(absl::StrJoin(*list, ";"), out);
  } else if (const auto* text = std::get_if<std::string>(&cell)) {
    AppendCsvText(*text, out);
  } else {
    std::string json;
    AppendJson(cell, &json);
    if (json != "null") out->append(json);
  }
}

}  // namespace

std::string JsonString(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false,
                                   nlohmann::json::error_handler_t::replace);
}

std::string ToJson(const Table& table, const Extras& extras) {
  std::string out = "{";
  for (const auto& [name, json] : extras) {
    absl::StrAppend(&out, JsonString(name), ":", json, ",");
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
    keys.push_back(JsonString(column) + ":");
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
    AppendCsvText(table.columns[c], &out);
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

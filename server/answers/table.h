#ifndef SINKWATCH_SERVER_ANSWERS_TABLE_H_
#define SINKWATCH_SERVER_ANSWERS_TABLE_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "nlohmann/json_fwd.hpp"

namespace sinkwatch::answers {

// monostate is "no value": null in JSON, empty in CSV. A number that is not
// finite is no value.
using Cell = std::variant<std::monostate, bool, int64_t, float, double,
                          std::string, std::vector<std::string>>;

// What every list of the API is: columns and rows. JSON, CSV and the records
// form hold the same cells, whichever is asked for.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
};

// Facts beside the table, by name: an object, or null for none.
using Extras = nlohmann::ordered_json;

// {extras..., "columns":[..],"rows":[[..],..]}
std::string ToJson(const Table& table, const Extras& extras);
// [{"column":cell,..},..]: what a tool that wants objects reads.
std::string ToRecords(const Table& table);
// RFC 4180 with a header line; a list joined by ';'.
std::string ToCsv(const Table& table);

// As a person reads it: six significant digits, "-" for no value.
std::string CellText(const Cell& cell);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_TABLE_H_

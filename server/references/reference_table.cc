#include "server/references/reference_table.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "proto/base/nearest.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"

namespace sinkwatch::references {
namespace {

constexpr size_t kMaxCell = 1000;
constexpr char kByteOrderMark[] = "\xef\xbb\xbf";

constexpr std::pair<const char*, v1::Aggregation> kOver[] = {
    {"mean", v1::AGGREGATION_MEAN},
    {"median", v1::AGGREGATION_MEDIAN},
    {"max", v1::AGGREGATION_MAX},
    {"min", v1::AGGREGATION_MIN}};

using Row = std::vector<std::string>;

const std::vector<std::string>& Columns() {
  static const auto& columns = *new std::vector<std::string>{
      "metric", "model", "revision", "step",     "tokens", "layer",
      "head",   "value", "citation", "protocol", "over"};
  return columns;
}

absl::Status Wrong(size_t line, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
}

// Reads RFC 4180, row by row; a row ends in \n or \r\n.
class CsvReader {
 public:
  explicit CsvReader(absl::string_view text) : text_(text) {}

  bool AtEnd() const { return at_ >= text_.size(); }
  // Of the row that was read last: the line that it begins in, from 1 on.
  size_t line() const { return row_line_; }

  absl::StatusOr<Row> Next() {
    row_line_ = ++line_;
    Row row;
    do {
      ASSIGN_OR_RETURN(row.emplace_back(), Cell());
    } while (Takes(","));
    if (AtEnd() || Takes("\r\n") || Takes("\n")) return row;
    return text_[at_] == '\r'
               ? Wrong(line_, "a carriage return without a line feed")
               : Wrong(line_, "text behind a closed quote");
  }

 private:
  // Passes over these bytes if they come next.
  bool Takes(absl::string_view bytes) {
    if (!absl::StartsWith(text_.substr(at_), bytes)) return false;
    at_ += bytes.size();
    return true;
  }

  absl::StatusOr<std::string> Cell() {
    if (Takes("\"")) return Quoted();
    const size_t end =
        std::min(text_.find_first_of(",\r\n", at_), text_.size());
    const absl::string_view cell = text_.substr(at_, end - at_);
    if (cell.size() > kMaxCell) return TooLong();
    at_ = end;
    return std::string(cell);
  }

  // Behind its first quote.
  absl::StatusOr<std::string> Quoted() {
    std::string cell;
    for (;;) {
      const size_t end = text_.find('"', at_);
      if (end == absl::string_view::npos) {
        return Wrong(row_line_, "a quote is not closed");
      }
      const absl::string_view part = text_.substr(at_, end - at_);
      line_ += std::count(part.begin(), part.end(), '\n');
      cell.append(part.begin(), part.end());
      at_ = end + 1;
      if (cell.size() > kMaxCell) return TooLong();
      if (!Takes("\"")) return cell;
      cell.push_back('"');
    }
  }

  absl::Status TooLong() const {
    return Wrong(row_line_, "a cell is above 1000 bytes");
  }

  const absl::string_view text_;
  size_t at_ = 0;
  size_t line_ = 0;
  size_t row_line_ = 0;
};

// Where the header has each column.
absl::StatusOr<std::map<std::string, size_t>> ReadHeader(const Row& header) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < header.size(); ++i) {
    const std::string name(absl::StripAsciiWhitespace(header[i]));
    const auto& known = Columns();
    if (header.size() == 1 && absl::StrContains(name, ';')) {
      return Wrong(1, "cells are separated by commas, not by semicolons");
    }
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Wrong(1, absl::StrCat("there is no column \"", name, "\"",
                                   base::DidYouMean(name, known)));
    }
    if (!places.emplace(name, i).second) {
      return Wrong(1, absl::StrCat("column ", name, " is there twice"));
    }
  }
  for (const char* needed : {"metric", "model", "value", "citation"}) {
    if (places.count(needed) == 0) {
      return Wrong(1, absl::StrCat("column ", needed, " is missing"));
    }
  }
  return places;
}

// One row, cell by cell; the first error sticks.
class PointReader {
 public:
  PointReader(const std::map<std::string, size_t>& places, const Row& row,
              size_t line)
      : places_(places), row_(row), line_(line) {}

  std::string Text(const char* column, bool needed = false) {
    const auto place = places_.find(column);
    std::string text;
    if (place != places_.end()) {
      text = std::string(absl::StripAsciiWhitespace(row_[place->second]));
    }
    if (needed && text.empty()) Fail(column, "is empty");
    if (!base::IsUtf8(text)) Fail(column, "is not UTF-8");
    return text;
  }
  template <typename Set>
  void Whole(const char* column, int64_t least, int64_t most, const Set& set) {
    const std::string text = Text(column);
    int64_t number = 0;
    if (text.empty()) return;
    if (!absl::SimpleAtoi(text, &number) || number < least || number > most) {
      Fail(column, absl::StrCat("\"", text, "\" is no whole number from ",
                                least, " on"));
    }
    set(number);
  }
  v1::Aggregation Over() {
    const std::string text = Text("over");
    if (text.empty()) return v1::AGGREGATION_UNSPECIFIED;
    for (const auto& [word, over] : kOver) {
      if (text == word) return over;
    }
    Fail("over",
         absl::StrCat("\"", text, "\" is none of mean, median, max, min"));
    return v1::AGGREGATION_UNSPECIFIED;
  }
  double Value() {
    const std::string text = Text("value", /*needed=*/true);
    double number = 0;
    if (!absl::SimpleAtod(text, &number) || !std::isfinite(number)) {
      Fail("value", absl::StrCat("\"", text, "\" is no finite number"));
    }
    return number;
  }
  const absl::Status& status() const { return status_; }

 private:
  void Fail(const char* column, const std::string& what) {
    status_.Update(Wrong(line_, absl::StrCat(column, " ", what)));
  }

  const std::map<std::string, size_t>& places_;
  const Row& row_;
  const size_t line_;
  absl::Status status_;
};

absl::StatusOr<v1::ReferencePoint> ReadPoint(
    const std::string& name, const std::map<std::string, size_t>& places,
    const Row& row, size_t line) {
  PointReader reader(places, row, line);
  v1::ReferencePoint point;
  point.set_reference(name);
  point.set_metric(reader.Text("metric", /*needed=*/true));
  point.set_model(reader.Text("model", /*needed=*/true));
  point.set_revision(reader.Text("revision"));
  reader.Whole("step", 0, INT64_MAX, [&](int64_t n) { point.set_step(n); });
  reader.Whole("tokens", 0, INT64_MAX, [&](int64_t n) { point.set_tokens(n); });
  reader.Whole("layer", -1, INT32_MAX,
               [&](int64_t n) { point.set_layer(static_cast<int32_t>(n)); });
  reader.Whole("head", 0, INT32_MAX,
               [&](int64_t n) { point.set_head(static_cast<int32_t>(n)); });
  point.set_value(reader.Value());
  point.set_citation(reader.Text("citation", /*needed=*/true));
  point.set_protocol(reader.Text("protocol"));
  point.set_over(reader.Over());
  RETURN_IF_ERROR(reader.status());
  return point;
}

}  // namespace

absl::StatusOr<std::vector<v1::ReferencePoint>> ParseReference(
    const std::string& name, const std::string& csv) {
  if (csv.size() > kMaxBytes) {
    return absl::InvalidArgumentError("a table of references is above 1 MiB");
  }
  CsvReader reader(absl::StripPrefix(csv, kByteOrderMark));
  if (reader.AtEnd()) return Wrong(1, "the header is missing");
  ASSIGN_OR_RETURN(const Row header, reader.Next());
  ASSIGN_OR_RETURN(const auto places, ReadHeader(header));
  std::vector<v1::ReferencePoint> points;
  while (!reader.AtEnd()) {
    ASSIGN_OR_RETURN(const Row row, reader.Next());
    if (row.size() == 1 && row[0].empty()) continue;
    if (row.size() != header.size()) {
      return Wrong(reader.line(), absl::StrCat(row.size(),
                                               " cells where the "
                                               "header has ",
                                               header.size()));
    }
    if (points.size() == kMaxPoints) {
      return Wrong(reader.line(), "above 20000 points");
    }
    ASSIGN_OR_RETURN(points.emplace_back(),
                     ReadPoint(name, places, row, reader.line()));
  }
  if (points.empty()) return Wrong(1, "there is no row below the header");
  return points;
}

absl::Status CheckReferenceName(const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (plain && !name.empty() && name.size() <= 100 && name[0] != '.') {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", base::EscapeBytes(name.substr(0, 100)),
      "\" is no name of a reference: letters, digits, . _ -, at most 100"));
}

}  // namespace sinkwatch::references

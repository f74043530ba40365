#include "server/discovery/manifest.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proto/base/small_file.h"
#include "proto/base/step_name.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMaxMebibytes = 16;
constexpr size_t kMaxStage = 64;
constexpr size_t kMaxPath = 1024;

enum class Column { kStage, kIngredient, kStep, kTokens, kDirectory };

struct Header {
  const char* text;
  std::vector<Column> columns;
};

const std::vector<Header>& Headers() {
  static const auto* const kHeaders = new std::vector<Header>{
      {"Step,Checkpoint Directory", {Column::kStep, Column::kDirectory}},
      {"Ingredient,Step,Checkpoint Directory",
       {Column::kIngredient, Column::kStep, Column::kDirectory}},
      {"Stage,Step,Checkpoint Directory",
       {Column::kStage, Column::kStep, Column::kDirectory}},
      {"Stage,Step,Tokens Seen,Checkpoint Directory",
       {Column::kStage, Column::kStep, Column::kTokens, Column::kDirectory}}};
  return *kHeaders;
}

absl::Status Broken(absl::string_view rule) {
  return absl::InvalidArgumentError(rule);
}

bool IsNumber(const std::string& text, int64_t* number) {
  return !text.empty() && absl::ascii_isdigit(text[0]) &&
         absl::SimpleAtoi(text, number);
}

absl::Status ReadStage(const std::string& text, std::string* stage) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '+' ||
           c == '.';
  });
  if (text.empty() || text.size() > kMaxStage || !plain) {
    return Broken(absl::StrCat("\"", text,
                               "\" is no name of a stage (letters, digits, "
                               "_-+., at most 64)"));
  }
  *stage = text;
  return absl::OkStatus();
}

// "https://host/a/b/", "s3://bucket/a/b" or "a/b" as {"a", "b"}.
absl::Status ReadDirectory(const std::string& text,
                           std::vector<std::string>* path) {
  absl::string_view rest = text;
  const size_t scheme = rest.find("://");
  if (scheme != absl::string_view::npos) {
    rest.remove_prefix(scheme + 3);
    const size_t slash = rest.find('/');
    rest.remove_prefix(slash == absl::string_view::npos ? rest.size() : slash);
  }
  absl::ConsumePrefix(&rest, "/");
  absl::ConsumeSuffix(&rest, "/");
  *path = absl::StrSplit(rest, '/');
  for (const std::string& part : *path) {
    const bool plain = std::none_of(part.begin(), part.end(), [](char c) {
      return absl::ascii_iscntrl(static_cast<unsigned char>(c));
    });
    if (part.empty() || part == "." || part == ".." || !plain ||
        text.size() > kMaxPath) {
      return Broken(absl::StrCat("\"", text, "\" is no plain path or URL"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadField(Column column, const std::string& text,
                       ManifestRow* row) {
  int64_t number = 0;
  switch (column) {
    case Column::kStage:
      return ReadStage(text, &row->stage);
    case Column::kIngredient:
      row->is_ingredient = true;
      if (!IsNumber(text, &number)) return ReadStage(text, &row->stage);
      row->stage = absl::StrCat("ingredient", number);
      return absl::OkStatus();
    case Column::kStep:
      if (IsNumber(text, &row->step)) return absl::OkStatus();
      return Broken(absl::StrCat("\"", text, "\" is no step"));
    case Column::kTokens:
      if (IsNumber(text, &row->tokens)) return absl::OkStatus();
      return Broken(absl::StrCat("\"", text, "\" is no number of tokens"));
    case Column::kDirectory:
      return ReadDirectory(text, &row->path);
  }
  return Broken("unknown column");
}

absl::Status ReadRow(const std::string& line, const Header& header,
                     ManifestRow* row) {
  if (line.find('"') != std::string::npos) {
    return Broken("quoted fields are not read");
  }
  const std::vector<std::string> fields = absl::StrSplit(line, ',');
  if (fields.size() != header.columns.size()) {
    return Broken(absl::StrCat(fields.size(), " fields, where the header has ",
                               header.columns.size()));
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string text(absl::StripAsciiWhitespace(fields[i]));
    absl::Status status = ReadField(header.columns[i], text, row);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<const Header*> ReadHeader(const std::string& line) {
  std::vector<std::string> known;
  for (const Header& header : Headers()) {
    if (line == header.text) return &header;
    known.push_back(header.text);
  }
  // Without the line: it may be that of any file.
  return Broken(
      absl::StrCat("the header is none of ", absl::StrJoin(known, "; ")));
}

// A directory of another step would be measured as this one.
std::string WhyOfAnotherStep(const ManifestRow& row) {
  const auto name = base::ParseStepName(row.path.back());
  if (!name.has_value() || name->step == row.step) return "";
  return absl::StrCat("the row is of step ", row.step, ", its directory ",
                      row.path.back(), " of step ", name->step);
}

// The rows of a file, those that are there twice once.
class Rows {
 public:
  explicit Rows(std::string file) : file_(std::move(file)) {}

  void Add(ManifestRow row, size_t line) {
    const std::string why = WhyOfAnotherStep(row);
    if (!why.empty()) {
      row.why_bad = AtLine(line, why);
      rows_.push_back(std::move(row));
      return;
    }
    const auto [place, is_new] =
        first_.try_emplace(row.path, First{rows_.size(), line});
    if (!is_new) {
      ManifestRow& first = rows_[place->second.row];
      if (first.stage == row.stage && first.step == row.step) return;
      MarkSame(row, line, first, place->second.line);
      MarkSame(first, place->second.line, row, line);
    }
    rows_.push_back(std::move(row));
  }

  std::vector<ManifestRow> Take() { return std::move(rows_); }

 private:
  // The first row with a directory.
  struct First {
    size_t row;
    size_t line;
  };

  std::string AtLine(size_t line, const std::string& rule) const {
    return absl::StrCat(file_, ":", line, ": ", rule);
  }

  void MarkSame(ManifestRow& row, size_t line, const ManifestRow& other,
                size_t other_line) const {
    if (!row.why_bad.empty()) return;
    row.why_bad =
        AtLine(line, absl::StrCat("its directory is that of line ", other_line,
                                  ", step ", other.step, ", as well"));
  }

  const std::string file_;
  std::vector<ManifestRow> rows_;
  std::map<std::vector<std::string>, First> first_;
};

// The last component is never common: it names the checkpoint.
size_t CommonPrefix(const std::vector<ManifestRow>& rows) {
  if (rows.empty()) return 0;
  const std::vector<std::string>& first = rows[0].path;
  size_t common = first.size() - 1;
  for (const ManifestRow& row : rows) {
    common = std::min(common, row.path.size() - 1);
    const auto end = first.begin() + static_cast<std::ptrdiff_t>(common);
    common = static_cast<size_t>(
        std::mismatch(first.begin(), end, row.path.begin()).first -
        first.begin());
  }
  return common;
}

}  // namespace

absl::StatusOr<Manifest> ParseManifest(const std::string& name,
                                       const std::string& text) {
  const Header* header = nullptr;
  Rows rows(name);
  size_t number = 0;
  const auto failed = [&](const absl::Status& status) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", number, ": ", std::string(status.message())));
  };
  for (absl::string_view part : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string line(absl::StripSuffix(part, "\r"));
    if (header == nullptr) {
      const auto found = ReadHeader(line);
      if (!found.ok()) return failed(found.status());
      header = *found;
      continue;
    }
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    ManifestRow row;
    absl::Status status = ReadRow(line, *header, &row);
    if (!status.ok()) return failed(status);
    rows.Add(std::move(row), number);
  }
  Manifest manifest;
  manifest.rows = rows.Take();
  manifest.common = CommonPrefix(manifest.rows);
  return manifest;
}

absl::StatusOr<Manifest> ReadManifest(const std::string& path) {
  const auto text = base::ReadSmallFile(path, kMaxMebibytes);
  if (!text.ok()) return text.status();
  return ParseManifest(path, *text);
}

}  // namespace sinkwatch::discovery

#include "proto/base/csv_text.h"

#include <utility>

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

std::string Cell(absl::string_view text) {
  std::string out;
  AppendCsvText(text, &out);
  return out;
}

TEST(CsvText, IsQuotedWhereItMust) {
  const std::pair<const char*, const char*> cases[] = {
      {"story", "story"},    {"", ""},
      {"a,b", "\"a,b\""},    {"say \"a\"", "\"say \"\"a\"\"\""},
      {"a\nb", "\"a\nb\""},  {"a\rb", "\"a\rb\""},
      {"train/x", "train/x"}};
  for (const auto& [text, cell] : cases) EXPECT_EQ(Cell(text), cell) << text;
}

TEST(CsvText, NoCellIsAFormula) {
  const std::pair<const char*, const char*> cases[] = {
      {"=1+1", "'=1+1"},
      {"@SUM(A1)", "'@SUM(A1)"},
      {"+a", "'+a"},
      {"-a", "'-a"},
      {"\tx", "'\tx"},
      {"=HYPERLINK(\"u\",\"t\")", "\"'=HYPERLINK(\"\"u\"\",\"\"t\"\")\""},
      {"-1.5", "-1.5"},
      {"+3", "+3"},
      {"\uFF1D1+1", "'\uFF1D1+1"},
      {"\uFF20a", "'\uFF20a"},
      {"a=b", "a=b"}};
  for (const auto& [text, cell] : cases) EXPECT_EQ(Cell(text), cell) << text;
}

TEST(CsvText, DrivesNoTerminal) {
  const std::pair<const char*, const char*> cases[] = {
      {"\x1b[2Jgone", "\\x1B[2Jgone"},
      {"a\n\xc2\x9b", "\"a\n\\xC2\\x9B\""},
      {"\xff\tx", "\\xFF\tx"},
      {"\xc3\xa9\n", "\"\xc3\xa9\n\""}};
  for (const auto& [text, cell] : cases) EXPECT_EQ(Cell(text), cell) << text;
}

}  // namespace
}  // namespace sinkwatch::base

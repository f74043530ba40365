#include "server/answers/table.h"

#include <cmath>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::answers {
namespace {

using nlohmann::json;

Table Example() {
  return {{"x", "L0", "text", "list", "flag"},
          {{int64_t{0}, 0.1f, std::string("a,\"b\"\n"),
            std::vector<std::string>{"p", "q"}, true},
           {2.5, std::nanf(""), std::string(""), std::vector<std::string>{},
            Cell()}}};
}

TEST(Table, JsonHoldsColumnsRowsAndExtras) {
  const json parsed = json::parse(ToJson(Example(), {{"revision", 7}}));
  EXPECT_EQ(parsed["revision"], 7);
  EXPECT_EQ(parsed["columns"],
            json::array({"x", "L0", "text", "list", "flag"}));
  EXPECT_EQ(parsed["rows"][0][2], "a,\"b\"\n");
  EXPECT_EQ(parsed["rows"][0][3], json::array({"p", "q"}));
  EXPECT_EQ(parsed["rows"][1][1], nullptr) << "NaN is no value";
  EXPECT_EQ(parsed["rows"][1][4], nullptr);
}

TEST(Table, RecordsHoldTheSameCells) {
  const json table = json::parse(ToJson(Example(), nullptr));
  const json records = json::parse(ToRecords(Example()));
  ASSERT_EQ(records.size(), 2u);
  for (size_t r = 0; r < 2; ++r) {
    for (size_t c = 0; c < 5; ++c) {
      const std::string column = table["columns"][c];
      EXPECT_EQ(records[r][column], table["rows"][r][c]) << column;
    }
  }
}

TEST(Table, CsvQuotesWhatNeedsIt) {
  EXPECT_EQ(ToCsv(Example()),
            "x,L0,text,list,flag\r\n"
            "0,0.1,\"a,\"\"b\"\"\n\",p;q,true\r\n"
            "2.5,,,,\r\n");
}

TEST(Table, FloatsKeepTheirOwnPrecision) {
  const Table table{{"v"}, {{0.3f}, {0.3}, {1e-30f}}};
  EXPECT_EQ(ToCsv(table), "v\r\n0.3\r\n0.3\r\n1e-30\r\n");
}

TEST(Table, EmptyTableIsStillATable) {
  const Table table{{"x"}, {}};
  EXPECT_EQ(json::parse(ToJson(table, nullptr))["rows"], json::array());
  EXPECT_EQ(json::parse(ToRecords(table)), json::array());
  EXPECT_EQ(ToCsv(table), "x\r\n");
}

TEST(Table, BrokenUtf8CannotBreakJson) {
  const Table table{{"v"}, {{std::string("a\xFF\"</script>")}}};
  const json parsed = json::parse(ToJson(table, {{"reason", "b\xFE"}}));
  EXPECT_EQ(parsed["rows"][0][0], "a\xEF\xBF\xBD\"</script>");
  EXPECT_EQ(parsed["reason"], "b\xEF\xBF\xBD");
}

TEST(Table, PeopleReadSixDigitsAndDashes) {
  EXPECT_EQ(CellText(0.123456789), "0.123457");
  EXPECT_EQ(CellText(std::nanf("")), "-");
  EXPECT_EQ(CellText(Cell()), "-");
  EXPECT_EQ(CellText(std::string()), "-");
  EXPECT_EQ(CellText(int64_t{1234567890123}), "1234567890123");
  EXPECT_EQ(CellText(std::vector<std::string>{"a", "b"}), "a, b");
}

}  // namespace
}  // namespace sinkwatch::answers

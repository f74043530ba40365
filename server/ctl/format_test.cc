#include "server/ctl/format.h"

#include <cmath>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/ctl/chart.h"

namespace sinkwatch::ctl {
namespace {

using answers::Cell;
using answers::Table;

TEST(AlignedTable, NumbersStandRightAndTextLeft) {
  const Table table{{"step", "state", "value"},
                    {{int64_t{5}, std::string("done"), 0.25f},
                     {int64_t{1000}, std::string("dead"), Cell()}}};
  EXPECT_EQ(AlignedTable(table),
            "step  state  value\n"
            "   5  done    0.25\n"
            "1000  dead       -\n");
}

TEST(AlignedTable, WidthIsInCharactersNotBytes) {
  const Table table{{"a", "b"},
                    {{std::string("\xC3\xA9\xC3\xA9"), std::string("x")},
                     {std::string("eee"), std::string("y")}}};
  EXPECT_EQ(AlignedTable(table), "a    b\n\xC3\xA9\xC3\xA9   x\neee  y\n");
}

TEST(AlignedTable, ControlCharactersCannotReachTheTerminal) {
  const Table table{{"reason"}, {{std::string("\x1B[2Jgone\n")}}};
  EXPECT_EQ(AlignedTable(table), "reason\n?[2Jgone?\n");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "2J \xE2\x80\xAE"
                      "x\xFF \xC3\xA9"),
            "?2J ?x? \xC3\xA9");
}

TEST(Formatted, EveryFormHoldsTheSame) {
  const Table table{{"a"}, {{int64_t{1}}}};
  EXPECT_EQ(Formatted(table, Format::kCsv), "a\r\n1\r\n");
  EXPECT_EQ(nlohmann::json::parse(Formatted(table, Format::kJson)),
            nlohmann::json::parse(R"([{"a":1}])"));
  EXPECT_EQ(ParseFormat("json"), Format::kJson);
  EXPECT_EQ(ParseFormat("csv"), Format::kCsv);
  EXPECT_EQ(ParseFormat("table"), Format::kTable);
}

TEST(FormattedRow, IsOneWholeLine) {
  const Table table{{"a", "b"}, {{int64_t{1}, std::string("}{")}}};
  EXPECT_EQ(FormattedRow(table, Format::kJson), "{\"a\":1,\"b\":\"}{\"}\n");
  EXPECT_EQ(FormattedRow(table, Format::kCsv), "1,}{\r\n");
}

TEST(FittedTable, SaysWhatIsCut) {
  Table table{{"a", "b", "c", "d"}, {{}}};
  for (int i = 0; i < 4; ++i) table.rows[0].push_back(std::string(10, 'x'));
  EXPECT_EQ(FittedTable(table, 46), AlignedTable(table));
  const std::string cut = FittedTable(table, 30);
  EXPECT_TRUE(absl::StrContains(cut, "a           b\n")) << cut;
  EXPECT_TRUE(absl::StrContains(cut, "(2 of 4 columns are cut: c, d; --all"))
      << cut;
  EXPECT_TRUE(absl::StrContains(FittedTable(table, 1), "2 of 4")) << cut;
}

TEST(FittedTable, LongTextAtTheEndIsNoReasonToCut) {
  const Table table{{"a", "reason"}, {{int64_t{1}, std::string(200, 'x')}}};
  EXPECT_EQ(FittedTable(table, 40), AlignedTable(table));
}

TEST(Pick, KeepsTheOrderAskedFor) {
  const Table table{{"a", "b"}, {{int64_t{1}, int64_t{2}}}};
  const Table picked = Pick(table, {"b", "none", "a"});
  EXPECT_EQ(picked.columns, (std::vector<std::string>{"b", "none", "a"}));
  EXPECT_EQ(AlignedTable(picked), "b  none  a\n2  -     1\n");
}

TEST(WithoutEmpty, LeavesOutWhatNoRowHas) {
  const Table table{{"name", "dead", "waiting", "error"},
                    {{std::string("a"), int64_t{0}, int64_t{0}, std::string()},
                     {std::string(), int64_t{2}, int64_t{0}, std::string()}}};
  EXPECT_EQ(WithoutEmpty(table, table.columns, {"dead", "waiting", "error"}),
            (std::vector<std::string>{"name", "dead"}));
}

TEST(WithoutEmpty, LeavesOutListsThatAreEmptyEverywhere) {
  using List = std::vector<std::string>;
  const Table table{{"labels", "notes"},
                    {{List(), List()}, {List(), List{"a"}}}};
  EXPECT_EQ(WithoutEmpty(table, table.columns, table.columns), List{"notes"});
}

TEST(ValuesTable, HasTheColumnsOfTheWorkersOwn) {
  v1::Measurement m;
  v1::MetricVector& vector = *m.add_vectors();
  vector.set_metric("probe_loss");
  vector.add_values(2.5f);
  vector.add_standard_errors(0.5f);
  vector.set_count(95);
  EXPECT_EQ(Formatted(ValuesTable(m), Format::kCsv),
            "domain,metric,layer,index,value,stderr,count\r\n"
            ",probe_loss,,0,2.5,0.5,95\r\n");
}

Table Line(int points) {
  Table table{{"x", "L0", "L1"}, {}};
  for (int i = 0; i < points; ++i) {
    table.rows.push_back({int64_t{i}, static_cast<float>(i), Cell()});
  }
  return table;
}

TEST(DrawChart, RisingSeriesGoesFromLowerLeftToUpperRight) {
  ChartOptions options;
  options.width = 5;
  options.height = 5;
  EXPECT_EQ(DrawChart(Line(5), options),
            "         4 |    0\n"
            "           |   0\n"
            "         2 |  0\n"
            "           | 0\n"
            "         0 |0\n"
            "           +-----\n"
            "            0 step 4\n"
            "  0=L0  1=L1  \n");
}

TEST(DrawChart, CollisionsAndFlatLinesAreVisible) {
  Table table{{"x", "a", "b"}, {{int64_t{0}, 1.f, 1.f}, {int64_t{1}, 1.f, {}}}};
  const std::string chart = DrawChart(table, {});
  EXPECT_TRUE(absl::StrContains(chart, "#")) << chart;
  EXPECT_TRUE(absl::StrContains(chart, "0")) << chart;
}

TEST(DrawChart, WithoutValuesItSaysSo) {
  EXPECT_EQ(DrawChart(Line(0), {}), "  (no values)\n");
  EXPECT_EQ(DrawChart({{"x"}, {{int64_t{0}}}}, {}), "  (no values)\n");
}

TEST(DrawChart, ManySeriesAreABand) {
  Table table{{"x"}, {{int64_t{0}}, {int64_t{1}}}};
  for (int i = 0; i <= 40; ++i) {
    table.columns.push_back("s" + std::to_string(i));
    for (auto& row : table.rows) row.emplace_back(static_cast<float>(i));
  }
  ChartOptions options;
  options.width = 2;
  options.height = 11;
  EXPECT_EQ(DrawChart(table, options),
            "        40 |--\n"
            "           |..\n"
            "           |..\n"
            "           |..\n"
            "           |..\n"
            "        20 |oo\n"
            "           |..\n"
            "           |..\n"
            "           |..\n"
            "           |..\n"
            "         0 |--\n"
            "           +--\n"
            "            0 step 1\n"
            "  41 series: o median, . 10th to 90th percentile, - least and "
            "largest\n");
}

TEST(DrawChart, ALogarithmicAxisIsLabelledWithSteps) {
  Table table{{"x", "a"}, {}};
  for (int64_t step : {0, 1, 10, 100, 1000, 145000}) {
    table.rows.push_back({std::log10(1.0 + step), 0.5f});
  }
  ChartOptions options;
  options.width = 60;
  options.x_is_log_step = true;
  const std::string chart = DrawChart(table, options);
  EXPECT_TRUE(absl::StrContains(chart, "0  1 ")) << chart;
  for (const char* label : {" 10 ", " 100 ", " 1000 ", " 10000 ", " 145000\n",
                            "step, on a logarithmic axis"}) {
    EXPECT_TRUE(absl::StrContains(chart, label)) << label << "\n" << chart;
  }
  EXPECT_FALSE(absl::StrContains(chart, "5.16")) << chart;
}

TEST(DrawChart, LargeStepsAreWhole) {
  const Table table{{"x", "a"}, {{int64_t{0}, 1.f}, {int64_t{2499000}, 2.f}}};
  EXPECT_TRUE(absl::StrContains(DrawChart(table, {}), " 2499000\n"));
}

}  // namespace
}  // namespace sinkwatch::ctl

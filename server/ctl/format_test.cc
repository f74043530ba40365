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
}

TEST(Formatted, EveryFormHoldsTheSame) {
  const Table table{{"a"}, {{int64_t{1}}}};
  EXPECT_EQ(Formatted(table, Format::kCsv), "a\r\n1\r\n");
  EXPECT_EQ(nlohmann::json::parse(Formatted(table, Format::kJson)),
            nlohmann::json::parse(R"([{"a":1}])"));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseFormat("xml").status()));
}

TEST(FormattedRow, IsOneWholeLine) {
  const Table table{{"a", "b"}, {{int64_t{1}, std::string("}{")}}};
  EXPECT_EQ(FormattedRow(table, Format::kJson), "{\"a\":1,\"b\":\"}{\"}\n");
  EXPECT_EQ(FormattedRow(table, Format::kCsv), "1,}{\r\n");
}

TEST(Pick, KeepsOrderAndNames) {
  const Table table{{"a", "b"}, {{int64_t{1}, int64_t{2}}}};
  const Table picked = Pick(table, {"b", "none", "a"}, {"B", "none", "A"});
  EXPECT_EQ(picked.columns, (std::vector<std::string>{"B", "none", "A"}));
  EXPECT_EQ(AlignedTable(picked), "B  none  A\n2  -     1\n");
}

TEST(MeasurementJson, HasTheFormOfTheWorkersOwn) {
  v1::Measurement m;
  m.mutable_header()->mutable_checkpoint()->set_step(7);
  auto* vector = m.add_vectors();
  vector->set_domain("story");
  vector->set_metric("sink_attention");
  vector->set_layer(-1);
  vector->add_values(0.1f);
  vector->add_values(NAN);
  vector->add_standard_errors(0.5f);
  vector->set_count(95);
  m.add_vectors()->set_metric("probe_loss");
  const auto json = nlohmann::json::parse(MeasurementJson(m));
  EXPECT_EQ(json["checkpoint"]["step"], 7);
  EXPECT_EQ(json["measurements"][0],
            nlohmann::json::parse(
                R"({"domain":"story","metric":"sink_attention","layer":-1,
                    "values":[0.1,null],"stderr":[0.5],"count":95})"));
  EXPECT_EQ(json["measurements"][1]["layer"], nullptr);
}

TEST(MeasurementJson, SaysWhyAMeasurementIsImplausible) {
  v1::Measurement m;
  m.mutable_header()->set_bos_policy("stored");
  m.mutable_header()->set_device("cuda:0");
  const auto plausible = nlohmann::json::parse(MeasurementJson(m));
  EXPECT_EQ(plausible["implausible"], nullptr);
  EXPECT_EQ(plausible["probe"]["bos_policy"], "stored");
  EXPECT_EQ(plausible["device"], "cuda:0");
  m.set_implausible(true);
  m.set_implausible_reason("probe loss 99");
  const auto marked = nlohmann::json::parse(MeasurementJson(m));
  EXPECT_EQ(marked["implausible"], "probe loss 99");
  m.clear_implausible_reason();
  EXPECT_TRUE(
      nlohmann::json::parse(MeasurementJson(m))["implausible"].is_string());
}

TEST(MeasurementTable, HasTheColumnsOfTheWorkersOwn) {
  v1::Measurement m;
  v1::MetricVector& vector = *m.add_vectors();
  vector.set_metric("probe_loss");
  vector.add_values(2.5f);
  vector.add_standard_errors(0.5f);
  vector.set_count(95);
  EXPECT_EQ(Formatted(MeasurementTable(m), Format::kCsv),
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

TEST(DrawChart, SaysHowManySeriesItLeavesOut) {
  Table table{{"x"}, {{int64_t{0}}}};
  for (int i = 0; i < 40; ++i) {
    table.columns.push_back("s" + std::to_string(i));
    table.rows[0].emplace_back(1.f);
  }
  EXPECT_TRUE(absl::StrContains(DrawChart(table, {}), "(4 more series"));
}

}  // namespace
}  // namespace sinkwatch::ctl

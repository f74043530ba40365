#include "server/answers/analysis_tables.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

Cell CellOf(const Table& table, size_t row, const std::string& column) {
  const auto it = std::find(table.columns.begin(), table.columns.end(), column);
  if (it == table.columns.end()) {
    ADD_FAILURE() << "no column " << column;
    return {};
  }
  return table.rows[row][it - table.columns.begin()];
}

void ExpectRectangle(const Table& table) {
  for (const auto& row : table.rows) {
    EXPECT_EQ(row.size(), table.columns.size());
  }
}

TEST(AnalysisTablesTest, StatesHaveColumnsOfEachDomain) {
  v1::GetStatesResponse states;
  states.add_domains("wiki");
  states.add_domains("code");
  v1::HeadStates& head = *states.add_heads();
  head.set_layer(3);
  head.set_type(v1::HEAD_TYPE_SWITCHING);
  head.set_since_step(500);
  for (v1::HeadState state :
       {v1::HEAD_STATE_DORMANT, v1::HEAD_STATE_UNSPECIFIED}) {
    v1::HeadInDomain& in = *head.add_domains();
    in.set_state(state);
    in.set_dormancy(.75);
    in.set_drain(NAN);
  }
  states.add_heads();  // one of which nothing is known, of no domain
  states.mutable_heads(1)->add_domains();
  states.mutable_heads(1)->add_domains();
  const Table table = StatesTable(states);
  ExpectRectangle(table);
  EXPECT_EQ(CellOf(table, 0, "type"), Cell(std::string("switching")));
  EXPECT_EQ(CellOf(table, 0, "since_step"), Cell(int64_t{500}));
  EXPECT_EQ(CellOf(table, 0, "difference"), Cell());
  EXPECT_EQ(CellOf(table, 0, "wiki"), Cell(std::string("dormant")));
  EXPECT_EQ(CellOf(table, 0, "code"), Cell());
  EXPECT_EQ(CellOf(table, 0, "code since"), Cell());
  EXPECT_EQ(CellOf(table, 0, "wiki dormancy"), Cell(.75));
  EXPECT_EQ(CellOf(table, 1, "type"), Cell());
}

TEST(AnalysisTablesTest, JumpsSayHowFarTheyGo) {
  v1::FindJumpsResponse jumps;
  v1::Jump& jump = *jumps.add_jumps();
  jump.mutable_key()->set_label("L2");
  jump.mutable_key()->set_layer(2);
  jump.set_before(20);
  jump.set_after(50);
  jump.set_after_step(3500);
  jump.set_by_step(4000);
  jumps.add_intervals()->set_series(30);
  const Table table = JumpsTable(jumps);
  ExpectRectangle(table);
  EXPECT_EQ(CellOf(table, 0, "change"), Cell(30.0));
  EXPECT_EQ(CellOf(table, 0, "layer"), Cell(int64_t{2}));
  EXPECT_EQ(CellOf(table, 0, "head"), Cell());
  const Table intervals = JumpIntervalsTable(jumps);
  ExpectRectangle(intervals);
  EXPECT_EQ(CellOf(intervals, 0, "series"), Cell(int64_t{30}));
}

TEST(AnalysisTablesTest, ContrastsAndFitsAreRectangles) {
  v1::CompareDomainsResponse contrasts;
  v1::DomainContrast& row = *contrasts.add_contrasts();
  row.mutable_contrast()->set_difference(.4);
  row.set_type(v1::HEAD_TYPE_ALWAYS_ACTIVE);
  ExpectRectangle(ContrastsTable(contrasts));
  EXPECT_EQ(CellOf(ContrastsTable(contrasts), 0, "type"),
            Cell(std::string("always_active")));
  EXPECT_EQ(CellOf(ContrastsTable(contrasts), 0, "interval"), Cell());
  EXPECT_EQ(CellOf(ContrastsTable(contrasts), 0, "auroc"), Cell());
  row.mutable_contrast()->set_method(v1::INTERVAL_METHOD_BOOTSTRAP);
  row.mutable_contrast()->set_auroc(.75);
  EXPECT_EQ(CellOf(ContrastsTable(contrasts), 0, "interval"),
            Cell(std::string("bootstrap")));
  EXPECT_EQ(CellOf(ContrastsTable(contrasts), 0, "auroc"), Cell(.75));
  v1::FitSeriesResponse fits;
  v1::SeriesFit& series = *fits.add_fits();
  series.set_preferred(v1::CURVE_MODEL_LOG);
  series.add_fits()->set_model(v1::CURVE_MODEL_LOG);
  series.add_fits()->set_model(v1::CURVE_MODEL_POWER);
  const Table table = FitsTable(fits);
  ExpectRectangle(table);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(CellOf(table, 0, "preferred"), Cell(true));
  EXPECT_EQ(CellOf(table, 1, "preferred"), Cell(false));
  EXPECT_EQ(CellOf(table, 1, "model"), Cell(std::string("power")));
}

TEST(AnalysisTablesTest, WhatAFactHasNotIsNoValue) {
  v1::SummarizeResponse summary;
  v1::Fact& fact = *summary.add_facts();
  fact.set_topic("onset");
  fact.set_by_step(0);
  const Table table = FactsTable(summary.facts());
  ExpectRectangle(table);
  EXPECT_EQ(CellOf(table, 0, "by_step"), Cell(int64_t{0}));
  EXPECT_EQ(CellOf(table, 0, "after_step"), Cell());
  EXPECT_EQ(CellOf(table, 0, "value"), Cell());
}

TEST(AnalysisTablesTest, ChaptersAreToldOnce) {
  std::set<std::string> topics;
  for (const Chapter& chapter : Chapters()) {
    EXPECT_TRUE(topics.insert(chapter.topic).second) << chapter.topic;
  }
}

}  // namespace
}  // namespace sinkwatch::answers

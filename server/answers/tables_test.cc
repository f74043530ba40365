#include "server/answers/tables.h"

#include <cmath>

#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

// Steps and tokens of a series of one column whose values are the steps.
v1::QuerySeriesResponse SeriesOf(
    const std::vector<std::pair<int64_t, int64_t>>& points) {
  v1::QuerySeriesResponse series;
  series.add_columns()->set_label("L0");
  for (const auto& [step, tokens] : points) {
    series.add_steps(step);
    series.add_tokens(tokens);
    series.add_values(static_cast<float>(step));
  }
  return series;
}

std::vector<int64_t> XOf(const Table& table) {
  std::vector<int64_t> xs;
  for (const auto& row : table.rows) xs.push_back(std::get<int64_t>(row[0]));
  return xs;
}

TEST(SeriesTable, LeavesOutOverTokensWhatHasNoneAndSaysSo) {
  const auto series = SeriesOf({{0, 0}, {1, 0}, {2, 10}, {3, 0}, {4, 20}});
  std::string note;
  const auto table = SeriesTable(series, {"tokens"}, &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(XOf(*table), (std::vector<int64_t>{0, 10, 20}));
  EXPECT_EQ(note,
            "token counts from names are rounded; 2 checkpoints whose count is "
            "not known are left out");
}

TEST(SeriesTable, LeavesOutWhoseRoundedCountIsThatOfTheOneBefore) {
  const auto series = SeriesOf({{1, 10}, {2, 10}, {3, 20}});
  std::string note;
  const auto table = SeriesTable(series, {"tokens"}, &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(XOf(*table), (std::vector<int64_t>{10, 20}));
  EXPECT_EQ(std::get<float>(table->rows[0][1]), 1);
  EXPECT_NE(note.find("1 checkpoints whose rounded count"), std::string::npos);
}

TEST(SeriesTable, RefusesTokensThatFall) {
  std::string note;
  EXPECT_EQ(SeriesTable(SeriesOf({{1, 20}, {2, 10}}), {"tokens"}, &note)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SeriesTable, NeedsNoTokensOverSteps) {
  std::string note = "stale";
  const auto table = SeriesTable(SeriesOf({{1, 0}, {2, 0}}), {"step"}, &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(XOf(*table), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(note, "");
}

// What cannot be told is no value, never 0.
TEST(SeriesTable, PutsStandardErrorsBehindTheValues) {
  auto series = SeriesOf({{1, 0}, {2, 0}});
  series.add_standard_errors(.5f);
  series.add_standard_errors(std::nanf(""));
  std::string note;
  const auto table = SeriesTable(series, {"step", true}, &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(ToCsv(*table), "x,L0,L0 stderr\r\n1,1,0.5\r\n2,2,\r\n");
  series.clear_standard_errors();
  EXPECT_EQ(SeriesTable(series, {"step", true}, &note)->columns.size(), 2u);
}

TEST(SeriesTable, RefusesAMatrixOfAnotherShape) {
  auto series = SeriesOf({{1, 0}, {2, 0}});
  series.add_values(3);
  std::string note;
  EXPECT_EQ(SeriesTable(series, {}, &note).status().code(),
            absl::StatusCode::kInternal);
}

TEST(MatrixTable, HasStandardErrorsIfTheyAreWanted) {
  v1::QueryMatrixResponse matrix;
  matrix.mutable_metric()->set_scope(v1::SCOPE_HEAD);
  auto& row = *matrix.add_rows();
  row.set_layer(0);
  for (float value : {.5f, .25f}) {
    row.add_values(value);
    row.add_standard_errors(value == .5f ? .125f : std::nanf(""));
  }
  EXPECT_EQ(ToCsv(MatrixTable(matrix)), "layer,H0,H1\r\n0,0.5,0.25\r\n");
  EXPECT_EQ(ToCsv(MatrixTable(matrix, true)),
            "layer,H0,H1,H0 stderr,H1 stderr\r\n0,0.5,0.25,0.125,\r\n");
}

TEST(CheckpointsTable, HasNoValueWhereNothingIsKnown) {
  v1::ListCheckpointsResponse list;
  list.add_checkpoints()->set_state(v1::JOB_STATE_DONE);
  list.add_checkpoints()->set_state(v1::JOB_STATE_DONE);
  list.mutable_checkpoints(1)->set_load_seconds(1.5);
  list.mutable_checkpoints(1)->set_compute_seconds(60);
  list.mutable_checkpoints(1)->set_device("cuda:0");
  const std::string csv = ToCsv(CheckpointsTable(list.checkpoints()));
  EXPECT_NE(csv.find("0,,,,,,,\r\n"), std::string::npos) << csv;
  EXPECT_NE(csv.find(",1.5,60,cuda:0,,,,\r\n"), std::string::npos) << csv;
}

TEST(CheckpointsTable, NamesTheStepsWhoseWeightsAreTheSame) {
  v1::ListCheckpointsResponse list;
  v1::CheckpointStatus& c = *list.add_checkpoints();
  c.mutable_checkpoint()->set_stage("stage2");
  v1::SameWeights& all = *c.add_same_weights();
  all.set_stage("stage1");
  all.set_step(3000);
  all.set_identical(true);
  v1::SameWeights& part = *c.add_same_weights();
  part.set_stage("stage2");
  part.set_step(5);
  part.set_tensors(4);
  part.set_of(12);
  c.set_measurements(2);
  const Table table = CheckpointsTable(list.checkpoints());
  EXPECT_EQ(std::get<std::string>(table.rows[0].back()),
            "the same weights as stage1 step 3000, 4 of 12 matrices are the "
            "same as in step 5; measured 2 times, another one counts");
}

TEST(RunsTable, SaysWhatIsLeftAlone) {
  v1::ListRunsResponse list;
  v1::RunStatus& run = *list.add_runs();
  v1::LeftAlone& entry = *run.add_left_alone();
  entry.set_kind("no-step");
  entry.set_reason("why");
  entry.set_count(3);
  entry.add_examples("a");
  entry.add_examples("b");
  (*run.mutable_labels())["seed"] = "3";
  const std::string csv = ToCsv(RunsTable(list.runs()));
  EXPECT_NE(csv.find(",3,\"3 no-step (a, b, ...): why\",,seed=3,"),
            std::string::npos)
      << csv;
}

TEST(EmergenceTable, SaysFromWhereOnItHolds) {
  v1::GetEmergenceResponse response;
  response.add_emergences()->set_holds_from_step(7);
  response.add_emergences();
  response.mutable_emergences(1)->set_reversal_step(9);
  response.mutable_emergences(1)->mutable_rise()->set_width(.5);
  const Table table = EmergenceTable(response);
  EXPECT_EQ(table.rows[0][8], Cell(int64_t{7}));
  EXPECT_EQ(table.rows[1][8], Cell());
  EXPECT_EQ(table.rows[0].size(), table.columns.size());
  EXPECT_EQ(table.rows[1].size(), table.columns.size());
  EXPECT_EQ(table.rows[0][9], Cell());
  EXPECT_EQ(table.rows[1][9], Cell(int64_t{9}));
  EXPECT_EQ(table.rows[0][13], Cell());
  EXPECT_EQ(table.rows[1][13], Cell(.5));
}

}  // namespace
}  // namespace sinkwatch::answers

#include "server/answers/tables.h"

#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

// Steps and tokens of a series of one column whose values are the steps.
v1::QuerySeriesResponse SeriesOf(
    const std::vector<std::pair<int64_t, int64_t>>& points) {
  v1::QuerySeriesResponse series;
  series.add_columns()->set_label("L0");
  for (const auto& [step, tokens] : points) {
    v1::SeriesRow& row = *series.add_rows();
    row.set_step(step);
    row.set_tokens(tokens);
    row.add_values(static_cast<float>(step));
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
  const auto table = SeriesTable(series, "tokens", &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(XOf(*table), (std::vector<int64_t>{0, 10, 20}));
  EXPECT_EQ(note,
            "token counts from names are rounded; 2 checkpoints whose count is "
            "not known are left out");
}

TEST(SeriesTable, LeavesOutWhoseRoundedCountIsThatOfTheOneBefore) {
  const auto series = SeriesOf({{1, 10}, {2, 10}, {3, 20}});
  std::string note;
  const auto table = SeriesTable(series, "tokens", &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(XOf(*table), (std::vector<int64_t>{10, 20}));
  EXPECT_EQ(std::get<float>(table->rows[0][1]), 1);
  EXPECT_NE(note.find("1 checkpoints whose rounded count"), std::string::npos);
}

TEST(SeriesTable, RefusesTokensThatFall) {
  std::string note;
  EXPECT_EQ(SeriesTable(SeriesOf({{1, 20}, {2, 10}}), "tokens", &note)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SeriesTable, NeedsNoTokensOverSteps) {
  std::string note = "stale";
  const auto table = SeriesTable(SeriesOf({{1, 0}, {2, 0}}), "step", &note);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(XOf(*table), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(note, "");
}

}  // namespace
}  // namespace sinkwatch::answers

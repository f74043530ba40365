#include "server/query/series_pages.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::query {
namespace {

// One row of head columns; a value tells its head: 10 layer + head.
v1::QuerySeriesResponse Page(int64_t step,
                             const std::vector<std::pair<int, int>>& heads) {
  v1::QuerySeriesResponse page;
  page.mutable_metric()->set_name("sink_attention");
  v1::SeriesRow& row = *page.add_rows();
  row.set_step(step);
  row.set_tokens(step * 4);
  for (const auto& [layer, head] : heads) {
    v1::SeriesKey& key = *page.add_columns();
    key.set_layer(layer);
    key.set_head(head);
    key.set_label(absl::StrCat("L", layer, "H", head));
    row.add_values(static_cast<float>(10 * layer + head));
    row.add_standard_errors(0.5F);
  }
  return page;
}

// Hands out `pages` in turn; the token of a page is its number.
NextPage Source(std::vector<v1::QuerySeriesResponse> pages) {
  for (size_t i = 0; i + 1 < pages.size(); ++i) {
    pages[i].set_next_page_token(absl::StrCat(i + 1));
  }
  return [pages](const v1::QuerySeriesRequest& request)
             -> absl::StatusOr<v1::QuerySeriesResponse> {
    const std::string& token = request.page_token();
    return pages.at(token.empty() ? 0 : std::stoi(token));
  };
}

TEST(JoinPages, PutsAValueUnderItsOwnHeadWhateverItsPlaceInThePage) {
  const auto whole = JoinPages(
      {}, Source({Page(1, {{0, 0}, {1, 0}}), Page(2, {{0, 1}, {1, 0}})}));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->metric().name(), "sink_attention");
  std::vector<std::string> labels;
  for (const auto& key : whole->columns()) labels.push_back(key.label());
  EXPECT_EQ(labels, (std::vector<std::string>{"L0H0", "L0H1", "L1H0"}));
  ASSERT_EQ(whole->rows_size(), 2);
  EXPECT_EQ(whole->rows(1).step(), 2);
  EXPECT_EQ(whole->rows(1).tokens(), 8);
  EXPECT_EQ(whole->rows(0).values(0), 0);
  EXPECT_TRUE(std::isnan(whole->rows(0).values(1)));
  EXPECT_TRUE(std::isnan(whole->rows(0).standard_errors(1)));
  EXPECT_EQ(whole->rows(0).values(2), 10);
  EXPECT_TRUE(std::isnan(whole->rows(1).values(0)));
  EXPECT_EQ(whole->rows(1).values(1), 1);
  EXPECT_EQ(whole->rows(1).values(2), 10);
  EXPECT_EQ(whole->rows(1).standard_errors(2), 0.5F);
}

TEST(JoinPages, OrdersLayersByNumberWithTheEmbeddingFirst) {
  const auto whole = JoinPages(
      {}, Source({Page(1, {{2, 0}, {10, 0}}), Page(2, {{-1, 0}, {9, 0}})}));
  ASSERT_TRUE(whole.ok()) << whole.status();
  std::vector<int> layers;
  for (const auto& key : whole->columns()) layers.push_back(key.layer());
  EXPECT_EQ(layers, (std::vector<int>{-1, 2, 9, 10}));
}

TEST(JoinPages, EndsWithTheErrorOfACap) {
  int64_t most_columns = 0, most_rows = 0;
  const auto whole = JoinPages(
      {}, Source({Page(1, {{0, 0}}), Page(2, {{0, 1}}), Page(3, {{0, 2}})}),
      [&](int64_t columns, int64_t rows) {
        most_columns = columns;
        most_rows = rows;
        return columns > 1 ? absl::OutOfRangeError("too wide")
                           : absl::OkStatus();
      });
  EXPECT_EQ(whole.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(most_columns, 2);  // of both pages, though each has one
  EXPECT_EQ(most_rows, 2);
}

TEST(JoinPages, RefusesAPageThatContradictsItself) {
  v1::QuerySeriesResponse narrow = Page(1, {{0, 0}, {0, 1}});
  narrow.mutable_columns()->RemoveLast();
  const absl::Status wide = JoinPages({}, Source({narrow})).status();
  EXPECT_EQ(wide.code(), absl::StatusCode::kInternal);
  EXPECT_NE(wide.message().find("2 values in 1 columns"), std::string::npos);
  const absl::Status twice =
      JoinPages({}, Source({Page(1, {{0, 0}, {0, 0}})})).status();
  EXPECT_EQ(twice.code(), absl::StatusCode::kInternal);
  EXPECT_NE(twice.message().find("\"L0H0\" twice"), std::string::npos);
}

TEST(JoinPages, PassesOnTheErrorOfAPage) {
  const auto whole = JoinPages({}, [](const v1::QuerySeriesRequest&) {
    return absl::StatusOr<v1::QuerySeriesResponse>(
        absl::UnavailableError("gone"));
  });
  EXPECT_EQ(whole.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sinkwatch::query

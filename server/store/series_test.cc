#include "server/store/series.h"

#include <cmath>

#include "gtest/gtest.h"
#include "server/store/value_blob.h"

namespace sinkwatch::store {
namespace {

// Layers of `width` values; each tells its place: base + layer * 10 + index,
// and its standard error is a hundredth of that.
std::string Blob(const std::vector<std::optional<int>>& layers, int width,
                 float base) {
  ValueBlob blob;
  blob.layers = layers;
  blob.width = width;
  for (const std::optional<int>& layer : layers) {
    blob.counts.push_back(100);
    for (int index = 0; index < width; ++index) {
      const float value =
          base + static_cast<float>(layer.value_or(0) * 10 + index);
      blob.values.push_back(value);
      blob.standard_errors.push_back(value / 100);
    }
  }
  return Pack(blob);
}

SeriesQuery Select(std::vector<int32_t> layers, std::vector<int32_t> heads) {
  SeriesQuery query;
  query.layers = std::move(layers);
  query.heads = std::move(heads);
  return query;
}

TEST(SeriesBuilder, LaysStepsBelowEachOther) {
  SeriesBuilder builder({});
  ASSERT_TRUE(builder.Add(1, 10, Blob({0, 1}, 2, 100)).ok());
  ASSERT_TRUE(builder.Add(5, 50, Blob({0, 1}, 2, 500)).ok());
  const Series series = builder.Finish();
  EXPECT_EQ(series.columns,
            (std::vector<SeriesColumn>{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
  EXPECT_EQ(series.steps, (std::vector<int64_t>{1, 5}));
  EXPECT_EQ(series.tokens, (std::vector<int64_t>{10, 50}));
  EXPECT_EQ(series.values,
            (std::vector<float>{100, 101, 110, 111, 500, 501, 510, 511}));
  EXPECT_FLOAT_EQ(series.standard_error(1, 2), 5.1f);
}

TEST(SeriesBuilder, TakesTheWantedLayersAndHeads) {
  SeriesBuilder builder(Select({3, 1}, {2, 0, 2}));
  ASSERT_TRUE(builder.Add(1, 0, Blob({0, 1, 2, 3}, 3, 0)).ok());
  const Series series = builder.Finish();
  EXPECT_EQ(series.columns,
            (std::vector<SeriesColumn>{{1, 0}, {1, 2}, {3, 0}, {3, 2}}));
  EXPECT_EQ(series.values, (std::vector<float>{10, 12, 30, 32}));
}

TEST(SeriesBuilder, AsksNoHeadOfOneValueAndNoLayerOfTheModel) {
  SeriesBuilder of_layers(Select({1}, {7}));
  ASSERT_TRUE(of_layers.Add(1, 0, Blob({-1, 0, 1}, 1, 0)).ok());
  EXPECT_EQ(of_layers.Finish().columns, (std::vector<SeriesColumn>{{1, 0}}));
  SeriesBuilder of_model(Select({1}, {7}));
  ASSERT_TRUE(of_model.Add(1, 0, Blob({std::nullopt}, 1, 8)).ok());
  EXPECT_EQ(of_model.Finish().values, (std::vector<float>{8}));
}

TEST(SeriesBuilder, OrdersLayersThatLieOtherwise) {
  SeriesBuilder builder({});
  ASSERT_TRUE(builder.Add(1, 0, Blob({1, -1, 0}, 2, 50)).ok());
  const Series series = builder.Finish();
  EXPECT_EQ(series.columns.front(), SeriesColumn(-1, 0));
  EXPECT_EQ(series.values, (std::vector<float>{40, 41, 50, 51, 60, 61}));
}

TEST(SeriesBuilder, FillsWithNanWhatAStepHasNot) {
  SeriesBuilder builder({});
  ASSERT_TRUE(builder.Add(1, 0, Blob({1}, 1, 0)).ok());
  ASSERT_TRUE(builder.Add(2, 0, Blob({0, 1}, 2, 20)).ok());
  ASSERT_TRUE(builder.Add(3, 0, Blob({1}, 1, 30)).ok());
  const Series series = builder.Finish();
  ASSERT_EQ(series.columns,
            (std::vector<SeriesColumn>{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
  EXPECT_TRUE(std::isnan(series.value(0, 0)));
  EXPECT_EQ(series.value(0, 2), 10);
  EXPECT_TRUE(std::isnan(series.standard_error(0, 3)));
  EXPECT_EQ(series.value(1, 0), 20);
  EXPECT_EQ(series.value(1, 3), 31);
  EXPECT_TRUE(std::isnan(series.value(2, 3)));
  EXPECT_EQ(series.value(2, 2), 40);
}

TEST(SeriesBuilder, TurnsRoundWhatCameNewestFirst) {
  SeriesBuilder builder({});
  for (int64_t step : {9, 5, 1}) {
    ASSERT_TRUE(
        builder.Add(step, step * 2, Blob({0}, 2, static_cast<float>(step)))
            .ok());
  }
  const Series series = builder.Finish();
  EXPECT_EQ(series.steps, (std::vector<int64_t>{1, 5, 9}));
  EXPECT_EQ(series.tokens, (std::vector<int64_t>{2, 10, 18}));
  EXPECT_EQ(series.values, (std::vector<float>{1, 2, 5, 6, 9, 10}));
}

TEST(SeriesBuilder, RefusesMoreCellsThanItMayHave) {
  SeriesQuery query;
  query.max_cells = 5;
  SeriesBuilder builder(query);
  ASSERT_TRUE(builder.Add(1, 0, Blob({0}, 3, 0)).ok());
  EXPECT_EQ(builder.Add(2, 0, Blob({0}, 3, 0)).code(),
            absl::StatusCode::kOutOfRange);
}

TEST(SeriesBuilder, ASpoiltBlobCostsItsStep) {
  std::string blob = Blob({0}, 3, 0);
  SeriesBuilder builder({});
  ASSERT_TRUE(builder.Add(1, 0, blob).ok());
  blob[20] ^= 1;
  ASSERT_TRUE(builder.Add(2, 0, blob).ok());
  const Series series = builder.Finish();
  EXPECT_EQ(series.steps, std::vector<int64_t>{1});
  ASSERT_EQ(series.damaged.count(2), 1u);
  EXPECT_NE(series.damaged.at(2).find("checksum"), std::string::npos);
}

TEST(SeriesBuilder, OfNothingIsEmpty) {
  const Series series = SeriesBuilder({}).Finish();
  EXPECT_TRUE(series.steps.empty());
  EXPECT_TRUE(series.columns.empty());
}

}  // namespace
}  // namespace sinkwatch::store

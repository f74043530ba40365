#include "server/query/query.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "server/query/series_pages.h"
#include "server/store/store_testing.h"

namespace sinkwatch::query {
namespace {

// Head h of layer l has base + 10 l + h; bases rise by 10 a step.
class QueryTest : public testing::Test {
 protected:
  QueryTest() {
    for (int step = 0; step < 5; ++step) {
      EXPECT_TRUE(store_->Observe({store::Seen(step)}).ok());
      const auto job =
          store_->Lease(store::JobOfStep(*store_, step), "w", {}, 5).value();
      const float base = static_cast<float>(10 * step);
      EXPECT_TRUE(store_
                      ->Commit({{job.job.id(), job.token,
                                 store::MeasurementOf(job.job, base)}})[0]
                      .ok());
    }
    selector_.set_run("toy");
    selector_.set_metric("metric0");
    selector_.set_domain("domain0");
  }

  store::TestStore store_;
  v1::SeriesSelector selector_;
};

TEST_F(QueryTest, MakesOneColumnPerLayerOutOfItsHeads) {
  v1::QuerySeriesRequest request;
  selector_.set_aggregation(v1::AGGREGATION_MAX);
  *request.mutable_selector() = selector_;
  const auto series = QuerySeries(*store_, request);
  ASSERT_TRUE(series.ok()) << series.status();
  ASSERT_EQ(series->columns_size(), 2);
  EXPECT_EQ(series->columns(1).label(), "L1");
  EXPECT_EQ(series->rows(2).values(1), 20 + 10 + 2);
}

TEST_F(QueryTest, FindsTheEmergenceOfEachHead) {
  v1::GetEmergenceRequest request;
  *request.mutable_selector() = selector_;
  request.set_threshold(21);
  const auto found = GetEmergence(*store_, request);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->emergences_size(), 6);
  EXPECT_EQ(found->emergences(0).key().label(), "L0H0");
  EXPECT_EQ(found->emergences(0).by_step(), 3);  // 0, 10, 20, 30
  EXPECT_EQ(found->emergences(1).by_step(), 2);  // 1, 11, 21
}

// The steps have 2 layers of 3 heads; the last one has 1 layer of 4.
TEST_F(QueryTest, JoinsPagesOfAStoreThatHaveDifferentColumns) {
  ASSERT_TRUE(store_->Observe({store::Seen(5)}).ok());
  const auto job =
      store_->Lease(store::JobOfStep(*store_, 5), "w", {}, 5).value();
  store::Shape wider;
  wider.layers = 1;
  wider.heads = 4;
  ASSERT_TRUE(store_
                  ->Commit({{job.job.id(), job.token,
                             store::MeasurementOf(job.job, 50, wider)}})[0]
                  .ok());
  v1::QuerySeriesRequest request;
  *request.mutable_selector() = selector_;
  request.set_page_size(1);
  const auto whole =
      JoinPages(request, [this](const v1::QuerySeriesRequest& page) {
        return QuerySeries(*store_, page);
      });
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_EQ(whole->rows_size(), 6);
  ASSERT_EQ(whole->columns_size(), 7);
  EXPECT_EQ(whole->columns(3).label(), "L0H3");
  EXPECT_EQ(whole->columns(4).label(), "L1H0");
  EXPECT_TRUE(std::isnan(whole->rows(4).values(3)));
  EXPECT_EQ(whole->rows(4).values(4), 40 + 10);
  EXPECT_EQ(whole->rows(5).values(3), 50 + 3);
  EXPECT_TRUE(std::isnan(whole->rows(5).values(4)));
}

TEST_F(QueryTest, RefusesAThresholdThatIsNoNumber) {
  v1::GetEmergenceRequest request;
  *request.mutable_selector() = selector_;
  request.set_threshold(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(GetEmergence(*store_, request).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sinkwatch::query

#include "server/query/queries.h"

#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/answers/parse.h"
#include "server/store/store_testing.h"

namespace sinkwatch::query {
namespace {

// Run "toy", measured at steps 0 to 4: head h of layer l has
// 10 step + 10 l + h.
class QueriesTest : public testing::Test {
 protected:
  QueriesTest() {
    v1::RunConfig toy;
    toy.set_name("toy");
    EXPECT_TRUE(store_->PutRun(toy).ok());
    for (int step = 0; step < 5; ++step) Measure(step, {});
    selector_.set_run("toy");
    selector_.set_metric("metric0");
  }

  void Measure(int64_t step, const store::Shape& shape,
               const std::function<void(v1::Measurement&)>& change = nullptr) {
    ASSERT_TRUE(store_->Observe({store::Seen(step)}).ok());
    const auto job =
        store_->Lease(store::JobOfStep(*store_, step), "w", {}, 5).value();
    v1::Measurement measurement =
        store::MeasurementOf(job.job, 10 * static_cast<float>(step), shape);
    if (change) change(measurement);
    ASSERT_TRUE(
        store_->Commit({{job.job.id(), job.token, measurement}})[0].ok());
  }

  v1::QuerySeriesRequest Request() {
    v1::QuerySeriesRequest request;
    *request.mutable_selector() = selector_;
    return request;
  }
  v1::QuerySeriesResponse Series(const v1::QuerySeriesRequest& request) {
    auto series = queries_.Series(request);
    EXPECT_TRUE(series.ok()) << series.status();
    return series.ok() ? *std::move(series) : v1::QuerySeriesResponse();
  }
  static float At(const v1::QuerySeriesResponse& series, int row, int column) {
    return series.values(row * series.columns_size() + column);
  }
  std::string RuleFor(const v1::QuerySeriesRequest& request) {
    const absl::Status status = queries_.Series(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return answers::RuleOf(status);
  }

  store::TestStore store_;
  Queries queries_{&*store_, nullptr};
  v1::SeriesSelector selector_;
};

TEST_F(QueriesTest, ASeriesIsADenseMatrixOfTheOnlyDomain) {
  const auto series = Series(Request());
  EXPECT_EQ(series.domain(), "domain0");
  EXPECT_EQ(series.stage(), "");
  EXPECT_EQ(series.revision(), 5);
  EXPECT_EQ(series.total_steps(), 5);
  EXPECT_FALSE(series.thinned());
  ASSERT_EQ(series.columns_size(), 6);
  ASSERT_EQ(series.values_size(), 30);
  ASSERT_EQ(series.standard_errors_size(), 30);
  EXPECT_EQ(series.columns(4).label(), "L1H1");
  EXPECT_EQ(series.columns(4).statistic(), "");
  EXPECT_EQ(At(series, 3, 4), 30 + 10 + 1);
  EXPECT_EQ(series.standard_errors(0), 0.5f);
  v1::QuerySeriesRequest bare = Request();
  bare.set_omit_standard_errors(true);
  EXPECT_EQ(Series(bare).standard_errors_size(), 0);
}

TEST_F(QueriesTest, MakesOneColumnPerLayerOutOfItsHeads) {
  selector_.set_aggregation(v1::AGGREGATION_MAX);
  const auto series = Series(Request());
  ASSERT_EQ(series.columns_size(), 2);
  EXPECT_EQ(series.columns(1).label(), "L1");
  EXPECT_EQ(series.columns(1).statistic(), "max");
  EXPECT_EQ(At(series, 2, 1), 20 + 10 + 2);
  EXPECT_EQ(series.standard_errors_size(), 0) << "it cannot be told";
}

TEST_F(QueriesTest, MakesABandOfEachLayerOrOfAll) {
  selector_.set_aggregation(v1::AGGREGATION_BAND);
  const auto layers = Series(Request());
  ASSERT_EQ(layers.columns_size(), 10);
  EXPECT_EQ(layers.columns(6).label(), "L1 p10");
  EXPECT_EQ(layers.columns(6).layer(), 1);
  EXPECT_EQ(At(layers, 0, 7), 11) << "median of 10, 11, 12";
  selector_.set_across_layers(true);
  const auto all = Series(Request());
  ASSERT_EQ(all.columns_size(), 5);
  EXPECT_EQ(all.columns(0).label(), "min");
  EXPECT_FALSE(all.columns(0).has_layer());
  EXPECT_EQ(At(all, 1, 0), 10);
  EXPECT_EQ(At(all, 1, 2), 16) << "median of 10, 11, 12, 20, 21, 22";
  EXPECT_EQ(At(all, 1, 4), 22);
}

// The steps have 2 layers of 3 heads; the last one has 1 layer of 4.
TEST_F(QueriesTest, PagesHaveTheSameColumns) {
  Measure(5, {1, 4});
  v1::QuerySeriesRequest request = Request();
  request.set_page_size(1);
  std::vector<v1::QuerySeriesResponse> pages;
  do {
    pages.push_back(Series(request));
    ASSERT_EQ(pages.back().steps_size(), 1);
    ASSERT_EQ(pages.back().columns_size(), 7);
    request.set_page_token(pages.back().next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(pages.size(), 6u);
  EXPECT_EQ(pages[0].columns(3).label(), "L0H3");
  EXPECT_EQ(pages[0].columns(4).label(), "L1H0");
  EXPECT_TRUE(std::isnan(At(pages[4], 0, 3)));
  EXPECT_EQ(At(pages[4], 0, 4), 40 + 10);
  EXPECT_EQ(At(pages[5], 0, 3), 50 + 3);
  EXPECT_TRUE(std::isnan(At(pages[5], 0, 4)));
}

TEST_F(QueriesTest, APageOfOtherColumnsIsAborted) {
  v1::QuerySeriesRequest request = Request();
  request.set_page_size(2);
  request.set_page_token(Series(request).next_page_token());
  Measure(5, {1, 4});
  EXPECT_EQ(queries_.Series(request).status().code(),
            absl::StatusCode::kAborted);
  request.set_page_token("7");
  EXPECT_EQ(queries_.Series(request).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(QueriesTest, GapsSayWhyNewestFirst) {
  Measure(5, {}, [](v1::Measurement& m) {
    m.set_implausible(true);
    m.set_implausible_reason("probe loss 99");
  });
  store::Observation waiting = store::Seen(6, "first", v1::JOB_STATE_WAITING);
  waiting.reason = "no config.json yet";
  ASSERT_TRUE(store_->Observe({waiting}).ok());
  const auto series = Series(Request());
  ASSERT_EQ(series.gaps_size(), 2);
  EXPECT_EQ(series.total_gaps(), 2);
  EXPECT_EQ(series.gaps(0).step(), 6);
  EXPECT_EQ(series.gaps(0).state(), v1::JOB_STATE_WAITING);
  EXPECT_EQ(series.gaps(0).reason(), "no config.json yet");
  EXPECT_EQ(series.gaps(1).step(), 5);
  EXPECT_EQ(series.gaps(1).state(), v1::JOB_STATE_DONE);
  EXPECT_EQ(series.gaps(1).reason(), "implausible: probe loss 99");
  selector_.set_include_implausible(true);
  EXPECT_EQ(Series(Request()).gaps_size(), 1);
}

TEST_F(QueriesTest, StepsOfOtherTermsAreGaps) {
  Measure(5, {}, [](v1::Measurement& m) {
    m.mutable_header()->set_dtype("bfloat16");
  });
  const auto series = Series(Request());
  EXPECT_EQ(series.steps_size(), 1);
  ASSERT_EQ(series.gaps_size(), 5);
  EXPECT_EQ(series.gaps(0).step(), 4);
  EXPECT_TRUE(absl::StartsWith(series.gaps(0).reason(), "measured on other"));
}

TEST_F(QueriesTest, ACutListOfGapsSaysHowManyThereAre) {
  std::vector<store::Observation> seen;
  for (int64_t step = 10; step < 710; ++step) seen.push_back(store::Seen(step));
  ASSERT_TRUE(store_->Observe(seen).ok());
  const auto series = Series(Request());
  EXPECT_EQ(series.gaps_size(), 500);
  EXPECT_EQ(series.total_gaps(), 700);
  EXPECT_EQ(series.gaps(0).step(), 709);
}

TEST_F(QueriesTest, WhatIsTooMuchNamesItsRule) {
  v1::QuerySeriesRequest request = Request();
  request.set_max_columns(5);
  EXPECT_EQ(RuleFor(request), "max_columns");
  request = Request();
  request.set_max_rows(4);
  EXPECT_EQ(RuleFor(request), "max_rows");
  request.set_max_rows(5);
  request.set_max_columns(6);
  EXPECT_TRUE(queries_.Series(request).ok());
  request.set_max_points(3);
  EXPECT_EQ(RuleFor(request), "out_of_range");
}

TEST_F(QueriesTest, AChoiceThatIsLeftOpenListsItsOptions) {
  Measure(5, {2, 3, 1, 2});
  EXPECT_EQ(RuleFor(Request()), "missing_parameter");
  const absl::Status status = queries_.Series(Request()).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "domain0, domain1"))
      << status;
  selector_.set_domain("domain1");
  EXPECT_EQ(Series(Request()).steps_size(), 1);
}

TEST_F(QueriesTest, OfOneHeadTheOthersAreNotThere) {
  store::Shape single;
  single.heads = 1;
  v1::RunConfig other;
  other.set_name("single");
  ASSERT_TRUE(store_->PutRun(other).ok());
  store::Observation seen = store::Seen(7);
  seen.checkpoint.set_run("single");
  ASSERT_TRUE(store_->Observe({seen}).ok());
  const auto jobs = store_->LeasableAround("single", 7, 7).value();
  const auto lease = store_->Lease(jobs[0].job.id(), "w", {}, 5).value();
  ASSERT_TRUE(store_
                  ->Commit({{lease.job.id(), lease.token,
                             store::MeasurementOf(lease.job, 1, single)}})[0]
                  .ok());
  selector_.set_run("single");
  selector_.add_heads(0);
  EXPECT_EQ(Series(Request()).columns_size(), 2);
  selector_.set_heads(0, 9);
  const absl::Status status = queries_.Series(Request()).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "no head 9; there are 0"))
      << status;
}

// One rule for names, whatever the question.
TEST_F(QueriesTest, UnknownNamesAreNotFoundWithTheNearest) {
  using Change = void (*)(v1::SeriesSelector&);
  const struct {
    Change change;
    const char* answer;
  } cases[] = {
      {[](auto& s) { s.set_run("tory"); }, "did you mean toy?"},
      {[](auto& s) { s.set_stage("a"); }, "run \"toy\" has no stage \"a\""},
      {[](auto& s) { s.set_domain("domian0"); }, "did you mean domain0?"},
      {[](auto& s) { s.set_metric("metric"); }, "did you mean metric0?"},
      {[](auto& s) { s.add_layers(99); }, "no layer 99; there are 0 to 1"},
      {[](auto& s) { s.add_heads(3); }, "no head 3; there are 0 to 2"}};
  for (const auto& [change, answer] : cases) {
    v1::SeriesSelector selector = selector_;
    change(selector);
    v1::QuerySeriesRequest series;
    *series.mutable_selector() = selector;
    v1::GetEmergenceRequest emergence;
    *emergence.mutable_selector() = selector;
    emergence.set_threshold(1);
    std::vector<absl::Status> statuses = {
        queries_.Series(series).status(),
        queries_.Emergence(emergence).status()};
    if (selector.layers().empty() && selector.heads().empty()) {
      v1::QueryMatrixRequest matrix;
      matrix.set_run(selector.run());
      matrix.set_metric(selector.metric());
      if (selector.has_stage()) matrix.set_stage(selector.stage());
      if (selector.has_domain()) matrix.set_domain(selector.domain());
      statuses.push_back(queries_.Matrix(matrix).status());
    }
    for (const absl::Status& status : statuses) {
      EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << answer;
      EXPECT_TRUE(absl::StrContains(status.message(), answer)) << status;
    }
  }
}

TEST_F(QueriesTest, UnknownRunsAndStagesAreNotFoundByLists) {
  v1::ListCheckpointsRequest checkpoints;
  checkpoints.set_run("tory");
  EXPECT_TRUE(absl::IsNotFound(queries_.Checkpoints(checkpoints).status()));
  checkpoints.set_run("toy");
  checkpoints.set_stage("b");
  EXPECT_TRUE(absl::IsNotFound(queries_.Checkpoints(checkpoints).status()));
  v1::ListMetricsRequest metrics;
  metrics.set_run("tory");
  EXPECT_TRUE(absl::IsNotFound(queries_.Metrics(metrics).status()));
  EXPECT_TRUE(absl::IsNotFound(queries_.Run("tory").status()));
  EXPECT_TRUE(absl::IsNotFound(queries_.Version("tory").status()));
  v1::GetMeasurementRequest measurement;
  measurement.set_run("tory");
  EXPECT_TRUE(absl::IsNotFound(queries_.Measurement(measurement).status()));
}

TEST_F(QueriesTest, WhatWasMeasuredOfARunStaysWhenItIsFollowedNoMore) {
  ASSERT_TRUE(store_->RemoveRun("toy").ok());
  v1::GetMeasurementRequest request;
  request.set_run("toy");
  request.set_step(3);
  const auto measurement = queries_.Measurement(request);
  ASSERT_TRUE(measurement.ok()) << measurement.status();
  EXPECT_EQ(measurement->header().checkpoint().step(), 3);
  request.set_step(9);
  EXPECT_TRUE(absl::IsNotFound(queries_.Measurement(request).status()));
}

TEST_F(QueriesTest, AStepThatIsNotMeasuredNamesTheNearest) {
  v1::QueryMatrixRequest matrix;
  matrix.set_run("toy");
  matrix.set_metric("metric0");
  matrix.set_step(9);
  EXPECT_EQ(queries_.Matrix(matrix).status(),
            absl::NotFoundError("run \"toy\" has no measurement of step 9; "
                                "the nearest measured step is 4"));
  v1::GetMeasurementRequest measurement;
  measurement.set_run("toy");
  measurement.set_step(9);
  EXPECT_EQ(queries_.Measurement(measurement).status(),
            queries_.Matrix(matrix).status());
}

TEST_F(QueriesTest, AMatrixIsTheLatestPlausibleStepWithItsErrors) {
  Measure(7, {}, [](v1::Measurement& m) { m.set_implausible(true); });
  v1::QueryMatrixRequest request;
  request.set_run("toy");
  request.set_metric("metric0");
  const auto latest = queries_.Matrix(request);
  ASSERT_TRUE(latest.ok()) << latest.status();
  EXPECT_EQ(latest->step(), 4);
  EXPECT_FALSE(latest->implausible());
  EXPECT_EQ(latest->domain(), "domain0");
  ASSERT_EQ(latest->rows_size(), 2);
  EXPECT_EQ(latest->rows(1).values(2), 40 + 10 + 2);
  EXPECT_EQ(latest->rows(1).standard_errors(2), 0.5f);
  request.set_step(7);
  EXPECT_TRUE(queries_.Matrix(request)->implausible());
}

TEST_F(QueriesTest, FindsTheEmergenceOfEachHead) {
  v1::GetEmergenceRequest request;
  *request.mutable_selector() = selector_;
  request.set_threshold(21);
  const auto found = queries_.Emergence(request);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->emergences_size(), 6);
  EXPECT_EQ(found->emergences(0).key().label(), "L0H0");
  EXPECT_EQ(found->emergences(0).by_step(), 3);  // 0, 10, 20, 30
  EXPECT_EQ(found->emergences(1).by_step(), 2);  // 1, 11, 21
  EXPECT_EQ(found->emergences(1).holds_from_step(), 2);
  EXPECT_EQ(found->threshold(), 21);
  EXPECT_EQ(found->consecutive(), 2);
}

TEST_F(QueriesTest, RefusesAThresholdThatIsNoNumber) {
  v1::GetEmergenceRequest request;
  *request.mutable_selector() = selector_;
  request.set_threshold(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(queries_.Emergence(request).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(QueriesTest, TakesTheMetricsOwnThresholdWhereNoneIsGiven) {
  v1::GetEmergenceRequest request;
  *request.mutable_selector() = selector_;
  EXPECT_EQ(answers::RuleOf(queries_.Emergence(request).status()),
            "missing_parameter");
  Measure(5, {}, [](v1::Measurement& m) {
    m.mutable_header()->mutable_metrics(0)->set_threshold(35);
    m.mutable_header()->mutable_metrics(0)->set_below(true);
  });
  auto found = queries_.Emergence(request);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->threshold(), 35);
  EXPECT_TRUE(found->below());
  EXPECT_EQ(found->emergences(0).censoring(), v1::CENSORING_LEFT);
  request.set_below(false);
  found = queries_.Emergence(request);
  EXPECT_FALSE(found->below());
  EXPECT_EQ(found->emergences(0).by_step(), 4);
}

TEST_F(QueriesTest, CheckpointsComeNewestFirstWithTheirTotal) {
  store::Observation retried = store::Seen(9, "first", v1::JOB_STATE_WAITING);
  ASSERT_TRUE(store_->Observe({retried}).ok());
  v1::ListCheckpointsRequest request;
  request.set_run("toy");
  request.set_page_size(4);
  const auto newest = queries_.Checkpoints(request);
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->total(), 6);
  EXPECT_EQ(newest->checkpoints(0).checkpoint().step(), 9);
  EXPECT_FALSE(newest->checkpoints(1).has_not_before());
  request.set_page_token(newest->next_page_token());
  const auto rest = queries_.Checkpoints(request);
  ASSERT_EQ(rest->checkpoints_size(), 2);
  EXPECT_EQ(rest->checkpoints(1).checkpoint().step(), 0);
  EXPECT_EQ(rest->next_page_token(), "");
  request.clear_page_token();
  request.set_order(v1::CHECKPOINT_ORDER_OLDEST_FIRST);
  EXPECT_EQ(queries_.Checkpoints(request)->checkpoints(0).checkpoint().step(),
            0);
  request.add_states(v1::JOB_STATE_DONE);
  EXPECT_EQ(queries_.Checkpoints(request)->total(), 5);
  request.add_states(static_cast<v1::JobState>(77));
  EXPECT_EQ(answers::RuleOf(queries_.Checkpoints(request).status()),
            "unknown_value");
}

TEST_F(QueriesTest, ACheckpointSaysWhatItsMeasurementCost) {
  Measure(5, {}, [](v1::Measurement& m) {
    m.mutable_header()->set_device("cuda:0");
    m.set_load_seconds(1.5);
    m.set_compute_seconds(20);
  });
  ASSERT_TRUE(store_->Observe({store::Seen(6)}).ok());
  v1::ListCheckpointsRequest request;
  request.set_run("toy");
  const auto list = queries_.Checkpoints(request);
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_FALSE(list->checkpoints(0).has_load_seconds());
  EXPECT_EQ(list->checkpoints(1).load_seconds(), 1.5);
  EXPECT_EQ(list->checkpoints(1).compute_seconds(), 20);
  EXPECT_EQ(list->checkpoints(1).device(), "cuda:0");
}

TEST_F(QueriesTest, AVersionIsOfItsRun) {
  v1::RunConfig other;
  other.set_name("other");
  ASSERT_TRUE(store_->PutRun(other).ok());
  const std::string before = queries_.Version("toy").value();
  store::Observation seen = store::Seen(1);
  seen.checkpoint.set_run("other");
  ASSERT_TRUE(store_->Observe({seen}).ok());
  EXPECT_EQ(queries_.Version("toy").value(), before);
  ASSERT_TRUE(store_->Observe({store::Seen(8)}).ok());
  EXPECT_NE(queries_.Version("toy").value(), before);
}

// 80 layers over 3,000 steps, as a panel asks for them by default: thinned,
// never refused.
TEST_F(QueriesTest, ALongSeriesOfADeepModelIsThinned) {
  v1::RunConfig deep;
  deep.set_name("deep");
  ASSERT_TRUE(store_->PutRun(deep).ok());
  std::vector<store::Observation> seen;
  for (int64_t step = 0; step < 3000; ++step) {
    seen.push_back(store::Seen(step));
    seen.back().checkpoint.set_run("deep");
  }
  ASSERT_TRUE(store_->Observe(seen).ok());
  std::vector<store::Store::CommitRequest> commits;
  for (int64_t step = 0; step < 3000; ++step) {
    const auto job = store_->LeasableAround("deep", step, step).value().at(0);
    const auto lease = store_->Lease(job.job.id(), "w", {}, 5).value();
    commits.push_back(
        {job.job.id(), lease.token,
         store::MeasurementOf(lease.job, step == 1777 ? -5 : 0, {80, 2})});
  }
  for (const auto& result : store_->Commit(commits)) ASSERT_TRUE(result.ok());

  v1::QuerySeriesRequest request;
  request.mutable_selector()->set_run("deep");
  request.mutable_selector()->set_metric("metric0");
  request.mutable_selector()->set_aggregation(v1::AGGREGATION_MIN);
  request.set_max_points(2000);
  request.set_max_columns(1024);
  request.set_max_rows(20000);
  const auto series = Series(request);
  EXPECT_EQ(series.columns_size(), 80);
  EXPECT_LE(series.steps_size(), 2000);
  EXPECT_GE(series.steps_size(), 900);
  EXPECT_TRUE(series.thinned());
  EXPECT_EQ(series.total_steps(), 3000);
  EXPECT_EQ(series.notes_size(), 1);
  const std::set<int64_t> steps(series.steps().begin(), series.steps().end());
  for (int64_t step : {0, 1777, 2999}) EXPECT_EQ(steps.count(step), 1u) << step;
}

}  // namespace
}  // namespace sinkwatch::query

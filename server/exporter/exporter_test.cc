#include "server/exporter/exporter.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "server/exporter/measured_store_testing.h"
#include "server/http/http_client_testing.h"

namespace sinkwatch::exporter {
namespace {

using v1::PrometheusConfig;

std::string Whole(const ScrapeBody& body) {
  return (body.now == nullptr ? "" : *body.now) + body.ops;
}

int64_t CountSeriesIn(const std::string& text) {
  int64_t count = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (line[0] != '#') ++count;
  }
  return count;
}

// Without what changes from one moment to the next.
std::string WithoutProcess(const std::string& text) {
  std::string rest;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "process_")) absl::StrAppend(&rest, line, "\n");
  }
  return rest;
}

class ExporterTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(store_, nullptr); }

  void MeasureRun(const std::string& run, int64_t step,
                  bool implausible = false) {
    const absl::Status status =
        Measure(store_.get(), run, step, Shape(), implausible);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::string Page(const Exporter& exporter) {
    return Whole(exporter.Metrics(/*gzip=*/false));
  }

  std::unique_ptr<store::Store> store_ = MakeStore();
  telemetry::ServiceMetrics metrics_{{"1.2.3", "abc"}};
};

TEST_F(ExporterTest, ShowsTheLatestPlausibleMeasurement) {
  MeasureRun("toy", 100);
  MeasureRun("toy", 200);
  MeasureRun("toy", 300, /*implausible=*/true);
  Exporter exporter(store_.get(), &metrics_, {});
  ASSERT_TRUE(exporter.Refresh().ok());
  const std::string page = Page(exporter);
  EXPECT_TRUE(
      absl::StrContains(page, "sinkwatch_latest_step{run=\"toy\"} 200\n"))
      << page;
  EXPECT_TRUE(absl::StrContains(
      page, "sinkwatch_checkpoints{run=\"toy\",state=\"done\"} 3\n"))
      << page;
}

TEST_F(ExporterTest, PageStaysAsItWasRenderedUntilTheNextRefresh) {
  MeasureRun("toy", 100);
  Exporter exporter(store_.get(), &metrics_, {});
  ASSERT_TRUE(exporter.Refresh().ok());
  const ScrapeBody before = exporter.Metrics(/*gzip=*/false);
  MeasureRun("toy", 200);
  EXPECT_EQ(exporter.Metrics(/*gzip=*/false).now, before.now);
  ASSERT_TRUE(exporter.Refresh().ok());
  EXPECT_NE(*exporter.Metrics(/*gzip=*/false).now, *before.now);
}

// A server with 50,000 checkpoints and nothing to do counted them every two
// seconds, and one with 300 runs rendered them all.
TEST_F(ExporterTest, WhatIsAsItWasIsNotRenderedAgain) {
  MeasureRun("toy", 100);
  Exporter exporter(store_.get(), &metrics_, {});
  const auto refreshed = [&] {
    EXPECT_TRUE(exporter.Refresh().ok());
    return exporter.Metrics(/*gzip=*/false).now;
  };
  const absl::Time time = absl::FromUnixSeconds(1000);
  const auto first = refreshed();
  EXPECT_EQ(refreshed(), first);
  metrics_.DiscoverySucceeded("toy", time);
  const auto looked_at = refreshed();
  EXPECT_NE(looked_at, first);
  metrics_.DiscoverySucceeded("toy", time + absl::Seconds(14));
  EXPECT_EQ(refreshed(), looked_at) << "its time may lag";
  metrics_.LeftAlone("toy", {{"file", 1}});
  EXPECT_NE(refreshed(), looked_at);
  const auto left_alone = refreshed();
  metrics_.DiscoverySucceeded("toy", time + absl::Seconds(30));
  EXPECT_NE(refreshed(), left_alone);
  const auto late = refreshed();
  ASSERT_TRUE(store_->RemoveRun("toy").ok());
  EXPECT_NE(refreshed(), late);
}

TEST_F(ExporterTest, NotifiedThreadRefreshesByItself) {
  ExporterOptions options;
  options.min_interval = absl::ZeroDuration();
  options.poll_interval = absl::Hours(1);
  Exporter exporter(store_.get(), &metrics_, options);
  ASSERT_TRUE(exporter.Start().ok());
  MeasureRun("toy", 700);
  exporter.NotifyCommit();
  // Bounded by the test's own time limit.
  while (!absl::StrContains(Page(exporter), "latest_step{run=\"toy\"} 700")) {
    std::this_thread::yield();
  }
  exporter.Stop();
  exporter.Stop();
}

TEST_F(ExporterTest, RemovedRunLeavesThePage) {
  MeasureRun("toy", 100);
  MeasureRun("other", 100);
  Exporter exporter(store_.get(), &metrics_, {});
  ASSERT_TRUE(exporter.Refresh().ok());
  ASSERT_TRUE(store_->RemoveRun("other").ok());
  ASSERT_TRUE(exporter.Refresh().ok());
  EXPECT_FALSE(absl::StrContains(Page(exporter), "run=\"other\""));
  EXPECT_TRUE(absl::StrContains(Page(exporter), "run=\"toy\""));
}

TEST_F(ExporterTest, CompressedPageHoldsTheSameText) {
  MeasureRun("toy", 100);
  Exporter exporter(store_.get(), &metrics_, {});
  for (int refreshed = 0; refreshed < 2; ++refreshed) {
    EXPECT_EQ(
        WithoutProcess(http::Gunzip(Whole(exporter.Metrics(/*gzip=*/true)))),
        WithoutProcess(Page(exporter)));
    EXPECT_EQ(http::Gunzip(Whole(exporter.Heads(/*gzip=*/true))),
              Whole(exporter.Heads(/*gzip=*/false)));
    ASSERT_TRUE(exporter.Refresh().ok());
  }
}

TEST_F(ExporterTest, ProtobufPageHoldsWhatTheTextHoldsAndHistograms) {
  MeasureRun("toy", 100);
  Exporter exporter(store_.get(), &metrics_, {});
  ASSERT_TRUE(exporter.Refresh().ok());
  const std::string page =
      Whole(exporter.Metrics(false, PageFormat::kProtobuf));
  for (const char* name :
       {"sinkwatch_latest_step", "sinkwatch_sink_attention_ratio",
        "sinkwatch_sink_attention_ratio_heads", "sinkwatch_build_info",
        "process_resident_memory_bytes"}) {
    EXPECT_TRUE(absl::StrContains(page, name)) << name;
  }
  EXPECT_EQ(
      http::Gunzip(Whole(exporter.Metrics(true, PageFormat::kProtobuf))).size(),
      page.size());
  const std::string heads = Whole(exporter.Heads(false, PageFormat::kProtobuf));
  EXPECT_TRUE(absl::StrContains(heads, "_by_head"));
  EXPECT_FALSE(absl::StrContains(heads, "sinkwatch_build_info"));
}

TEST_F(ExporterTest, ConfiguredMetricsAreShownAndNoOthers) {
  MeasureRun("toy", 100);
  ExporterOptions options;
  options.metrics = {"probe_loss"};
  Exporter exporter(store_.get(), &metrics_, options);
  ASSERT_TRUE(exporter.Refresh().ok());
  const std::string page = Page(exporter);
  EXPECT_TRUE(absl::StrContains(page, "sinkwatch_probe_loss_nats{"));
  EXPECT_FALSE(absl::StrContains(page, "sinkwatch_sink_attention"));
  EXPECT_EQ(Whole(exporter.Heads(false)), "");
}

TEST_F(ExporterTest, ServiceCountersAreFreshInEveryScrape) {
  Exporter exporter(store_.get(), &metrics_, {});
  ASSERT_TRUE(exporter.Refresh().ok());
  metrics_.LeaseExpired();
  metrics_.RpcHandled("/sinkwatch.v1.QueryService/ListRuns", 5,
                      absl::Milliseconds(3));
  metrics_.CommitDone(absl::Milliseconds(2), 1, 1000);
  metrics_.HttpHandled("/api/v1/runs", 404, absl::Milliseconds(2));
  const std::string page = Page(exporter);
  for (const char* line :
       {"sinkwatch_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n",
        "sinkwatch_lease_expirations_total 1\n",
        "sinkwatch_job_attempts_total{outcome=\"expired\"} 1\n",
        "sinkwatch_values_committed_total 1000\n",
        "sinkwatch_http_requests_total{code=\"404\",route=\"/api/v1/runs\"} "
        "1\n",
        "sinkwatch_http_request_duration_seconds_count{route=\"/api/v1/"
        "runs\"} 1\n",
        "sinkwatch_commit_duration_seconds_bucket{le=\"0.0025\"} 1\n",
        "grpc_server_handled_total{grpc_code=\"NotFound\",grpc_method="
        "\"ListRuns\",grpc_service=\"sinkwatch.v1.QueryService\"} 1\n"}) {
    EXPECT_TRUE(absl::StrContains(page, line)) << line << page;
  }
}

TEST_F(ExporterTest, NoLabelTellsTheStep) {
  MeasureRun("toy", 100);
  Exporter exporter(store_.get(), &metrics_, {});
  ASSERT_TRUE(exporter.Refresh().ok());
  for (const ScrapeBody& body :
       {exporter.Metrics(false), exporter.Heads(false)}) {
    EXPECT_FALSE(absl::StrContains(Whole(body), "step=\""));
    EXPECT_FALSE(absl::StrContains(Whole(body), "step\":"));
  }
}

TEST_F(ExporterTest, CapHoldsForTheWholePageWithFiftyRuns) {
  for (int r = 0; r < 50; ++r) MeasureRun(absl::StrCat("run", r), 100);
  ExporterOptions options;
  options.max_series = 1500;
  Exporter exporter(store_.get(), &metrics_, options);
  ASSERT_TRUE(exporter.Refresh().ok());
  const std::string page = Page(exporter);
  EXPECT_LE(CountSeriesIn(page), 1500);
  EXPECT_LE(CountSeriesIn(Whole(exporter.Heads(false))), 1500);
  for (int r = 0; r < 50; ++r) {
    EXPECT_TRUE(absl::StrContains(
        page, absl::StrCat("sinkwatch_latest_step{run=\"run", r, "\"} 100\n")))
        << r;
  }
  EXPECT_FALSE(absl::StrContains(
      page, "sinkwatch_series_dropped_total{reason=\"cap\"} 0\n"));
  EXPECT_TRUE(absl::StrContains(page, "state=\"dropped\""));
}

TEST_F(ExporterTest, WithoutAStoreThatAnswersNothingIsLost) {
  Exporter exporter(store_.get(), &metrics_, {});
  // Before the first refresh there is a page as well: the service's own.
  EXPECT_TRUE(absl::StrContains(Page(exporter), "sinkwatch_build_info"));
}

// Debian's promtool parses and lints; what it says is the failure's text.
std::string PromtoolComplaints(const std::string& text) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/metrics";
  std::ofstream(path) << text;
  FILE* pipe = popen(
      ("/usr/bin/promtool check metrics < " + path + " 2>&1").c_str(), "r");
  std::string said;
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    said.append(buffer, count);
  }
  const int code = pclose(pipe);
  return code == 0 ? said : absl::StrCat("exit ", code, ": ", said);
}

TEST_F(ExporterTest, PromtoolFindsNothingToComplainAbout) {
  MeasureRun("toy", 100);
  metrics_.RpcHandled("/sinkwatch.v1.QueryService/ListRuns", 0,
                      absl::Milliseconds(3));
  metrics_.DiscoverySucceeded("toy", absl::FromUnixSeconds(1'700'000'000));
  metrics_.ConfigReloaded(true, absl::FromUnixSeconds(1'700'000'000));
  metrics_.HttpHandled("/metrics", 200, absl::Milliseconds(1));
  metrics_.SetStoreSize(4096);
  for (auto detail :
       {PrometheusConfig::DETAIL_RUN, PrometheusConfig::DETAIL_LAYER,
        PrometheusConfig::DETAIL_HEAD}) {
    ExporterOptions options;
    options.detail = detail;
    Exporter exporter(store_.get(), &metrics_, options);
    ASSERT_TRUE(exporter.Refresh().ok());
    EXPECT_EQ(PromtoolComplaints(Page(exporter)), "") << detail;
    EXPECT_EQ(PromtoolComplaints(Whole(exporter.Heads(false))), "");
  }
  EXPECT_NE(PromtoolComplaints("not { metrics"), "") << "promtool did not run";
}

}  // namespace
}  // namespace sinkwatch::exporter

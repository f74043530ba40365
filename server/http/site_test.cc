#include "server/http/site.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "server/exporter/measured_store_testing.h"
#include "server/http/site_testing.h"

namespace sinkwatch::http {
namespace {

using exporter::Shape;

// Without what changes from one moment to the next.
std::string WithoutProcess(const std::string& text) {
  std::string rest;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "process_")) absl::StrAppend(&rest, line, "\n");
  }
  return rest;
}

TEST_F(SiteTest, MetricsPageIsServedPlainAndCompressed) {
  const Fetched plain = Get("/metrics");
  EXPECT_EQ(plain.status, 200);
  EXPECT_TRUE(absl::StrContains(plain.body, "sinkwatch_latest_step"));
  EXPECT_TRUE(absl::StrContains(plain.headers.at("content-type"),
                                "text/plain; version=0.0.4"));
  EXPECT_EQ(plain.headers.count("content-encoding"), 0u);
  const Fetched zipped = Get("/metrics", {"Accept-Encoding: gzip"});
  EXPECT_EQ(zipped.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(WithoutProcess(Gunzip(zipped.body)), WithoutProcess(plain.body));
  EXPECT_TRUE(absl::StrContains(Get("/metrics/heads").body, "_by_head{"));
}

TEST_F(SiteTest, MetricsPageIsProtobufWhereThatIsAskedFor) {
  // As Prometheus 2.42 asks with --enable-feature=native-histograms.
  const std::string prometheus =
      "Accept: application/vnd.google.protobuf;proto=io.prometheus.client."
      "MetricFamily;encoding=delimited,application/openmetrics-text;version="
      "1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  for (const char* path : {"/metrics", "/metrics/heads"}) {
    const Fetched fetched = Get(path, {prometheus});
    EXPECT_EQ(fetched.headers.at("content-type"),
              "application/vnd.google.protobuf; "
              "proto=io.prometheus.client.MetricFamily; encoding=delimited");
    EXPECT_EQ(fetched.headers.at("vary"), "Accept, Accept-Encoding");
    EXPECT_FALSE(absl::StrContains(fetched.body, "# HELP"));
  }
  for (const char* accept :
       {"*/*", "text/plain", "application/vnd.google.protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client."
        "MetricFamily;encoding=delimited;q=0.4,text/plain;q=0.5",
        "application/vnd.google.protobuf;proto=io.prometheus.client."
        "MetricFamily;encoding=delimited;q=0"}) {
    const Fetched fetched = Get("/metrics", {absl::StrCat("Accept: ", accept)});
    EXPECT_TRUE(
        absl::StartsWith(fetched.headers.at("content-type"), "text/plain"))
        << accept;
  }
}

TEST_F(SiteTest, RoutesAreAClosedSet) {
  const auto route = [](const std::string& path) {
    Request request;
    request.path = path;
    return Site::RouteOf(request);
  };
  EXPECT_EQ(route("/metrics"), "/metrics");
  EXPECT_EQ(route("/api/v1/series"), "/api/v1/series");
  EXPECT_EQ(route("/api/v1/nothing"), "other");
  EXPECT_EQ(route("/x"), "other");
}

TEST_F(SiteTest, OtherOriginsMayReadOnlyWhereTheConfigurationSaysSo) {
  EXPECT_EQ(Get("/api/v1/runs").headers.count("access-control-allow-origin"),
            0u);
  SiteOptions options;
  options.cors_origin = "https://notebook.example";
  const Site site(&world_->queries, world_->exporter.get(), options);
  Request request;
  request.path = "/api/v1/runs";
  const Response response = site.Handle(request);
  const auto& headers = response.headers;
  EXPECT_NE(std::find(headers.begin(), headers.end(),
                      std::make_pair(std::string("Access-Control-Allow-Origin"),
                                     options.cors_origin)),
            headers.end());
}

TEST_F(SiteTest, HealthyAlwaysReadyWhenItIs) {
  EXPECT_EQ(Get("/-/healthy").status, 200);
  EXPECT_EQ(Get("/-/ready").status, 200);
  world_->ready = absl::UnavailableError("the store is being opened");
  const Fetched fetched = Get("/-/ready");
  EXPECT_EQ(fetched.status, 503);
  EXPECT_TRUE(absl::StrContains(fetched.body, "the store is being opened"));
  EXPECT_EQ(Get("/-/healthy").status, 200);
  world_->ready = absl::OkStatus();
}

TEST_F(SiteTest, PageLoadsNothingFromElsewhere) {
  const Fetched page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(absl::StrContains(page.headers.at("content-type"), "text/html"));
  EXPECT_TRUE(absl::StrContains(page.headers.at("content-security-policy"),
                                "default-src 'none'"));
  for (const char* outside : {"src=", "@import", "url(", "//cdn", "https://"}) {
    EXPECT_FALSE(absl::StrContains(page.body, outside)) << outside;
  }
  EXPECT_FALSE(absl::StrContains(page.body, "innerHTML"));
}

TEST_F(SiteTest, UnknownPathsAreNotFound) {
  EXPECT_EQ(RuleFor("/nothing", 404), "not_found");
  EXPECT_EQ(RuleFor("/api/v1/nothing", 404), "not_found");
}

TEST_F(SiteTest, UnchangedAnswersAreNotSentAgain) {
  for (const std::string& target :
       {std::string(kSeries), std::string("/api/v1/runs"),
        std::string("/api/v1/checkpoints?run=toy")}) {
    const std::string tag = Get(target).headers.at("etag");
    const Fetched again = Get(target, {"If-None-Match: " + tag});
    EXPECT_EQ(again.status, 304) << target;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(again.headers.at("etag"), tag);
    EXPECT_EQ(Get(target, {"If-None-Match: W/\"else\""}).status, 200);
  }
}

// A state of one run leaves the tags of the others alone.
TEST_F(SiteTest, TagChangesWithACommitAndWithAStateOfItsRun) {
  const std::string before = Get(kSeries).headers.at("etag");
  ASSERT_TRUE(
      exporter::Measure(world_->store.get(), "zz-later", 1, Shape()).ok());
  const std::string later = "/api/v1/series?run=zz-later&metric=sink_attention";
  const std::string committed = Get(kSeries).headers.at("etag");
  EXPECT_NE(committed, before);
  const std::string later_committed = Get(later).headers.at("etag");
  store::Observation waiting;
  waiting.checkpoint = exporter::MakeCheckpoint("zz-later", 2);
  waiting.probe = exporter::MakeProbe();
  ASSERT_TRUE(world_->store->Observe({waiting}).ok());
  EXPECT_NE(Get(later).headers.at("etag"), later_committed);
  EXPECT_EQ(Get(kSeries).headers.at("etag"), committed);
}

TEST_F(SiteTest, ApiIsCompressedWhereAsked) {
  const Fetched plain = Get(kSeries);
  const Fetched zipped = Get(kSeries, {"Accept-Encoding: br, gzip;q=0.8"});
  EXPECT_EQ(zipped.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(Gunzip(zipped.body), plain.body);
  EXPECT_EQ(zipped.headers.at("vary"), "Accept-Encoding");
  const Fetched refused = Get(kSeries, {"Accept-Encoding: gzip;q=0"});
  EXPECT_EQ(refused.headers.count("content-encoding"), 0u);
}

}  // namespace
}  // namespace sinkwatch::http
